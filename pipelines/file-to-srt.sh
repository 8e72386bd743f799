#!/usr/bin/env bash
# Subtitles (SubRip) of what is said in a file, video or audio, in any format that GStreamer decodes.
#
#   pipelines/file-to-srt.sh INPUT OUTPUT.srt
#
# OPTIONS sets properties of the element: OPTIONS='model=base language=de' pipelines/file-to-srt.sh talk.mp4 talk.srt
# Longer utterances are cut, so that no cue stands longer than 7 s.
set -euo pipefail
(($# == 2)) || { echo "usage: $0 INPUT OUTPUT.srt" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS is several words
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin ! \
    whispertranscribe max-utterance=7000 ${OPTIONS:-} ! \
    srtenc ! filesink location="$2"
