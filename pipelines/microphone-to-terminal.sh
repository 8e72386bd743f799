#!/usr/bin/env bash
# What is said into the microphone, an utterance a line as soon as it is over. Ctrl-C ends it.
#
#   pipelines/microphone-to-terminal.sh
#
# OPTIONS sets properties of the element, SOURCE takes the sound from elsewhere:
#   SOURCE='pulsesrc device=…' pipelines/microphone-to-terminal.sh
#   SOURCE='filesrc location=speech.flac ! decodebin ! clocksync' pipelines/microphone-to-terminal.sh
# Only finals are buffers. Partial results are events and messages: `pipeline-server transcribe` shows them.
set -euo pipefail
(($# == 0)) || { echo "usage: [SOURCE='…'] $0" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS and SOURCE are several words
exec gst-launch-1.0 -q --no-position -e \
    ${SOURCE:-autoaudiosrc} ! \
    whispertranscribe newline=true ${OPTIONS:-} ! \
    fdsink
