"""Shows a session of the server on a page of another origin by <live-captions session="…">.

    subscribed.py SERVER PORT SESSION

Prints a line as soon as it listens, and what was shown as one JSON object when the session is over.
"""

import json
import sys

from captions import site
from chromium import chromium, open_page, until


def main(server, port, session):
    site(server, int(port), attributes=f' session="{session}"')
    shown = {}
    with chromium("/dev/null") as context:
        # Told from the first moment on.
        context.add_init_script("addEventListener('state', ({ detail }) => (window.told ??= []).push(detail.state), true)")
        page = open_page(context, f"http://127.0.0.1:{port}/live-captions.html", shown)
        until(page, "window.told?.includes('live')")
        print("listening", flush=True)
        until(page, "window.told.at(-1) === 'ended'")
        shown["captions"] = page.get_by_role("log").locator("p").all_inner_texts()
        shown["buttons"] = page.get_by_role("button").count()
    print(json.dumps(shown))


main(*sys.argv[1:])
