#!/usr/bin/env bash
# Installs what this project needs and the machine lacks; does nothing where everything is there.
#
#   scripts/setup.sh           for building and running
#   scripts/setup.sh --tests   for the tests as well
#
# System packages come from apt, everything else goes into .deps/ of this clone.

source "$(dirname "$0")/lib.sh"

tests=false
case "${1:-}" in
    '') ;;
    --tests) tests=true ;;
    *) die "unknown argument: $1" 'Usage: scripts/setup.sh [--tests]' ;;
esac

# package, why
packages=(
    'libgstreamer1.0-dev|headers of GStreamer'
    'libgstreamer-plugins-base1.0-dev|headers of the GStreamer audio library'
    'gstreamer1.0-tools|gst-launch-1.0 and gst-inspect-1.0'
    'gstreamer1.0-plugins-base|decodebin, conversion, Ogg, Opus and Vorbis'
    'gstreamer1.0-plugins-good|FLAC, WAV, MP3, Matroska and MP4 files, microphones'
    'gstreamer1.0-plugins-bad|srtenc and webvttenc; SRT, RTMP; concealment of lost packets in calls'
    'gstreamer1.0-libav|G.722, the better sound of telephones'
    'pkg-config|finds the GStreamer libraries'
    'g++|compiles whisper.cpp'
    'cmake|builds whisper.cpp'
    'libssl-dev|encryption of WebRTC (DTLS)'
    'libclang-dev|Rust bindings of whisper.cpp (bindgen)'
)
test_packages=(
    'flite|speaks test sentences'
    'espeak-ng|speaks test sentences in other languages'
    'gstreamer1.0-x|textoverlay, for the burned-in captions'
    'nginx-light|a proxy in front of the server'
    'chromium|shows the page of the server'
    'jq|reads JSON in the example for the shell'
    'openssl|makes certificates'
    'python3-gi|the camera of the tests is a Python program'
    'gir1.2-gst-rtsp-server-1.0|the camera: an RTSP server with AAC, Opus and G.711'
    'gstreamer1.0-nice|ICE for webrtcbin, a WebRTC client of the tests'
    'gir1.2-gst-plugins-bad-1.0|the same for Python'
    'baresip-core|a telephone'
    'sip-tester|SIPp: calls by scenarios, many at once'
    'kamailio|a PBX: registrar and proxy'
    'ffmpeg|sends SRT, RTMP, HLS and Icecast streams'
    'icecast2|internet radio'
)

installed() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --preserve-env=DEBIAN_FRONTEND "$@"
    else
        die 'packages must be installed, but this is not root and there is no sudo' "As root: apt-get install --no-install-recommends ${missing[*]}"
    fi
}

apt_updated=false

# Installs those of the packages ("name|why") that are missing.
apt_packages() {
    missing=()
    local entry
    for entry in "$@"; do
        installed "${entry%%|*}" && continue
        missing+=("${entry%%|*}")
        say "missing: ${entry%%|*} (${entry#*|})"
    done
    ((${#missing[@]})) || return 0
    say "installing ${#missing[@]} packages with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    if ! $apt_updated; then
        as_root apt-get update -qq </dev/null \
            || die 'apt-get update went wrong' 'Is there a network? What apt says stands above.'
        apt_updated=true
    fi
    as_root apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" </dev/null \
        || die "apt-get could not install: ${missing[*]}" 'What apt says stands above.'
}

command -v cargo >/dev/null || die 'there is no cargo' 'Install Rust 1.92 or newer, see https://rustup.rs'

if $tests; then packages+=("${test_packages[@]}"); fi
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    apt_packages "${packages[@]}"
else
    say 'this is no Debian: not installing system packages. Needed are, under their Debian names:'
    printf '    %s\n' "${packages[@]/|/: }"
fi

source "$root/scripts/onnxruntime.sh"
onnxruntime

if $tests; then
    onnxruntime_openvino
    source "$root/scripts/python.sh"
    python_environment
fi

if $tests && ! command -v cargo-nextest >/dev/null; then
    say 'missing: cargo-nextest (runs each test in a process of its own)'
    say 'building it from crates.io into .deps/bin; this takes some minutes, once'
    cargo install cargo-nextest --version 0.9.143 --locked --no-default-features --features default-no-update \
        --root "$deps" || die 'cargo-nextest could not be built' 'What cargo says stands above.'
fi

say 'everything is there'
