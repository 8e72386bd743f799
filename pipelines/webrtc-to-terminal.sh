#!/usr/bin/env bash
# What is said in a WebRTC session, an utterance a line: Opus in RTP packets, as media servers forward it (Janus by
# rtp_forward, mediasoup by a PlainTransport). Packets that are lost are made up from the next one (in-band FEC) or concealed.
#
#   pipelines/webrtc-to-terminal.sh 5004
#
# PAYLOAD is the payload type (111, as browsers number Opus). ICE and encryption are not for a launch line:
# `pipeline-server serve` takes both off (WHIP), and does this for each session.
# OPTIONS sets properties of the element.
set -euo pipefail
(($# == 1)) || { echo "usage: [PAYLOAD=111] [OPTIONS='…'] $0 PORT" >&2; exit 2; }

# shellcheck disable=SC2086 # these are several words
exec gst-launch-1.0 -q --no-position -e \
    udpsrc port="$1" \
    caps="application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=${PAYLOAD:-111}" ! \
    rtpjitterbuffer latency=200 do-lost=true ! rtpopusdepay ! opusdec plc=true use-inband-fec=true ! \
    whispertranscribe newline=true ${OPTIONS:-} ! fdsink
