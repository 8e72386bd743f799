"""Debian's Chromium with a microphone that plays a file once, and what is wrong on its pages."""

from contextlib import contextmanager

from playwright.sync_api import sync_playwright

LIMIT = 120_000  # ms, many times what a busy machine needs


@contextmanager
def chromium(microphone, **settings):
    """A context of a browser whose microphone plays a WAV file, once, from the moment that a page opens it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}%noloop",
            ],
        )
        context = browser.new_context(**settings)
        context.grant_permissions(["microphone", "clipboard-read", "clipboard-write"])
        context.set_default_timeout(LIMIT)
        try:
            yield context
        finally:
            browser.close()


def open_page(context, url, shown):
    """Goes there; `shown` gets lists of errors, of addresses that belong to somebody else, of WebSockets' addresses and of
    the text messages that were sent over them."""
    shown.update(console=[], foreign=[], sockets=[], sent=[])

    def watch(socket):
        shown["sockets"].append(socket.url)
        socket.on("framesent", lambda frame: shown["sent"].append(frame) if isinstance(frame, str) else None)

    page = context.new_page()
    page.on("console", lambda message: shown["console"].append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: shown["console"].append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((url, "blob:")) else shown["foreign"].append(r.url))
    page.on("websocket", watch)
    page.goto(url)
    return page


def finals(page):
    return page.locator("#finals p span").all_inner_texts()


def until(page, condition):
    """Waits for a condition in JavaScript; strict pages don't let Playwright do that by itself."""
    for _ in range(LIMIT // 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"this does not come: {condition}")
