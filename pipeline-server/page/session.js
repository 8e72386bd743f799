// A transcription, whatever happens to its connection. One that breaks off is made anew and the session goes on where the
// server has the audio (`resume`). Where the server does not have the session any more, a new one gets the audio from the
// end of the last final on. Either way nothing that is said is lost or comes twice.

const LONGEST_WAIT = 8000;
// Milliseconds for a connection to be made; between two questions whether it is still there, and for the answer.
const CONNECT = 10000;
const ASK = 2000;
const STALLED = 6000;
// Bytes that wait for the network; the feed holds the rest.
const WAITING = 1 << 16;
// Milliseconds beyond what the server promises to wait for its client.
const GRACE = 5000;

// What no second attempt mends.
export class Refused extends Error {}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Session {
  // `server` is the address of the server, `query` that of /ws/transcribe, `token()` gives what is added to it. `on` has
  // functions: partial, final, latency(seconds), lost(seconds), state(name, detail).
  constructor({ server, query, token, feed, on, ...more }) {
    Object.assign(this, { server, query, token, feed, on, ...more });
    // Byte of the feed that a new session begins with, the one that the present session began with, and the one up to
    // which there are finals.
    this.begin = this.origin = this.settled = 0;
    this.attempts = this.refusals = 0;
    this.stalled = STALLED;
    this.isOver = false;
    this.online = () => this.timer && this.connect();
    addEventListener("online", this.online);
    this.connect();
  }

  // No more audio; what is there is still transcribed.
  close() {
    this.feed.finish();
  }

  // Ends it at once.
  discard() {
    this.over("ended");
  }

  async connect() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const current = (this.connection = {});
    const isCurrent = () => this.connection === current && !this.isOver;
    try {
      const url = this.address();
      for (const [name, value] of Object.entries(await this.token())) url.searchParams.set(name, value);
      if (!isCurrent()) return;
      current.address = url.href;
      url.protocol = url.protocol.replace("http", "ws");
      current.socket = new WebSocket(url);
    } catch (error) {
      if (!isCurrent()) return;
      if (error instanceof Refused) return this.over("failed", error.message);
      return this.again(error.message);
    }
    setTimeout(() => isCurrent() && !current.isOpen && this.broke(), CONNECT);
    current.socket.onopen = () => isCurrent() && this.opened();
    current.socket.onmessage = ({ data }) => isCurrent() && this.take(JSON.parse(data));
    current.socket.onclose = () => isCurrent() && this.broke();
  }

  address() {
    const url = new URL("ws/transcribe", this.server);
    const query = this.id
      ? { resume: this.id, after: this.seq }
      : { ...this.query, resumable: true, full_transcript: false };
    url.search = new URLSearchParams(query);
    return url;
  }

  // The first message says how to go on.
  opened() {}

  take(message) {
    this.seq = message.seq;
    this.connection.heard = performance.now();
    const offset = this.feed.bytesPerSecond ? this.origin / this.feed.bytesPerSecond : 0;
    const at = { start: offset + message.start, end: offset + message.end, language: message.language };
    switch (message.type) {
      case "ready":
        this.id = message.limits.resume_seconds ? message.session_id : undefined;
        this.patience = 1000 * message.limits.resume_seconds + GRACE;
        this.model = message.model;
        this.origin = this.begin;
        return this.serve(this.origin);
      case "resumed":
        return this.serve(this.origin + message.audio_bytes);
      case "alive":
        this.stalled = STALLED;
        return;
      case "partial":
        this.late(message.end);
        return this.on.partial({ ...at, stable: message.stable, text: message.text });
      case "final":
        this.settled = Math.max(this.settled, this.position(message.end));
        this.feed.forget(this.settled);
        return this.on.final({ ...at, text: message.text.trim() });
      case "error":
        if (message.fatal) this.trouble = message.problem.detail;
        else this.on.state("trouble", message.problem.detail);
        return;
      case "closed":
        return this.closed(message);
    }
  }

  // The connection is there: audio goes over it from `position` on.
  serve(position) {
    const away = this.since === undefined ? undefined : (performance.now() - this.since) / 1000;
    this.since = undefined;
    this.attempts = this.refusals = 0;
    this.connection.isOpen = true;
    this.on.state("live", { model: this.model, away });
    this.send(this.connection, position);
    this.watch(this.connection);
  }

  async send(connection, position) {
    const isCurrent = () => this.connection === connection && !this.isOver;
    for (;;) {
      if (position < this.feed.start) {
        // Longer away than audio is kept. Times go on as if it had been there.
        this.on.lost((this.feed.start - position) / this.feed.bytesPerSecond);
        this.origin += this.feed.start - position;
        position = this.feed.start;
      }
      const bytes = await this.feed.read(position);
      if (!isCurrent()) return;
      if (!bytes) return connection.socket.send('{"type":"close"}');
      connection.socket.send(bytes);
      position += bytes.length;
      while (isCurrent() && connection.socket.bufferedAmount > WAITING) await pause(20);
    }
  }

  // A network that goes away tells nobody; so the server is asked, and has to say something. One that is only slow gets more
  // time after each false alarm.
  watch(connection) {
    let asked;
    const timer = setInterval(() => {
      if (this.connection !== connection || this.isOver) return clearInterval(timer);
      const now = performance.now();
      if (asked === undefined || connection.heard > asked) {
        connection.socket.send('{"type":"keepalive"}');
        asked = now;
      } else if (now - asked > this.stalled) {
        this.stalled *= 2;
        this.broke();
      }
    }, ASK);
  }

  // The connection broke off, or could not be made.
  async broke() {
    const { isOpen, address, heard } = this.leave();
    this.since ??= heard ?? performance.now();
    if (isOpen && !this.id) return this.anew("the connection broke off");
    if (isOpen) return this.again("the connection broke off");
    const waiting = (this.connection = {});
    const refusal = await this.refusal(address);
    if (this.connection !== waiting || this.isOver) return;
    if (refusal === undefined) {
      // Nobody there.
      if (this.id && performance.now() - this.since > this.patience) return this.anew("the server can't be reached");
      return this.again("the server can't be reached");
    }
    // A session that is not there any more is refused each time; another refusal may pass.
    if (this.id) {
      this.attempts = 0;
      if (++this.refusals > 1) return this.anew("the server does not have the session any more");
    }
    this.again(refusal || "the server refuses the connection");
  }

  // Why the server refuses a WebSocket, which a browser keeps to itself. Servers of other pages only show that they are
  // there. Undefined where nobody is.
  async refusal(address) {
    const ready = new URL("readyz", this.server);
    const isOwn = ready.origin === location.origin;
    try {
      for (const url of isOwn ? [address, ready] : [ready]) {
        const limits = { cache: "no-store", mode: isOwn ? "same-origin" : "no-cors", signal: AbortSignal.timeout(CONNECT) };
        const response = await fetch(url, limits);
        // 426: it should have been a WebSocket, which is all that is wrong with the request.
        if (isOwn && !response.ok && ![410, 426].includes(response.status)) return (await response.json()).detail;
      }
      return "";
    } catch {
      return undefined;
    }
  }

  // The server says that the session is over.
  closed({ reason, complete, totals }) {
    if (reason === "client_closed" || reason === "end_of_stream") return this.over("ended");
    const goesOn = ["max_duration", "shutdown", "client_gone"].includes(reason);
    if (this.trouble || !goesOn) return this.over("failed", this.trouble || `the server ended the session: ${reason}`);
    this.leave();
    if (complete) this.settled = Math.max(this.settled, this.position(totals.audio_seconds));
    this.anew(reason === "shutdown" ? "the server ends" : "a new session begins");
  }

  // With a new session, from where there are no finals.
  anew(why) {
    if (!this.feed.bytesPerSecond) return this.over("failed", `${why}: the file has to be sent again`);
    this.since ??= performance.now();
    this.id = undefined;
    this.begin = Math.max(this.settled, this.feed.start);
    if (this.feed.ended && this.begin >= this.feed.end) return this.over("ended");
    this.again(why);
  }

  again(why) {
    this.since ??= performance.now();
    const wait = Math.min(LONGEST_WAIT, 250 * 2 ** this.attempts++) * (0.75 + Math.random() / 2);
    this.on.state("waiting", why);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  over(state, detail) {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.online);
    this.leave();
    this.on.state(state, detail);
  }

  // Lets go of the connection, and returns it.
  leave() {
    const connection = this.connection ?? {};
    this.connection = undefined;
    connection.socket?.close();
    return connection;
  }

  // The byte of the feed at a time of the session.
  position(seconds) {
    return this.origin + 2 * Math.round((seconds * (this.feed.bytesPerSecond ?? 0)) / 2);
  }

  late(end) {
    const seconds = this.feed.age(this.position(end));
    if (seconds !== undefined) this.on.latency(seconds);
  }
}
