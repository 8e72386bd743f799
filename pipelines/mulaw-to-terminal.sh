#!/usr/bin/env bash
# What is said on a telephone line: G.711 μ-law at 8 kHz without any header, as Twilio's Media Streams have it, from
# standard input.
#
#   pipelines/mulaw-to-terminal.sh < call.ulaw
#
# OPTIONS sets properties of the element.
set -euo pipefail
(($# == 0)) || { echo "usage: [OPTIONS='…'] $0 < FILE" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS is several words
exec gst-launch-1.0 -q --no-position \
    fdsrc ! rawaudioparse format=mulaw sample-rate=8000 num-channels=1 ! mulawdec ! \
    whispertranscribe newline=true ${OPTIONS:-} ! \
    fdsink
