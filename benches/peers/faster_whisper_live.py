#!/usr/bin/env python3
"""faster-whisper as a peer that hears many people at once, each at the speed of speech.

A plan comes in: {"streams": [{"recording": WAV, "utterances": [[start, end, decided], ...]}, ...]}, times in seconds.
JSON lines go out: {"type": "final", "stream", "utterance", "at"} when an utterance has its text, {"type": "partial",
...} for text while it is spoken, {"type": "text", "stream", "text"} for the words, and at the end {"type": "summary",
...}. `at` is in seconds since the start.

Two ways to serve them, with one model and some worker threads for all:

- utterances: each is decoded when its end is decided, finals before partials, the final whose speech ended first
  before others. With --partials it is decoded every so many seconds while it is spoken; a stream has one partial
  waiting, a newer one replaces it, the final drops it, and the stream that was served least lately goes first.
- chunks: every 2.5 s the last 3 s are decoded, with beam 3, first come, first served: the naive server.
"""

import argparse
import heapq
import json
import os
import pathlib
import resource
import sys
import threading
import time
from functools import partial

import numpy
from faster_whisper import WhisperModel

from faster_whisper_peer import RATE, cpu_seconds, read_wav

CHUNK = 3.0
STEP = 2.5
# Far too late to catch up: the run is given up.
BEHIND = 15.0


class Speaker:
    """One stream: its samples up to any moment, and what was said in it."""

    def __init__(self, plan):
        self.samples = read_wav(plan["recording"])
        self.seconds = len(self.samples) / RATE
        self.utterances = plan["utterances"]
        self.settled = [None] * len(self.utterances)

    def audio(self, start, end):
        """The samples from `start` to `end`, in seconds."""
        return self.samples[max(0, round(start * RATE)) : round(end * RATE)]


class Jobs:
    """What waits to be decoded, and in which order."""

    def __init__(self):
        self.finals = []
        self.partials = {}
        self.served = {}
        self.running = 0
        self.closed = False
        self.count = 0
        self.changed = threading.Condition()

    def add_final(self, deadline, stream, job):
        with self.changed:
            self.partials.pop(stream, None)
            self.count += 1
            heapq.heappush(self.finals, (deadline, self.count, job))
            self.changed.notify()

    def add_partial(self, stream, job):
        with self.changed:
            self.partials[stream] = job
            self.changed.notify()

    def take(self):
        """The next job; None when there will be no more."""
        with self.changed:
            while not self.finals and not self.partials:
                if self.closed:
                    return None
                self.changed.wait()
            self.running += 1
            if self.finals:
                return heapq.heappop(self.finals)[2]
            stream = min(self.partials, key=lambda stream: self.served.get(stream, 0.0))
            self.served[stream] = time.monotonic()
            return self.partials.pop(stream)

    def done(self):
        with self.changed:
            self.running -= 1

    def idle(self):
        with self.changed:
            return not self.finals and not self.partials and not self.running

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Server:
    """Model, workers and clock."""

    def __init__(self, args, speakers):
        self.args = args
        self.speakers = speakers
        self.model = WhisperModel(
            args.model, device="cpu", compute_type="int8", cpu_threads=1, num_workers=args.workers
        )
        # The first call is slower than the others.
        self.decode(numpy.zeros(RATE, numpy.float32), 1)
        self.jobs = Jobs()
        self.out = threading.Lock()
        self.start = time.monotonic()

    def now(self):
        return time.monotonic() - self.start

    def say(self, **line):
        with self.out:
            print(json.dumps(line), flush=True)

    def decode(self, audio, beam):
        segments, _ = self.model.transcribe(
            audio, language="en", beam_size=beam, condition_on_previous_text=False, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)

    def settle(self, stream, utterance):
        at = self.now()
        self.speakers[stream].settled[utterance] = at
        self.say(type="final", stream=stream, utterance=utterance, at=at)

    def final(self, stream, utterance):
        speaker = self.speakers[stream]
        start, _, decided = speaker.utterances[utterance]
        text = self.decode(speaker.audio(start - 0.2, decided), 1)
        self.settle(stream, utterance)
        self.say(type="text", stream=stream, text=text)

    def so_far(self, stream, utterance, end):
        speaker = self.speakers[stream]
        text = self.decode(speaker.audio(speaker.utterances[utterance][0] - 0.2, end), 1)
        # What comes behind the final is no use.
        if speaker.settled[utterance] is None:
            self.say(type="partial", stream=stream, utterance=utterance, at=self.now(), text=text)

    def chunk(self, stream, end):
        speaker = self.speakers[stream]
        text = self.decode(speaker.audio(end - CHUNK, end), 3)
        for i, (_, spoken, _) in enumerate(speaker.utterances):
            if speaker.settled[i] is None and spoken <= end:
                self.settle(stream, i)
        self.say(type="text", stream=stream, text=text)

    def schedule(self):
        """All that will be asked for, as (moment, function), in order."""
        events = []
        for stream, speaker in enumerate(self.speakers):
            if self.args.mode == "chunks":
                moment = CHUNK
                while moment - STEP < speaker.seconds:
                    events.append((moment, partial(self.jobs.add_final, moment, stream, partial(self.chunk, stream, moment))))
                    moment += STEP
                continue
            for i, (start, end, decided) in enumerate(speaker.utterances):
                events.append((decided, partial(self.jobs.add_final, end, stream, partial(self.final, stream, i))))
                moment = start + self.args.partials
                while self.args.partials and moment <= end:
                    job = partial(self.so_far, stream, i, moment)
                    events.append((moment, partial(self.jobs.add_partial, stream, job)))
                    moment += self.args.partials
        return sorted(events, key=lambda event: event[0])

    def work(self):
        while job := self.jobs.take():
            job()
            self.jobs.done()

    def hopeless(self):
        """Whether a text is far too late, or so many are a little late that the rest can't make up for it."""
        now = self.now()
        delays = [
            (now if at is None else at) - decided
            for speaker in self.speakers
            for (_, _, decided), at in zip(speaker.utterances, speaker.settled)
        ]
        if max(delays, default=0.0) > BEHIND:
            return True
        late = sum(delay >= self.args.late for delay in delays)
        return bool(self.args.late) and late > self.args.share * len(delays) + 1

    def run(self):
        """Serves all of it; says whether it was done."""
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(self.args.workers)]
        for worker in workers:
            worker.start()
        looked = 0.0
        events = self.schedule()
        self.start = time.monotonic()
        for moment, submit in events:
            while (ahead := moment - self.now()) > 0:
                time.sleep(min(ahead, 0.25))
                if self.now() - looked > 0.25:
                    looked = self.now()
                    if self.hopeless():
                        return False
            submit()
        while not self.jobs.idle():
            time.sleep(0.05)
            if self.hopeless():
                return False
        self.jobs.close()
        for worker in workers:
            worker.join()
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("--model", required=True, help="folder of the CTranslate2 model")
    parser.add_argument("--mode", choices=["utterances", "chunks"], default="utterances")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partials", type=float, default=0.0, help="seconds between partials; 0: none")
    parser.add_argument("--late", type=float, default=0.0, help="give up when too many finals take longer from the decision; 0: never")
    parser.add_argument("--share", type=float, default=0.05, help="share of the finals that may take longer")
    args = parser.parse_args()

    streams = json.loads(args.plan.read_text())["streams"]
    server = Server(args, [Speaker(stream) for stream in streams])
    cpu = cpu_seconds()
    done = server.run()
    server.say(
        type="summary",
        end="done" if done else "behind",
        wall_seconds=server.now(),
        cpu_seconds=cpu_seconds() - cpu,
        peak_rss_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )
    sys.stdout.flush()
    # Workers may be in the middle of what nobody waits for any more.
    server.out.acquire()
    os._exit(0)


if __name__ == "__main__":
    main()
