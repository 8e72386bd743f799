"""Has somebody speak into the server's page over WebRTC, and prints what it shows as one JSON object.

    webrtc.py URL MICROPHONE.wav SECONDS PICTURES_FOLDER [RELAY]

The page is stopped after SECONDS. With RELAY (ADDRESS:PORT) media go through there. With SECONDS 0 the page is left while
somebody speaks.
"""

import json
import re
import sys

from chromium import LIMIT, chromium, finals, open_page, until
from playwright.sync_api import expect


def through(relay):
    """Has the browser believe that the server is at the relay, and the server not know where the browser is."""

    def handle(route):
        body = route.request.post_data
        if route.request.method != "POST":
            return route.continue_()
        response = route.fetch(post_data=re.sub(r"a=candidate:.*\r\n", "", body))
        host, port = relay.split(":")
        answer = re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+ \d+", rf"\1 {host} {port}", response.text())
        assert f"{host} {port}" in answer, answer
        route.fulfill(response=response, body=answer)

    return handle


def main(url, microphone, seconds, pictures, relay=None):
    shown = {"publications": []}
    with chromium(microphone) as context:
        if relay:
            context.route(re.compile("/whip"), through(relay))
        page = open_page(context, url, shown)
        page.on("request", lambda r: shown["publications"].append(r.method) if "/whip" in r.url else None)
        page.get_by_text("WebRTC").click()
        assert page.locator("#webrtc").is_checked()
        page.locator("#start").click()
        expect(page.locator("#status")).to_have_attribute("data-state", "live", timeout=LIMIT)
        shown["status"] = page.locator("#status-text").inner_text()
        until(page, "document.querySelector('#partial:not([hidden]) span')?.innerText")
        shown["partial"] = page.locator("#partial span").inner_text()
        page.screenshot(path=f"{pictures}/webrtc.png", animations="disabled")
        if float(seconds) == 0:
            page.goto("about:blank")
        else:
            page.wait_for_timeout(1000 * float(seconds))
            shown["latency"] = page.locator("#latency").inner_text()
            page.locator("#start").click()
            expect(page.locator("#status-text")).to_have_text("Stopped.", timeout=LIMIT)
            shown["finals"] = finals(page)
    print(json.dumps(shown))


main(*sys.argv[1:])
