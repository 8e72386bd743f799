// A transcription over WebRTC: the browser sends its microphone by WHIP (RFC 9725), and the text comes back over a data
// channel, in the messages of the WebSocket. What the network loses is lost, and what it delays is not waited for; where the
// way to the server changes, another one is looked for.

import { Refused } from "./session.js";

// Milliseconds for a connection to come about, and for the last words once they are asked for.
const CONNECT = 15000;
const LAST_WORDS = 20000;

const ICE = /^a=ice-(ufrag|pwd):(.*)$/gm;

export class WebRtcSession {
  // `stream` has the audio; the rest is as for `Session`.
  constructor({ server, query, token, stream, on }) {
    Object.assign(this, { server, query, token, stream, on });
    this.isOver = false;
    this.leave = () => this.end();
    addEventListener("pagehide", this.leave);
    this.connect().catch((error) => this.over("failed", error.message));
  }

  // No more audio; what is there is still transcribed.
  close() {
    if (this.channel?.readyState !== "open") return this.over("ended");
    this.channel.send('{"type":"close"}');
    setTimeout(() => this.over("failed", "the last words did not come"), LAST_WORDS);
  }

  // Ends it at once.
  discard() {
    this.over("ended");
  }

  async connect() {
    const peer = (this.peer = new RTCPeerConnection());
    peer.addTransceiver(this.stream.getAudioTracks()[0], { direction: "sendonly", streams: [this.stream] });
    this.channel = peer.createDataChannel("captions");
    this.channel.onmessage = ({ data }) => !this.isOver && this.take(JSON.parse(data));
    this.channel.onclose = () => this.over("failed", this.trouble || "the connection broke off");
    peer.oniceconnectionstatechange = () => this.changed();
    setTimeout(() => this.since ?? this.over("failed", "there is no way to the server over UDP; try WebSocket"), CONNECT);

    await peer.setLocalDescription();
    const url = new URL("whip", this.server);
    for (const [name, value] of Object.entries({ ...this.query, ...(await this.token()) })) url.searchParams.set(name, value);
    if (this.isOver) return;
    const headers = { "Content-Type": "application/sdp" };
    const response = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp }).catch(() => {
      throw new Error("the server can't be reached");
    });
    if (!response.ok) throw new Refused((await response.json()).detail);
    this.publication = new URL(`whip/${response.headers.get("location").split("/").pop()}`, this.server);
    // It was discarded meanwhile.
    if (this.isOver) return this.end();
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  changed() {
    switch (this.peer.iceConnectionState) {
      case "connected":
        this.since ??= performance.now();
        if (this.waits) this.on.state("live", { model: this.model });
        this.waits = false;
        break;
      case "disconnected":
        this.waits = true;
        this.on.state("waiting", "the network changed");
        this.restart().catch(() => {});
        break;
      case "failed":
        this.over("failed", "the connection broke off");
    }
  }

  // Looks for another way to the server (an ICE restart).
  async restart() {
    this.peer.restartIce();
    await this.peer.setLocalDescription();
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" };
    const body = this.peer.localDescription.sdp.match(ICE).slice(0, 2).join("\r\n") + "\r\n";
    const response = await fetch(this.publication, { method: "PATCH", headers, body });
    if (!response.ok) return;
    const found = Object.fromEntries([...(await response.text()).matchAll(ICE)].map(([, name, value]) => [name, value]));
    const sdp = this.peer.remoteDescription.sdp.replace(ICE, (_, name) => `a=ice-${name}:${found[name].trim()}`);
    await this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  take(message) {
    switch (message.type) {
      case "ready":
        this.model = message.model;
        return this.on.state("live", { model: message.model });
      case "partial":
      case "final": {
        const { start, end, language, stable, text } = message;
        this.on.latency(Math.max(0, (performance.now() - this.since) / 1000 - end));
        if (message.type === "final") return this.on.final({ start, end, language, text: text.trim() });
        return this.on.partial({ start, end, language, stable, text });
      }
      case "error":
        if (message.fatal) this.trouble = message.problem.detail;
        else this.on.state("trouble", message.problem.detail);
        return;
      case "closed":
        // There is nothing to take back any more.
        this.publication = undefined;
        return ["client_closed", "end_of_stream"].includes(message.reason)
          ? this.over("ended")
          : this.over("failed", this.trouble || `the server ended the session: ${message.reason}`);
    }
  }

  over(state, detail) {
    if (this.isOver) return;
    this.isOver = true;
    removeEventListener("pagehide", this.leave);
    this.end();
    this.peer?.close();
    this.on.state(state, detail);
  }

  // Takes the publication back, also while the page goes away.
  end() {
    if (this.publication) fetch(this.publication, { method: "DELETE", keepalive: true }).catch(() => {});
  }
}
