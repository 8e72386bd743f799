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
    if ! python3 -m pip --version >/dev/null 2>&1; then
        command -v apt-get >/dev/null || die 'python3 with pip is needed to fetch it' 'Or set ORT_DYLIB_PATH to a libonnxruntime.so.'
        apt_packages 'python3-pip|fetches ONNX Runtime'
    fi

    mkdir -p "$deps"
    work=$(mktemp -d "$deps/.onnxruntime.XXXXXX")
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$work'" EXIT
    printf 'onnxruntime==%s --hash=sha256:%s\n' "$onnxruntime_version" "$digest" >"$work/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
        --platform "manylinux_2_28_$arch" --dest "$work" --requirement "$work/requirements.txt" </dev/null \
        || die 'the ONNX Runtime wheel could not be fetched' \
            'Is there a network? pip reads PIP_INDEX_URL and its configuration for mirrors and proxies.' \
            'Or set ORT_DYLIB_PATH to a libonnxruntime.so (1.22 or newer).'
    python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"

    mkdir "$work/new"
    mv "$work"/wheel/onnxruntime/capi/libonnxruntime.so.* "$work/new/libonnxruntime.so"
    mv "$work"/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/new/"
    echo "$onnxruntime_version" >"$work/new/VERSION"
    if [[ -e $target ]]; then mv "$target" "$work/old"; fi
    mv "$work/new" "$target"
    say "installed ONNX Runtime $onnxruntime_version in .deps/onnxruntime"
}
