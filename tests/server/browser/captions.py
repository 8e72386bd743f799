"""Uses <live-captions> on a page of another origin, and prints what it shows as one JSON object.

    captions.py SERVER PORT MICROPHONE.wav PICTURES_FOLDER [KEY]

The page is the example, served here on PORT. With KEY it gets its tokens from here, as a site of one's own would do.
"""

import json
import sys
import threading
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from chromium import LIMIT, chromium, open_page, until
from playwright.sync_api import expect

EXAMPLES = Path(__file__).parents[3] / "examples"


def site(server, port, key=None, attributes=""):
    """The example with the server's address in it, and a token for whoever may have captions."""
    if key:
        attributes += ' token-url="/captions-token"'

    class Site(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=EXAMPLES)

        def do_GET(self):
            if self.path != "/live-captions.html":
                return super().do_GET()
            page = (EXAMPLES / "live-captions.html").read_text()
            assert page.count("//127.0.0.1:8765") == 4
            page = page.replace("127.0.0.1:8765", server)
            page = page.replace("<live-captions", "<live-captions" + attributes)
            self.answer(200, "text/html; charset=utf-8", page.encode())

        def do_POST(self):
            assert self.path == "/captions-token"
            headers = {"Authorization": f"Bearer {key}"}
            request = urllib.request.Request(f"http://{server}/v1/tokens", method="POST", headers=headers)
            with urllib.request.urlopen(request) as token:
                self.answer(token.status, "application/json", token.read())

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Site).serve_forever, daemon=True).start()


def main(server, port, microphone, pictures, key=None):
    site(server, int(port), key)
    shown = {}
    with chromium(microphone, viewport={"width": 900, "height": 560}, color_scheme="light") as context:
        # The same site under a name that the server was not told of.
        stranger = open_page(context, f"http://localhost:{port}/live-captions.html", {})
        stranger.get_by_role("button").click()
        expect(stranger.get_by_role("status")).to_contain_text("refuses", timeout=LIMIT)
        stranger.close()

        page = open_page(context, f"http://127.0.0.1:{port}/live-captions.html", shown)
        page.evaluate(
            """() => {
                window.told = { partial: 0, final: [], state: [] };
                const captions = document.querySelector("live-captions");
                captions.addEventListener("partial", () => window.told.partial++);
                captions.addEventListener("final", ({ detail }) => window.told.final.push(detail));
                captions.addEventListener("state", ({ detail }) => window.told.state.push(detail.state));
            }"""
        )
        button = page.get_by_role("button", name="Caption the hall")
        shown["accent"] = button.evaluate("button => getComputedStyle(button).backgroundColor")
        button.focus()
        page.keyboard.press("Enter")
        log = page.get_by_role("log")
        log.locator("p").first.wait_for()
        until(page, "document.querySelector('live-captions').shadowRoot.querySelector('.unstable').textContent")
        page.screenshot(path=f"{pictures}/captions.png", animations="disabled")
        log.locator("p").nth(1).wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        until(page, "window.told.state.at(-1) === 'ended'")
        shown["captions"] = log.locator("p").all_inner_texts()
        shown["lang"] = log.locator("p").first.get_attribute("lang")
        shown["live-region"] = log.get_attribute("aria-live")
        shown["told"] = page.evaluate("window.told")
    print(json.dumps(shown))


if __name__ == "__main__":
    main(*sys.argv[1:])
