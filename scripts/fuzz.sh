#!/usr/bin/env bash
# Runs each fuzz target for a bounded time: scripts/fuzz.sh [seconds]
#
# cargo-fuzz is built into .deps/bin if it is missing. The stable toolchain will do: coverage comes from a pass that
# rustc has anyway, and only sanitizers, which readers without unsafe code have little use for, need nightly.

source "$(dirname "$0")/lib.sh"

seconds=${1:-60}
export PATH=$deps/bin:$PATH
if ! command -v cargo-fuzz >/dev/null; then
    say 'missing: cargo-fuzz; building it from crates.io into .deps/bin, which takes some minutes, once'
    cargo install cargo-fuzz --version 0.13.2 --locked --root "$deps" \
        || die 'cargo-fuzz could not be built' 'What cargo says stands above.'
fi
command -v c++ >/dev/null || die 'there is no C++ compiler, which libFuzzer is built with' 'Run make setup first.'

cd "$root"
# The targets write their samples there: in memory, where there is such a place.
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
for target in ggml safetensors ctranslate2 control websocket sip twilio whip; do
    say "fuzzing $target for $seconds s"
    words=()
    case $target in
        control | websocket) words=(-dict=fuzz/websocket.dict) ;;
        sip | twilio) words=(-dict=fuzz/$target.dict) ;;
    esac
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=1024 "${words[@]}" \
        || die "$target failed" "The input that does it is below fuzz/artifacts/$target; cargo fuzz run $target FILE repeats it."
done
