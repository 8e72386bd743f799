#!/usr/bin/env python3
"""Prints what is said in a file, or into the microphone, from the messages of whispertranscribe.

    GST_PLUGIN_PATH=target/release python3 examples/print_finals.py tests/data/speech/jfk-inaugural.flac
    GST_PLUGIN_PATH=target/release python3 examples/print_finals.py

Partials begin with "..."; they may change. Finals begin with their times; they never change.
Needs the Debian packages python3-gi and gir1.2-gstreamer-1.0. Ctrl-C ends it.
"""

import json
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402 (the version comes first)


def build(path):
    """The pipeline for a file at the pace of speech, or for the microphone without a path."""
    source = "autoaudiosrc name=source"
    if path is not None:
        source = "filesrc name=source ! decodebin ! clocksync"
    # Text is read from the bus, where the partials are too, so that the buffers have nowhere to go.
    pipeline = Gst.parse_launch(f"{source} ! whispertranscribe name=scribe ! fakesink async=false")
    if path is not None:
        pipeline.get_by_name("source").set_property("location", path)
    return pipeline


def show(structure):
    """One line for a partial or final; `json` holds all fields, times in seconds."""
    event = json.loads(structure.get_string("json"))
    if event["type"] == "partial":
        print("...", event["text"], flush=True)
    elif event["type"] == "final" and event["text"]:
        print(f"[{event['start']:.2f} - {event['end']:.2f}] {event['text']}", flush=True)


def on_message(_bus, message, loop, outcome):
    """Handles the bus: text, the end, errors."""
    if message.type == Gst.MessageType.ELEMENT:
        structure = message.get_structure()
        if structure.get_name().startswith("whispertranscribe/"):
            show(structure)
    elif message.type == Gst.MessageType.EOS:
        loop.quit()
    elif message.type == Gst.MessageType.ERROR:
        error, _where = message.parse_error()
        print(f"error: {error.message}", file=sys.stderr)
        outcome["code"] = 1
        loop.quit()
    return True


def stop(pipeline):
    """Ends the sound: the element gives out what it has, and then EOS."""
    pipeline.send_event(Gst.Event.new_eos())
    return GLib.SOURCE_REMOVE


def main():
    Gst.init(None)
    try:
        pipeline = build(sys.argv[1] if len(sys.argv) > 1 else None)
    except GLib.Error as error:
        print(f"error: {error.message}; is GST_PLUGIN_PATH set?", file=sys.stderr)
        return 1
    loop, outcome = GLib.MainLoop(), {"code": 0}
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message, loop, outcome)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, stop, pipeline)
    try:
        pipeline.set_state(Gst.State.PLAYING)
        loop.run()
    finally:
        pipeline.set_state(Gst.State.NULL)
    return outcome["code"]


if __name__ == "__main__":
    sys.exit(main())
