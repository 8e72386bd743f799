#!/usr/bin/env bash
# Copies the built plugin and programs, ONNX Runtime and the bundled model to where they are found without settings.
#
#   [PREFIX=/usr/local] [DESTDIR=] [PLUGINSDIR=] scripts/install.sh install|uninstall
#
# The plugin goes where GStreamer looks: its own plugin folder, or for PREFIX=~/.local the user's.

source "$(dirname "$0")/lib.sh"

prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR:-}
if [[ -z ${PLUGINSDIR:-} ]]; then
    if [[ $prefix == "$HOME/.local" ]]; then
        PLUGINSDIR=$prefix/share/gstreamer-1.0/plugins
    else
        PLUGINSDIR=$(pkg-config --variable=pluginsdir gstreamer-1.0) || die 'pkg-config knows no gstreamer-1.0' 'Run make setup first, or set PLUGINSDIR.'
    fi
fi

# mode, source, destination
files=(
    "755|target/release/libgstwhispertranscribe.so|$PLUGINSDIR/libgstwhispertranscribe.so"
    "755|target/release/pipeline-server|$prefix/bin/pipeline-server"
    "644|.deps/onnxruntime/libonnxruntime.so|$prefix/lib/whispertranscribe/libonnxruntime.so"
    "644|models/ggml-tiny.en-q8_0.bin|$prefix/share/whispertranscribe/models/ggml-tiny.en-q8_0.bin"
    "644|.deps/onnxruntime/LICENSE|$prefix/share/doc/whispertranscribe/LICENSE.onnxruntime"
    "644|.deps/onnxruntime/ThirdPartyNotices.txt|$prefix/share/doc/whispertranscribe/ThirdPartyNotices.onnxruntime.txt"
    "644|models/LICENSE.whisper|$prefix/share/doc/whispertranscribe/LICENSE.whisper"
    "644|models/LICENSE.silero-vad|$prefix/share/doc/whispertranscribe/LICENSE.silero-vad"
    "644|LICENSE|$prefix/share/doc/whispertranscribe/LICENSE"
)

bash=$prefix/share/bash-completion/completions/pipeline-server
zsh=$prefix/share/zsh/site-functions/_pipeline-server
fish=$prefix/share/fish/vendor_completions.d/pipeline-server.fish
man=$prefix/share/man/man1

cd "$root"
case "${1:-}" in
    install)
        for entry in "${files[@]}"; do
            IFS='|' read -r mode from to <<<"$entry"
            if [[ ! -f $from && $from == .deps/* ]]; then
                say "skipping $(basename "$to"): set-up fetched no ONNX Runtime"
                continue
            fi
            install -D -m "$mode" "$from" "$destdir$to" \
                || die "cannot write $destdir$to" 'Use sudo, or PREFIX=~/.local to install for yourself alone.'
            say "installed $destdir$to"
        done
        for shell in bash zsh fish; do
            install -d "$(dirname "$destdir${!shell}")"
            target/release/pipeline-server completions "$shell" >"$destdir${!shell}"
            chmod 644 "$destdir${!shell}"
            say "installed $destdir${!shell}"
        done
        target/release/pipeline-server man "$destdir$man"
        say "installed $destdir$man/pipeline-server.1 and those of its commands"
        ;;
    uninstall)
        for entry in "${files[@]}"; do
            IFS='|' read -r _ _ to <<<"$entry"
            rm -f "$destdir$to" || die "cannot remove $destdir$to"
        done
        rm -f "$destdir$bash" "$destdir$zsh" "$destdir$fish" "$destdir$man"/pipeline-server{,-*}.1
        for dir in share/whispertranscribe/models share/whispertranscribe share/doc/whispertranscribe lib/whispertranscribe; do
            rmdir "$destdir$prefix/$dir" 2>/dev/null || true
        done
        say 'removed'
        ;;
    *) die 'what to do?' 'Usage: scripts/install.sh install|uninstall' ;;
esac
