// <live-captions>: captions of what is said into the microphone, or in a session of the server, on anybody's page.
//
//   <script type="module" src="https://captions.example/live-captions.js"></script>
//   <live-captions language="en" token-url="/captions-token"></live-captions>
//   <live-captions session="5e0b1b7e-…"></live-captions>
//
// Attributes, which count from the next start on:
//   server      address of the server; where this module comes from without it
//   token       a token for the server, where it wants one
//   token-url   an address of your own that gives a fresh one for each connection, as the server's POST /v1/tokens does
//   language    code of what is spoken, or auto
//   session     id of a session whose captions are shown, from the moment that the element is on the page; no microphone
// Methods: start(), stop(). Events: partial, final (detail: text, start, end, language), state (detail: state, text).
// Slots for the button's words: start, stop. Parts: captions, final, partial, stable, unstable, bar, button, status.
// Custom properties: --live-captions-ink, -paper, -unstable, -accent, -accent-ink, -font, -lines (how many are seen).

import { LiveFeed } from "./feed.js";
import { explained, Microphone } from "./microphone.js";
import { Refused, Session } from "./session.js";
import { Subscription } from "./subscription.js";

// Finals that stay in the page.
const KEPT = 100;

// Made in code, because pages with a strict policy have no inline styles.
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  :host { display: block; font: var(--live-captions-font, 1.25rem/1.5 system-ui, sans-serif);
    color: var(--live-captions-ink, CanvasText); background: var(--live-captions-paper, Canvas); }
  :host([hidden]) { display: none; }
  .captions { height: calc(1lh * var(--live-captions-lines, 4)); overflow-y: auto; overflow-wrap: anywhere; }
  .captions:focus-visible, button:focus-visible { outline: 3px solid var(--live-captions-accent, #0b6e5f); outline-offset: 2px; }
  p { margin: 0; }
  .unstable { color: var(--live-captions-unstable, GrayText); }
  .bar { display: flex; flex-wrap: wrap; align-items: center; gap: .5em .9em; margin-top: 1em; font-size: .75em; }
  button { font: inherit; font-weight: 600; padding: .45em 1.1em; border: 1px solid transparent; border-radius: 99px; cursor: pointer;
    background: var(--live-captions-accent, #0b6e5f); color: var(--live-captions-accent-ink, #fff); }
  slot[hidden], :host([session]) button { display: none; }
  .status { opacity: .75; }
`);

// Made in code like the styles: pages may forbid markup from strings, too (trusted types).
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function content() {
  const live = { role: "log", "aria-live": "polite", "aria-relevant": "additions" };
  return [
    element(
      "div",
      { class: "captions", part: "captions", tabindex: "0", role: "region", "aria-label": "Captions" },
      element("div", { class: "finals", ...live }),
      element(
        "p",
        { part: "partial", "aria-hidden": "true", dir: "auto" },
        element("span", { class: "stable", part: "stable" }),
        element("span", { class: "unstable", part: "unstable" }),
      ),
    ),
    element(
      "div",
      { class: "bar", part: "bar" },
      element(
        "button",
        { type: "button", part: "button", "aria-pressed": "false" },
        element("slot", { name: "start" }, "Start captions"),
        element("slot", { name: "stop", hidden: "" }, "Stop captions"),
      ),
      element("span", { class: "status", part: "status", role: "status" }),
    ),
  ];
}

class LiveCaptions extends HTMLElement {
  #session;
  #microphone;
  #starting = false;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [STYLE];
    shadow.append(...content());
    this.#part("button").onclick = () => (this.running ? this.stop() : this.start());
  }

  connectedCallback() {
    if (this.hasAttribute("session")) this.start();
  }

  disconnectedCallback() {
    this.#release();
    this.#session?.discard();
  }

  // Whether it listens, or is about to.
  get running() {
    return this.#starting || Boolean(this.#microphone);
  }

  // Asks for the microphone and begins. A page may call it when somebody presses something.
  async start() {
    if (this.running) return;
    this.#session?.discard();
    this.#starting = true;
    this.#pressed();
    this.#tell("starting", "");
    const server = new URL((this.getAttribute("server") ?? ".").replace(/\/*$/, "/"), import.meta.url);
    const [session, token] = [this.getAttribute("session"), () => this.#token()];
    if (session) {
      this.#session = new Subscription({ server, session, token, on: this.#handlers() });
      this.#starting = false;
      return;
    }
    try {
      const microphone = await Microphone.open(() => this.stop());
      if (!this.#starting) return microphone.close();
      this.#microphone = microphone;
      const feed = new LiveFeed(microphone.rate);
      const language = this.getAttribute("language");
      const query = { encoding: "s16le", sample_rate: microphone.rate, ...(language && { language }) };
      this.#session = new Session({ server, query, token, feed, on: this.#handlers() });
      microphone.hear(({ samples }) => feed.push(samples));
    } catch (error) {
      this.#ended("failed", explained(error));
    } finally {
      this.#starting = false;
      this.#pressed();
    }
  }

  // Lets go of the microphone; what was said so far still gets its captions.
  stop() {
    this.#release();
    this.#session?.close();
  }

  #handlers() {
    return {
      partial: (partial) => this.#partial(partial),
      final: (final) => this.#final(final),
      latency: () => {},
      lost: (seconds) => this.#tell("lost", `Away for too long: ${Math.round(seconds)} s were not kept.`),
      state: (name, detail) => {
        if (name === "live") return this.#tell("live", "");
        if (name === "waiting") return this.#tell("waiting", `Connecting again: ${detail}`);
        if (name === "trouble") return this.#tell("trouble", detail);
        this.#ended(name, detail ?? "");
      },
    };
  }

  #partial(partial) {
    const settled = partial.text.startsWith(partial.stable) ? partial.stable : "";
    this.#follow(() => {
      this.#part("stable").textContent = settled;
      this.#part("unstable").textContent = partial.text.slice(settled.length);
    });
    this.dispatchEvent(new CustomEvent("partial", { detail: partial }));
  }

  #final(final) {
    this.#follow(() => {
      this.#clear();
      if (!final.text) return;
      const line = document.createElement("p");
      Object.assign(line, { lang: final.language, dir: "auto", textContent: final.text });
      line.part.add("final");
      const finals = this.#part("finals");
      finals.append(line);
      if (finals.childElementCount > KEPT) finals.firstElementChild.remove();
    });
    if (final.text) this.dispatchEvent(new CustomEvent("final", { detail: final }));
  }

  #clear() {
    this.#part("stable").textContent = this.#part("unstable").textContent = "";
  }

  // The end stays in sight, unless somebody scrolled up.
  #follow(change) {
    const box = this.#part("captions");
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 48;
    change();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  #ended(state, text) {
    this.#release();
    this.#session = undefined;
    this.#clear();
    this.#tell(state, text);
  }

  #release() {
    this.#starting = false;
    this.#microphone?.close();
    this.#microphone = undefined;
    this.#pressed();
  }

  #pressed() {
    const [start, stop] = this.shadowRoot.querySelectorAll("slot");
    start.hidden = this.running;
    stop.hidden = !this.running;
    this.#part("button").setAttribute("aria-pressed", String(this.running));
  }

  #tell(state, text) {
    this.#part("status").textContent = text;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, text } }));
  }

  // What is added to the address of the WebSocket.
  async #token() {
    const url = this.getAttribute("token-url");
    const token = this.getAttribute("token");
    if (!url) return token ? { token } : {};
    const response = await fetch(new URL(url, document.baseURI), { method: "POST" });
    if ([401, 403].includes(response.status)) throw new Refused("captions are not allowed here");
    if (!response.ok) throw new Error(`no token: status ${response.status}`);
    return response.status === 204 ? {} : { token: (await response.json()).token };
  }

  #part(name) {
    return this.shadowRoot.querySelector(name === "button" ? "button" : `.${name}`);
  }
}

customElements.define("live-captions", LiveCaptions);
