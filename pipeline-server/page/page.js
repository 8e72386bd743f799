// The page: what is pressed, what is shown.

import { Session } from "./session.js";
import * as subtitles from "./subtitles.js";

const $ = (id) => document.getElementById(id);
const finals = [];
let session, recorder, key;

function status(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
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
    const [time, , stable, unstable] = ["time", "span", "b", "i"].map((tag) => $("partial").querySelector(tag));
    const settled = partial.text.startsWith(partial.stable) ? partial.stable : "";
    time.textContent = clock(partial.start);
    stable.textContent = settled;
    unstable.textContent = partial.text.slice(settled.length);
    $("partial").hidden = false;
    $("empty").hidden = true;
  });
}

function showFinal(final) {
  $("partial").hidden = true;
  if (!final.text) return;
  finals.push(final);
  follow(() => {
    const row = document.createElement("p");
    const time = row.appendChild(document.createElement("time"));
    time.textContent = clock(final.start);
    row.appendChild(document.createElement("span")).textContent = final.text;
    $("finals").append(row);
    $("empty").hidden = true;
  });
  exportable();
}

function exportable() {
  for (const id of ["copy", "txt", "srt", "vtt", "clear"]) $(id).disabled = !finals.length;
}

const handlers = {
  partial: showPartial,
  final: showFinal,
  latency: (seconds) => ($("latency").textContent = `${seconds.toFixed(1)} s`),
  state(name, detail) {
    switch (name) {
      case "live":
        $("key-form").hidden = true;
        return status(recorder ? `Listening · ${detail}` : `Transcribing · ${detail}`);
      case "waiting":
        if (detail === "a key is needed") {
          stop();
          $("key-form").hidden = false;
          $("key").focus();
          return status("This server wants a key.", true);
        }
        return status(`Connecting again: ${detail}`, true);
      case "trouble":
        return status(detail, true);
      case "failed":
        stop();
        return status(detail, true);
      case "ended":
        session = undefined;
        $("partial").hidden = true;
        pressed(false);
        return status(detail || "Stopped.", Boolean(detail));
    }
  },
};

// A token where the server has keys; nothing where it has none.
async function token() {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("v1/tokens", { method: "POST", headers });
  if (response.status === 204) return {};
  if (response.status === 401) throw new Error("a key is needed");
  if (!response.ok) throw new Error((await response.json()).detail);
  return { token: (await response.json()).token };
}

function query(more) {
  const language = $("language").value;
  return { ...more, ...(language && { language }) };
}

function pressed(on) {
  $("start").textContent = on ? "Stop" : "Start";
  $("start").setAttribute("aria-pressed", String(on));
  $("language").disabled = on;
}

async function start() {
  pressed(true);
  status("Asking for the microphone …");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, autoGainControl: true } });
    const context = new AudioContext();
    await context.audioWorklet.addModule("worklet.js");
    const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    context.createMediaStreamSource(stream).connect(node);
    recorder = { stream, context };
    session = new Session(query({ encoding: "s16le", sample_rate: context.sampleRate }), token, handlers);
    node.port.onmessage = ({ data }) => {
      $("level").value = Math.max(0, 1 + Math.log10(data.loudness + 1e-6) / 2.5);
      session?.send(data.samples, data.samples.byteLength / 2 / context.sampleRate);
    };
  } catch (error) {
    stop();
    const denied = error.name === "NotAllowedError";
    status(denied ? "The microphone is not allowed; the browser's address bar lets you change that." : error.message, true);
  }
}

function stop() {
  recorder?.stream.getTracks().forEach((track) => track.stop());
  recorder?.context.close();
  recorder = undefined;
  $("level").value = 0;
  pressed(false);
  if (session) {
    status("Waiting for the last words …");
    session.close();
  }
}

async function transcribeFile(file) {
  if (session) return status("Stop first.", true);
  pressed(true);
  session = new Session(query({ encoding: "auto" }), token, handlers, { once: true });
  const current = session;
  while (session === current && !current.open) await new Promise((done) => setTimeout(done, 50));
  const reader = file.stream().getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done || session !== current) break;
    for (let at = 0; at < value.length; at += 65536) {
      await current.room();
      if (current.open) current.socket.send(value.subarray(at, at + 65536));
    }
  }
  if (session === current) current.close();
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

$("start").onclick = () => ($("start").getAttribute("aria-pressed") === "true" ? stop() : start());
$("file").onchange = () => $("file").files[0] && transcribeFile($("file").files[0]).finally(() => ($("file").value = ""));
$("copy").onclick = async () => {
  await navigator.clipboard.writeText(subtitles.txt(finals));
  status("Copied.");
};
$("txt").onclick = () => download("transcript.txt", "text/plain", subtitles.txt(finals));
$("srt").onclick = () => download("transcript.srt", "application/x-subrip", subtitles.srt(finals));
$("vtt").onclick = () => download("transcript.vtt", "text/vtt", subtitles.vtt(finals));
$("clear").onclick = () => {
  finals.length = 0;
  $("finals").replaceChildren();
  $("empty").hidden = false;
  exportable();
};
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key = $("key").value;
  $("key-form").hidden = true;
  start();
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
    document.body.classList.remove("dropping");
  });
}
addEventListener("drop", (event) => event.dataTransfer.files[0] && transcribeFile(event.dataTransfer.files[0]));
pressed(false);
