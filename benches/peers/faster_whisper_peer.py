#!/usr/bin/env python3
"""faster-whisper as a peer: a recording and its utterances in, JSON lines out.

Each utterance is one call, int8, beam 1, as a server with a good segmenter would use it. Each becomes a line
{"type": "text", ...}; the last line is {"type": "summary", ...} with the cost of all calls, the model's loading left
out.
"""

import argparse
import json
import pathlib
import resource
import time
import wave

import numpy
from faster_whisper import WhisperModel

RATE = 16_000


def read_wav(path):
    """Samples of a 16-bit mono file at 16 kHz."""
    with wave.open(str(path)) as file:
        kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if kind != (1, 2, RATE):
            raise SystemExit(f"{path} must be 16-bit mono at {RATE} Hz")
        samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(numpy.float32) / 32768


def cpu_seconds():
    """User and system time of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=pathlib.Path, help="WAV, 16-bit mono at 16 kHz")
    parser.add_argument("utterances", type=pathlib.Path, help="JSON: a list of [start, end] in seconds")
    parser.add_argument("--model", required=True, help="folder of the CTranslate2 model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compute-type", default="int8")
    args = parser.parse_args()

    samples = read_wav(args.recording)
    utterances = json.loads(args.utterances.read_text())
    model = WhisperModel(args.model, device="cpu", compute_type=args.compute_type, cpu_threads=args.threads)

    texts = []
    wall, cpu = time.monotonic(), cpu_seconds()
    for start, end in utterances:
        first, last = (min(max(round(t * RATE), 0), len(samples)) for t in (start, end))
        segments, _ = model.transcribe(
            samples[first:last],
            language="en",
            beam_size=1,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        text = " ".join(segment.text.strip() for segment in segments)
        texts.append(text)
        print(json.dumps({"type": "text", "start": start, "end": end, "text": text}), flush=True)
    summary = {
        "type": "summary",
        "audio_seconds": len(samples) / RATE,
        "wall_seconds": time.monotonic() - wall,
        "cpu_seconds": cpu_seconds() - cpu,
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "text": " ".join(texts),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
