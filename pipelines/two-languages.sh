#!/usr/bin/env bash
# One file, two elements: subtitles in the language that is spoken and in English, in one go.
#
#   pipelines/two-languages.sh INPUT SPOKEN.srt ENGLISH.srt
#
# FIRST and SECOND set the properties of the two elements. Unless set, both use the model `base`, which is downloaded
# once; elements with the same model share it. English with the bundled model, and its words one by one:
#   FIRST='model=tiny.en' SECOND='model=tiny.en granularity=word' pipelines/two-languages.sh talk.mp4 a.srt b.srt
#
# The sinks don't wait for each other (async=false): the first text of one branch may be long after that of the other.
set -euo pipefail
(($# == 3)) || { echo "usage: $0 INPUT SPOKEN.srt ENGLISH.srt" >&2; exit 2; }

# shellcheck disable=SC2086 # FIRST and SECOND are several words
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin ! audio/x-raw ! tee name=speech \
    speech. ! queue ! whispertranscribe max-utterance=7000 ${FIRST:-model=base} ! \
        srtenc ! filesink async=false location="$2" \
    speech. ! queue ! whispertranscribe max-utterance=7000 ${SECOND:-model=base task=translate} ! \
        srtenc ! filesink async=false location="$3"
