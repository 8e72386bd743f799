#!/bin/bash
# Sends raw audio from standard input (mono, 16 kHz, 32-bit floats) to pipeline-server and prints what comes back. It needs
# websocat 1.x and jq.
set -o pipefail

# Each line is a message: audio in base64 behind a B, text as it is. 8528 characters are 6396 bytes, 0.1 s in whole samples.
{
    base64 --wrap=8528 | sed --unbuffered 's/^/B/'
    echo '{"type":"close"}'
} | websocat --text --base64 --binary-prefix=B --no-close "${1:-ws://127.0.0.1:8765/ws/transcribe}" |
    jq --unbuffered --raw-output '
        if .type == "partial" then "... \(.text)"
        elif .type == "final" then "> \(.text)"
        elif .type == "error" then "! \(.problem.detail)"
        else empty end'
