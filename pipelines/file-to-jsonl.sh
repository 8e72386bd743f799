#!/usr/bin/env bash
# What is said in a file as JSON lines: an object an utterance, with its words, their times and their probabilities.
#
#   pipelines/file-to-jsonl.sh INPUT OUTPUT.jsonl
#
# OPTIONS sets properties of the element. OPTIONS='granularity=word' makes each word an object.
# The caps behind the element are what asks for JSON.
set -euo pipefail
(($# == 2)) || { echo "usage: $0 INPUT OUTPUT.jsonl" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS is several words
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin ! \
    whispertranscribe ${OPTIONS:-} ! application/x-json ! \
    filesink location="$2"
