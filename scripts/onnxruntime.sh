# Puts the ONNX Runtime library, which the Silero VAD runs on, into .deps/onnxruntime. Sourced by setup.sh.
#
# It is taken out of the official wheel on PyPI, because that is where a released, CPU-only library is to be had
# through an ordinary package client and its mirrors. Neither Python nor the wheel is used for anything else.

onnxruntime_version=1.32.0
# One wheel per architecture; the library in it does not depend on the Python version, so one is pinned.
declare -A onnxruntime_sha256=(
    [x86_64]=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
    [aarch64]=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c
)

openvino_version=1.24.1
openvino_sha256=3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8

onnxruntime() {
    local target=$deps/onnxruntime
    if [[ -n ${ORT_DYLIB_PATH:-} ]]; then
        say "ONNX Runtime: ORT_DYLIB_PATH is set, using $ORT_DYLIB_PATH"
        return
    fi
    if [[ -f $target/libonnxruntime.so && $(cat "$target/VERSION" 2>/dev/null) == "$onnxruntime_version" ]]; then
        return
    fi

    local arch digest work
    arch=$(uname -m)
    digest=${onnxruntime_sha256[$arch]:-}
    [[ -n $digest ]] || die "there is no ONNX Runtime wheel for $arch" \
        'Install libonnxruntime.so (1.22 or newer) by other means and set ORT_DYLIB_PATH to its path.'

    say "missing: ONNX Runtime $onnxruntime_version (runs the voice activity detector); fetching it from PyPI, about 25 MB"
    unpacked_wheel onnxruntime "$onnxruntime_version" "$digest" 'Or set ORT_DYLIB_PATH to a libonnxruntime.so (1.22 or newer).'
    mv "$work"/wheel/onnxruntime/capi/libonnxruntime.so.* "$work/new/libonnxruntime.so"
    finish_library "$onnxruntime_version" "$target"
}

# The library with Intel's execution provider: a device that is not the plain CPU, and yet on every machine of the tests.
onnxruntime_openvino() {
    local target=$deps/onnxruntime-openvino work
    if [[ $(uname -m) != x86_64 ]]; then
        say 'there is no ONNX Runtime with OpenVINO for this processor: its tests are not built'
        return
    fi
    if [[ -f $target/libonnxruntime.so && $(cat "$target/VERSION" 2>/dev/null) == "$openvino_version" ]]; then
        return
    fi
    say "missing: ONNX Runtime $openvino_version with OpenVINO (tests of devices); fetching it from PyPI, about 85 MB"
    unpacked_wheel onnxruntime-openvino "$openvino_version" "$openvino_sha256"
    mv "$work"/wheel/onnxruntime/capi/libonnxruntime.so.* "$work/new/libonnxruntime.so"
    # Three names of one file each, all as copies; the one that is asked for stays.
    rm -f "$work"/wheel/onnxruntime/capi/lib*.so.20*
    mv "$work"/wheel/onnxruntime/capi/lib{onnxruntime_providers,openvino,tbb}*.so* "$work/new/"
    finish_library "$openvino_version" "$target"
}

# Unpacks the wheel of a package, which has to have that digest, into $work/wheel, beside an empty folder $work/new.
unpacked_wheel() {
    local package=$1 version=$2 digest=$3 other=${4:-}
    if ! python3 -m pip --version >/dev/null 2>&1; then
        command -v apt-get >/dev/null || die 'python3 with pip is needed to fetch it' ${other:+"$other"}
        apt_packages 'python3-pip|fetches ONNX Runtime'
    fi
    mkdir -p "$deps"
    work=$(mktemp -d "$deps/.onnxruntime.XXXXXX")
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$work'" EXIT
    printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$digest" >"$work/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
        --platform "manylinux_2_28_$(uname -m)" --dest "$work" --requirement "$work/requirements.txt" </dev/null \
        || die "the wheel of $package could not be fetched" \
            'Is there a network? pip reads PIP_INDEX_URL and its configuration for mirrors and proxies.' ${other:+"$other"}
    python3 -m zipfile -e "$work"/*.whl "$work/wheel"
    mkdir "$work/new"
    mv "$work"/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/new/"
}

# Puts $work/new in the place of what was there.
finish_library() {
    local version=$1 target=$2
    echo "$version" >"$work/new/VERSION"
    if [[ -e $target ]]; then mv "$target" "$work/old"; fi
    mv "$work/new" "$target"
    rm -rf "$work"
    say "installed ONNX Runtime $version in .deps/${target##*/}"
}
