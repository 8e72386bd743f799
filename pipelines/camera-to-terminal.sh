#!/usr/bin/env bash
# What is said before a network camera (RTSP), an utterance a line.
#
#   pipelines/camera-to-terminal.sh rtsp://camera.example/live
#
# Over TCP, so that nothing is lost, and by the camera's own times (buffer-mode), so that a hiccup tears no words apart.
# When the camera goes away the pipeline ends: `pipeline-server transcribe` waits for it.
# User name and password stand in LOGIN as properties, so that they are not in the address: LOGIN='user-id=… user-pw=…'.
# OPTIONS sets properties of the element.
set -euo pipefail
(($# == 1)) || { echo "usage: [LOGIN='user-id=… user-pw=…'] [OPTIONS='…'] $0 rtsp://…" >&2; exit 2; }

# shellcheck disable=SC2086 # these are several words
exec gst-launch-1.0 -q --no-position -e \
    rtspsrc location="$1" protocols=tcp latency=200 buffer-mode=none ${LOGIN:-} ! application/x-rtp,media=audio ! decodebin ! \
    whispertranscribe newline=true ${OPTIONS:-} ! fdsink
