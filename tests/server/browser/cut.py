"""Loses the network while somebody speaks into the server's page, and prints what the page shows as one JSON object.

    cut.py HOST PORT MICROPHONE.wav AWAY [freeze]

The network is cut in the first sentence, for AWAY seconds. With `freeze` it stands still in the second one, until the page
has noticed.
"""

import json
import sys
import time

from chromium import LIMIT, chromium, finals, open_page, until
from link import Link
from playwright.sync_api import expect


def lose(page, happen, link, away):
    """Has something happen to the network while words are on the page, and mends it; returns what the status says."""
    until(page, "document.querySelector('#partial:not([hidden]) span')?.innerText.split(' ').length > 2")
    happen()
    expect(page.locator("#status")).to_have_attribute("data-state", "wait", timeout=LIMIT)
    told = [page.locator("#status-text").inner_text()]
    expect(page.locator("#kept")).to_contain_text("s kept", timeout=LIMIT)
    time.sleep(away)
    link.mend()
    expect(page.locator("#status")).to_have_attribute("data-state", "live", timeout=LIMIT)
    return told + [page.locator("#status-text").inner_text()]


def main(host, port, microphone, away, freeze=None):
    link = Link(host, port)
    shown = {}
    with chromium(microphone) as context:
        page = open_page(context, f"http://{link.address}/", shown)
        page.locator("#start").click()
        shown["told"] = lose(page, link.cut, link, float(away))
        if freeze:
            page.locator("#finals p").first.wait_for()
            shown["told"] += lose(page, link.freeze, link, 0)
        page.locator("#finals p").nth(1).wait_for()
        page.locator("#start").click()
        expect(page.locator("#status-text")).to_have_text("Stopped.", timeout=LIMIT)
        shown["finals"] = finals(page)
        with page.expect_download() as download:
            page.locator("#srt").click()
        shown["srt"] = open(download.value.path()).read()
    print(json.dumps(shown))


main(*sys.argv[1:])
