#!/usr/bin/env bash
# What is said on a telephone line, an utterance a line: RTP packets as a PBX sends them.
#
#   pipelines/phone-to-terminal.sh 5004
#
# CODEC says how they are coded: PCMU (the default), PCMA, G722, OPUS. Who calls whom is not GStreamer's business:
# `pipeline-server serve --sip-listen` answers calls, and does this for each.
# OPTIONS sets properties of the element.
set -euo pipefail
(($# == 1)) || { echo "usage: [CODEC=PCMU|PCMA|G722|OPUS] [OPTIONS='…'] $0 PORT" >&2; exit 2; }

rate=8000
case "${CODEC:=PCMU}" in
    PCMU) payload=0 decoder='rtppcmudepay ! mulawdec' ;;
    PCMA) payload=8 decoder='rtppcmadepay ! alawdec' ;;
    G722) payload=9 decoder='rtpg722depay ! avdec_g722' ;;
    OPUS) payload=${PAYLOAD:-96} rate=48000 decoder='rtpopusdepay ! opusdec plc=true use-inband-fec=true' ;;
    *) echo "$0: CODEC=$CODEC: it is PCMU, PCMA, G722 or OPUS" >&2; exit 2 ;;
esac

# shellcheck disable=SC2086 # these are several words
exec gst-launch-1.0 -q --no-position -e \
    udpsrc port="$1" \
    caps="application/x-rtp,media=audio,encoding-name=$CODEC,clock-rate=$rate,payload=$payload" ! \
    rtpjitterbuffer latency=100 do-lost=true ! $decoder ! \
    whispertranscribe newline=true ${OPTIONS:-} ! fdsink
