#!/usr/bin/env bash
# The main job on bundled speech, as fast as it was spoken: `make demo` builds and calls this.
#
#   scripts/demo.sh FILE…

source "$(dirname "$0")/lib.sh"

cd "$root"
(($#)) || die 'no file to play' 'Usage: scripts/demo.sh FILE…'
for file; do [[ -f $file ]] || die "there is no file $file"; done

show() { printf '\n$ %s\n' "$*"; }

printf '\nPlaying %s at real-time pace; words appear while they are spoken.\n' "$*"
show target/release/pipeline-server transcribe --real-time --partials --words "$@"
target/release/pipeline-server transcribe --real-time --partials --words "$@" \
    || die "transcription went wrong (exit code $?)" 'The cause stands above.'

last=tests/data/speech/librivox-sense-0920.flac
line="filesrc location=$last ! decodebin ! clocksync ! whispertranscribe granularity=word ! application/x-json ! fdsink"
printf '\nThe same with nothing but GStreamer, a word a line:\n'
show "GST_PLUGIN_PATH=target/release gst-launch-1.0 -q --no-position $line"
# fdsink writes a regular file from its start on, whatever stands there: cat keeps a log of this whole.
# shellcheck disable=SC2086 # the pipeline is several words
gst-launch-1.0 -q --no-position $line | cat || die "gst-launch-1.0 went wrong (exit code $?)" 'The cause stands above.'

printf '\nDone. `gst-inspect-1.0 whispertranscribe` (with the same GST_PLUGIN_PATH) shows what can be set.\n'
