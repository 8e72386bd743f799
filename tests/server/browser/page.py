"""Uses the server's page in Chromium as a person does, and prints what it shows as one JSON object.

    page.py URL MICROPHONE.wav FILE.flac DROPPED.flac PICTURES_FOLDER [KEY]

With KEY it only shows that key to a server that wants one, and what is said then.
"""

import base64
import json
import sys
from pathlib import Path

from chromium import LIMIT, chromium, finals, open_page
from playwright.sync_api import expect


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


def tab_to(page, wanted):
    """Goes to a control by the Tab key alone, and returns what it came by."""
    passed = []
    while wanted not in passed:
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.id"))
        assert len(passed) < 30, passed
    return passed


def downloads(page):
    """The transcript in each format."""
    texts = {}
    for name in ("txt", "srt", "vtt"):
        with page.expect_download() as download:
            page.locator(f"#{name}").click()
        assert download.value.suggested_filename == f"transcript.{name}"
        texts[name] = Path(download.value.path()).read_text()
    return texts


def drop(page, file, pictures):
    """Drags a file onto the page and lets go of it there."""
    data = page.evaluate_handle(
        """([name, base64]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
            return data;
        }""",
        [Path(file).name, base64.b64encode(Path(file).read_bytes()).decode()],
    )
    page.dispatch_event("main", "dragenter", {"dataTransfer": data})
    page.screenshot(path=f"{pictures}/light-drop.png", animations="disabled")
    page.dispatch_event("main", "drop", {"dataTransfer": data})


def stopped(page):
    expect(page.locator("#status-text")).to_have_text("Stopped.", timeout=LIMIT)


def speak(page, pictures, shown):
    """Without a mouse: starts, reads along, copies, stops."""
    page.screenshot(path=f"{pictures}/light-empty.png", animations="disabled")
    shown["tabs"] = tab_to(page, "start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#partial:not([hidden])")
    shown["partial"] = page.locator("#partial span").inner_text()
    # It is nought between words.
    shown["level"] = 0
    while shown["level"] == 0:
        shown["level"] = page.locator("#level").evaluate("meter => meter.value")
    page.screenshot(path=f"{pictures}/light-partial.png", animations="disabled")
    page.locator("#finals p").nth(1).wait_for()
    shown["latency"] = page.locator("#latency").inner_text()
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=f"{pictures}/dark.png", animations="disabled")
    page.keyboard.press("Enter")
    stopped(page)
    shown["microphone"] = finals(page)
    shown["tabs"] += tab_to(page, "copy")
    page.keyboard.press("Space")
    expect(page.locator("#status-text")).to_have_text("Copied.")
    shown["copied"] = page.evaluate("navigator.clipboard.readText()")
    shown["downloads"] = downloads(page)
    tab_to(page, "clear")
    page.keyboard.press("Space")
    shown["cleared"] = finals(page)


def files(page, file, dropped, pictures, shown):
    """One chosen, one dropped."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#file").set_input_files(file)
    page.locator("#finals p").first.wait_for()
    stopped(page)
    shown["file"] = finals(page)
    page.screenshot(path=f"{pictures}/dark-phone.png", animations="disabled")
    page.emulate_media(color_scheme="light")
    page.screenshot(path=f"{pictures}/light-phone.png", animations="disabled")
    shown["overflow"] = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.set_viewport_size({"width": 1000, "height": 760})
    drop(page, dropped, pictures)
    page.locator("#finals p").nth(len(shown["file"])).wait_for()
    stopped(page)
    shown["dropped"] = finals(page)[len(shown["file"]) :]
    # Subtitles of all that is shown: the second file's times go on behind the first one's.
    shown["both"] = downloads(page)["srt"]


def main(url, microphone, file, dropped, pictures, key=None):
    shown = {}
    with chromium(microphone, viewport={"width": 1000, "height": 760}, color_scheme="light") as context:
        page = open_page(context, url, shown)
        if key is not None:
            unlock(page, key, shown)
        else:
            speak(page, pictures, shown)
            files(page, file, dropped, pictures, shown)
            shown["live-region"] = page.locator("#finals").get_attribute("aria-live")
    print(json.dumps(shown))


main(*sys.argv[1:])
