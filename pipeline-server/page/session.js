// A transcription over one WebSocket after the other: when a connection breaks off it is made anew, and times go on from
// where the audio was.

const LONGEST_WAIT = 8000;
// Bytes that may wait for the network; what comes then is left out rather than sent later and later.
const MOST_WAITING = 1 << 20;

export class Session {
  // `on` has functions: partial, final, latency, state(name, detail). `query` is that of /ws/transcribe, `token` gives what
  // has to be added to it. With `once` a connection is not made anew: half a file is none.
  constructor(query, token, on, { once = false } = {}) {
    Object.assign(this, { query, token, on, once });
    this.wanted = true;
    this.attempts = 0;
    this.offset = 0;
    this.connect();
  }

  async connect() {
    let socket;
    try {
      const url = new URL("ws/transcribe", location.href);
      url.protocol = url.protocol.replace("http", "ws");
      url.search = new URLSearchParams({ ...this.query, full_transcript: "false", ...(await this.token()) });
      socket = new WebSocket(url);
    } catch (error) {
      return this.again(String(error.message || error));
    }
    this.socket = socket;
    this.open = false;
    this.heard = 0;
    this.sent = [];
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.open = false;
      if (!this.wanted) this.on.state("ended", this.trouble);
      else if (this.trouble || this.once) this.give(this.trouble || "the connection broke off");
      else this.again("the connection broke off");
    };
  }

  // Sends audio of so many seconds.
  send(bytes, seconds) {
    if (!this.open || this.socket.bufferedAmount > MOST_WAITING) {
      if (!this.open) this.offset += seconds;
      return;
    }
    this.socket.send(bytes);
    this.heard += seconds;
    this.sent.push([this.heard, performance.now()]);
  }

  // Waits until the network has taken most of what was sent.
  async room() {
    while (this.open && this.socket.bufferedAmount > MOST_WAITING / 2) await new Promise((done) => setTimeout(done, 20));
  }

  // No more audio; the rest of the text still comes.
  close() {
    this.wanted = false;
    if (this.open) this.socket.send('{"type":"close"}');
    else {
      clearTimeout(this.timer);
      this.socket?.close();
      this.on.state("ended");
    }
  }

  take(message) {
    const at = { start: this.offset + message.start, end: this.offset + message.end };
    switch (message.type) {
      case "ready":
        this.attempts = 0;
        this.open = true;
        this.on.state("live", message.model);
        if (!this.wanted) this.close();
        break;
      case "partial":
        this.delay(message.end);
        this.on.partial({ ...at, stable: message.stable, text: message.text });
        break;
      case "final":
        this.on.final({ ...at, text: message.text.trim() });
        break;
      case "error":
        if (message.fatal) this.trouble = message.problem.detail;
        else this.on.state("trouble", message.problem.detail);
        break;
      case "closed":
        if (message.reason === "end_of_stream" || message.reason === "client_closed") this.wanted = false;
        else if (message.reason === "max_duration" || message.reason === "shutdown") this.trouble = undefined;
        break;
    }
  }

  // How long ago the sound up to `end` was sent.
  delay(end) {
    let when;
    while (this.sent.length && this.sent[0][0] <= end) when = this.sent.shift()[1];
    if (when !== undefined) this.on.latency((performance.now() - when) / 1000);
  }

  again(why) {
    this.offset += this.heard || 0;
    this.heard = 0;
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.attempts++) * (0.75 + Math.random() / 2);
    this.on.state("waiting", why);
    this.timer = setTimeout(() => this.wanted && this.connect(), wait);
  }

  give(why) {
    this.wanted = false;
    this.on.state("failed", why);
  }
}
