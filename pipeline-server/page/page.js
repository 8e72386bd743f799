// The page: what is pressed, what is shown.

import { FileFeed, LiveFeed } from "./feed.js";
import { explained, Microphone } from "./microphone.js";
import { Refused, Session } from "./session.js";
import * as subtitles from "./subtitles.js";
import { WebRtcSession } from "./webrtc.js";

const $ = (id) => document.getElementById(id);
const finals = [];
let session, microphone, key;
// What the key is asked for: it goes on when there is one.
let wanted;
// Seconds of earlier recordings in the transcript; those of the next one go on from there.
let offset = 0;

function status(text, state = "idle") {
  $("status-text").textContent = text;
  $("status").dataset.state = state;
  $("kept").textContent = "";
}

function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

// Keeps the end in sight for whoever reads along, and leaves alone whoever scrolled up.
function follow(change) {
  const box = $("transcript");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  change();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function showPartial(partial) {
  follow(() => {
    const [time, stable, unstable] = ["time", "b", "i"].map((tag) => $("partial").querySelector(tag));
    const settled = partial.text.startsWith(partial.stable) ? partial.stable : "";
    time.textContent = clock(offset + partial.start);
    stable.textContent = settled;
    unstable.textContent = partial.text.slice(settled.length);
    $("partial").hidden = false;
    $("empty").hidden = true;
  });
}

function showFinal({ start, end, text, language }) {
  $("partial").hidden = true;
  if (!text) return;
  const final = { start: offset + start, end: offset + end, text };
  finals.push(final);
  follow(() => {
    const row = document.createElement("p");
    Object.assign(row, { lang: language, dir: "auto" });
    row.appendChild(document.createElement("time")).textContent = clock(final.start);
    row.appendChild(document.createElement("span")).textContent = text;
    $("finals").append(row);
    $("empty").hidden = true;
  });
  exportable();
}

function exportable() {
  for (const id of ["copy", "txt", "srt", "vtt", "clear"]) $(id).disabled = !finals.length;
}

const on = {
  partial: showPartial,
  final: showFinal,
  latency: (seconds) => ($("latency").textContent = `${seconds.toFixed(1)} s`),
  lost: (seconds) => status(`Away for too long: ${Math.round(seconds)} s were not kept.`, "wrong"),
  state(name, detail) {
    switch (name) {
      case "live": {
        const back = detail.away === undefined ? "" : ` · back after ${Math.ceil(detail.away)} s, nothing is lost`;
        return status(`${microphone ? "Listening" : "Transcribing"} · ${detail.model}${back}`, "live");
      }
      case "waiting":
        return status(`Connecting again: ${detail}`, "wait");
      case "trouble":
        return status(detail, "wrong");
      default:
        return ended(detail);
    }
  },
};

function ended(detail) {
  release();
  session = undefined;
  $("partial").hidden = true;
  $("empty").hidden = finals.length > 0;
  offset = finals.at(-1)?.end ?? 0;
  pressed(false);
  if (detail !== NEEDS_KEY) return status(detail || "Stopped.", detail ? "wrong" : "idle");
  $("key-form").hidden = false;
  $("key").focus();
  status(detail, "wrong");
}

const NEEDS_KEY = "This server wants a key.";

// A token where the server has keys; nothing where it has none.
async function token() {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("v1/tokens", { method: "POST", headers }).catch(() => {
    throw new Error("the server can't be reached");
  });
  if (response.status === 204) return {};
  if (response.status === 401) throw new Refused(NEEDS_KEY);
  if (!response.ok) throw new Error((await response.json()).detail);
  return { token: (await response.json()).token };
}

// `way` is how the audio gets there: WebSocket from a feed, or WebRTC from a stream.
function begin(Way, query, way) {
  const language = $("language").value;
  const server = new URL(".", location.href);
  session = new Way({ server, query: { ...query, ...(language && { language }) }, token, on, ...way });
}

// The button: "Start", then "Stop", and while the last words are waited for "Discard".
function pressed(on, label = on ? "Stop" : "Start") {
  $("start").textContent = label;
  $("start").setAttribute("aria-pressed", String(on));
  for (const id of ["language", "websocket", "webrtc"]) $(id).disabled = on;
}

async function start() {
  wanted = start;
  pressed(true);
  status("Asking for the microphone …");
  try {
    microphone = await Microphone.open(() => stop());
    const feed = $("webrtc").checked ? undefined : new LiveFeed(microphone.rate);
    if (feed) begin(Session, { encoding: "s16le", sample_rate: microphone.rate }, { feed });
    else begin(WebRtcSession, {}, { stream: microphone.stream });
    microphone.hear(({ samples, loudness }) => {
      $("level").value = Math.max(0, 1 + Math.log10(loudness + 1e-6) / 2.5);
      if (!feed) return;
      feed.push(samples);
      if ($("status").dataset.state === "wait") {
        $("kept").textContent = `${Math.floor((feed.end - feed.start) / feed.bytesPerSecond)} s kept`;
      }
    });
  } catch (error) {
    ended(explained(error));
  }
}

// The microphone is let go of.
function release() {
  microphone?.close();
  microphone = undefined;
  $("level").value = 0;
}

// What was said so far still gets its text; who does not want to wait for that stops once more.
function stop() {
  release();
  if (!session) return pressed(false);
  if ($("start").textContent === "Discard") return session.discard();
  pressed(true, "Discard");
  status("Waiting for the last words …", $("status").dataset.state === "wait" ? "wait" : "live");
  session.close();
}

function transcribe(file) {
  if (session) return status("Stop first.", "wrong");
  wanted = () => transcribe(file);
  pressed(true);
  status(`Sending ${file.name} …`);
  begin(Session, { encoding: "auto" }, { feed: new FileFeed(file) });
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Browsers give the clipboard to pages over HTTPS or from this machine only.
async function copy() {
  try {
    await navigator.clipboard.writeText(subtitles.txt(finals));
    status("Copied.", $("status").dataset.state);
  } catch {
    getSelection().selectAllChildren($("finals"));
    status("Selected: press Ctrl+C to copy it.", $("status").dataset.state);
  }
}

$("start").onclick = () => ($("start").getAttribute("aria-pressed") === "true" ? stop() : start());
$("file").onchange = () => {
  const [file] = $("file").files;
  if (file) transcribe(file);
  // The same one may be chosen again.
  $("file").value = "";
};
$("copy").onclick = copy;
$("txt").onclick = () => download("transcript.txt", "text/plain", subtitles.txt(finals));
$("srt").onclick = () => download("transcript.srt", "application/x-subrip", subtitles.srt(finals));
$("vtt").onclick = () => download("transcript.vtt", "text/vtt", subtitles.vtt(finals));
$("clear").onclick = () => {
  finals.length = 0;
  $("finals").replaceChildren();
  $("empty").hidden = Boolean(session);
  if (!session) offset = 0;
  exportable();
};
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key = $("key").value;
  $("key-form").hidden = true;
  wanted();
};
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
for (const kind of ["dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    if (kind === "drop" || !event.relatedTarget) document.body.classList.remove("dropping");
  });
}
addEventListener("drop", (event) => event.dataTransfer.files[0] && transcribe(event.dataTransfer.files[0]));
if (location.hash === "#webrtc") $("webrtc").checked = true;
pressed(false);
