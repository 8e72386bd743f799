#!/usr/bin/env bash
# Captions for the web (WebVTT) of what is said in a file, video or audio, in any format that GStreamer decodes.
#
#   pipelines/file-to-webvtt.sh INPUT OUTPUT.vtt
#
# OPTIONS sets properties of the element. OPTIONS='granularity=word' makes each word a cue.
# Longer utterances are cut, so that no cue stands longer than 7 s.
set -euo pipefail
(($# == 2)) || { echo "usage: $0 INPUT OUTPUT.vtt" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS is several words
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin ! \
    whispertranscribe max-utterance=7000 ${OPTIONS:-} ! \
    webvttenc ! filesink location="$2"
