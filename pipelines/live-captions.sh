#!/usr/bin/env bash
# The camera's picture in a window with what is said drawn into it, in time with the lips. Ctrl-C ends it.
#
#   pipelines/live-captions.sh
#
# The picture comes LATENCY milliseconds late (8000 unless set), since a caption is known when it has been said: the
# element tells this to the pipeline and cuts utterances so that it can be kept. The queue holds the pictures meanwhile,
# so they are made small. With less latency utterances are shorter, and what is understood gets worse.
#
# For captions that trail a picture without delay, as on television: OPTIONS='lateness=8000'.
#
# OPTIONS sets properties of the element; CAMERA, MICROPHONE and SCREEN are parts of the pipeline to put in their place:
#   CAMERA='v4l2src device=/dev/video2' MICROPHONE='pulsesrc' pipelines/live-captions.sh
set -euo pipefail
(($# == 0)) || { echo "usage: [CAMERA='…'] [MICROPHONE='…'] [SCREEN='…'] [LATENCY=ms] $0" >&2; exit 2; }

latency=${LATENCY:-8000}
# shellcheck disable=SC2086 # these are several words
exec gst-launch-1.0 -e \
    ${CAMERA:-autovideosrc} ! videoconvert ! videoscale ! video/x-raw,format=I420,width=640,pixel-aspect-ratio=1/1 ! \
        queue max-size-buffers=0 max-size-bytes=0 max-size-time=$(((latency + 2000) * 1000000)) ! \
        textoverlay name=captions shaded-background=true ! ${SCREEN:-videoconvert ! autovideosink} \
    ${MICROPHONE:-autoaudiosrc} ! queue ! \
        whispertranscribe latency="$latency" ${OPTIONS:-} ! captions.text_sink
