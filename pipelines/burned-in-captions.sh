#!/usr/bin/env bash
# A copy of a video (as WebM) with what is said drawn into the picture.
#
#   pipelines/burned-in-captions.sh INPUT OUTPUT.webm
#
# OPTIONS sets properties of the element.
#
# textoverlay holds each picture until it knows the text for it, and that is known only when the utterance is over.
# If both came from one demuxer, queues would have to hold seconds of raw video for that, or the pipeline would stand
# still. So the file is read twice: the lower branch hears it ahead of the upper one, as far as is needed.
set -euo pipefail
(($# == 2)) || { echo "usage: $0 INPUT OUTPUT.webm" >&2; exit 2; }

# shellcheck disable=SC2086 # OPTIONS is several words
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin name=film \
    film. ! queue ! videoconvert ! textoverlay name=captions shaded-background=true ! \
        videoconvert ! vp8enc deadline=1 cpu-used=4 end-usage=cq cq-level=20 target-bitrate=8000000 ! queue ! out. \
    film. ! queue ! audioconvert ! audioresample ! vorbisenc ! queue ! out. \
    webmmux name=out ! filesink location="$2" \
    filesrc location="$1" ! decodebin ! audio/x-raw ! \
        whispertranscribe max-utterance=7000 ${OPTIONS:-} ! captions.text_sink
