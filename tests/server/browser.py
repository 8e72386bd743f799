"""Uses the server's page in Debian's Chromium as a person does, and prints what it shows as one JSON object.

    browser.py URL MICROPHONE.wav FILE.flac PICTURES_FOLDER [KEY]

With KEY it only shows that key to a server that wants one, and what is said then.
The microphone is the browser's own fake one, fed with the WAV file over and over.
"""

import json
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

LIMIT = 120_000  # ms, many times what a busy machine needs


def finals(page):
    return page.locator("#finals p span").all_inner_texts()


def unlock(page, key, shown):
    """Starts, is asked for a key, and gives a wrong one before the right one."""
    page.locator("#start").click()
    for given in ("psk_wrong", key):
        page.locator("#key").wait_for()
        page.locator("#key").fill(given)
        page.keyboard.press("Enter")
    page.locator("#finals p").first.wait_for()
    shown["microphone"] = finals(page)
    shown["asked"] = page.locator("#key-form").is_visible()


def main(url, microphone, file, pictures, key=None):
    shown = {"console": [], "foreign": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        context = browser.new_context(viewport={"width": 1000, "height": 760}, color_scheme="light")
        context.grant_permissions(["microphone"])
        page = context.new_page()
        page.set_default_timeout(LIMIT)
        page.on("console", lambda message: shown["console"].append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: shown["console"].append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((url, "blob:")) else shown["foreign"].append(r.url))
        page.goto(url)
        if key is not None:
            unlock(page, key, shown)
            browser.close()
            print(json.dumps(shown))
            return
        page.screenshot(path=f"{pictures}/light-empty.png")

        # By keyboard alone.
        page.locator("#start").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#partial:not([hidden])")
        shown["partial"] = page.locator("#partial span").inner_text()
        # It is nought between words.
        shown["level"] = 0
        while shown["level"] == 0:
            shown["level"] = page.locator("#level").evaluate("meter => meter.value")
        page.screenshot(path=f"{pictures}/light-partial.png")
        page.locator("#finals p").nth(1).wait_for()
        shown["latency"] = page.locator("#latency").inner_text()
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=f"{pictures}/dark.png")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("Stopped.", timeout=LIMIT)
        shown["microphone"] = finals(page)
        with page.expect_download() as download:
            page.locator("#srt").click()
        shown["srt"] = Path(download.value.path()).read_text()
        with page.expect_download() as download:
            page.locator("#vtt").click()
        shown["vtt"] = Path(download.value.path()).read_text()
        page.locator("#clear").click()
        shown["cleared"] = finals(page)

        page.set_viewport_size({"width": 390, "height": 844})
        page.locator("#file").set_input_files(file)
        page.locator("#finals p").first.wait_for()
        expect(page.locator("#status")).to_have_text("Stopped.", timeout=LIMIT)
        shown["file"] = finals(page)
        page.screenshot(path=f"{pictures}/dark-phone.png")
        page.emulate_media(color_scheme="light")
        page.screenshot(path=f"{pictures}/light-phone.png")
        shown["live-region"] = page.locator("#finals").get_attribute("aria-live")
        shown["overflow"] = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        browser.close()
    print(json.dumps(shown))


main(*sys.argv[1:])
