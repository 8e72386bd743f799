// Audio on its way to the server, by byte position. It is kept until its text is there, so that what a lost connection
// swallowed can be sent again.

const PIECE = 1 << 16;
// Seconds that are kept at most, for when nobody speaks or the network is away.
const KEPT = 300;

// Sound while it is recorded: mono, 16-bit samples.
export class LiveFeed {
  constructor(rate) {
    this.rate = rate;
    this.bytesPerSecond = 2 * rate;
    // Where what is kept begins, and where it ends.
    this.start = this.end = 0;
    this.chunks = [];
    this.ended = false;
    this.times = [];
    this.wake = () => {};
  }

  push(bytes) {
    if (this.ended) return;
    this.chunks.push(new Uint8Array(bytes));
    this.end += bytes.byteLength;
    this.times.push([this.end, performance.now()]);
    this.forget(this.end - KEPT * this.bytesPerSecond);
    this.wake();
  }

  // There will be no more.
  finish() {
    this.ended = true;
    this.wake();
  }

  // Some bytes from `position` on; waits for them. Undefined where it ends.
  async read(position) {
    while (position >= this.end && !this.ended) await new Promise((wake) => (this.wake = wake));
    let at = this.start;
    for (const chunk of this.chunks) {
      if (position < at + chunk.length) return chunk.subarray(Math.max(0, position - at));
      at += chunk.length;
    }
  }

  // What is before `position` is not needed any more; whole chunks go.
  forget(position) {
    while (this.chunks.length && this.start + this.chunks[0].length <= position) this.start += this.chunks.shift().length;
  }

  // Seconds since the sound at `position` was there; what came before it is forgotten.
  age(position) {
    let came;
    while (this.times.length && this.times[0][0] <= position) came = this.times.shift()[1];
    return came === undefined ? undefined : (performance.now() - came) / 1000;
  }
}

// A file in whatever format it has.
export class FileFeed {
  constructor(file) {
    this.file = file;
    this.start = 0;
    this.end = file.size;
  }

  finish() {
    this.end = 0;
  }

  async read(position) {
    if (position >= this.end) return undefined;
    return new Uint8Array(await this.file.slice(position, Math.min(position + PIECE, this.end)).arrayBuffer());
  }

  forget() {}

  age() {}
}
