// Finals as text and subtitles. A final is { start, end, text } with times in seconds.

function stamp(seconds, point) {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}${point}${String(ms % 1000).padStart(3, "0")}`;
}

export const txt = (finals) => finals.map((f) => f.text + "\n").join("");

export const srt = (finals) =>
  finals.map((f, i) => `${i + 1}\n${stamp(f.start, ",")} --> ${stamp(f.end, ",")}\n${f.text}\n\n`).join("");

export const vtt = (finals) =>
  "WEBVTT\n\n" + finals.map((f) => `${stamp(f.start, ".")} --> ${stamp(f.end, ".")}\n${f.text.replace(/&/g, "&amp;").replace(/</g, "&lt;")}\n\n`).join("");
