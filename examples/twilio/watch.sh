#!/usr/bin/env bash
# What is said in a phone call: who said it and what, a line an utterance.
#
#   examples/twilio/watch.sh CALL_SID [http://127.0.0.1:8765]
#
# KEY is an API key of the server, where it has keys. It needs curl and jq.
set -euo pipefail
(($# == 1 || $# == 2)) || { echo "usage: [KEY=…] $0 CALL_SID [http://ADDRESS:PORT]" >&2; exit 2; }

ask() {
    curl -sSN --fail ${KEY:+-H "Authorization: Bearer $KEY"} "$1"
}

server=${2:-http://127.0.0.1:8765}
session=$(ask "$server/v1/sessions?call_id=$1" | jq -r '.[0].session_id // empty')
[[ $session ]] || { echo "no call of that name is under way" >&2; exit 1; }
ask "$server/v1/sessions/$session/events?after=0" | sed -un 's/^data: *//p' |
    jq --unbuffered -r 'select(.type == "final" and .text != "") | "\(.party):\(.text)"'
