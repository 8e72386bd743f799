# Puts a Python environment with the peers that tests speak to into .deps/python. Sourced by setup.sh.

python_environment() {
    local target=$deps/python wanted=$root/tests/requirements.txt
    if [[ -x $target/bin/python3 ]] && cmp -s "$wanted" "$target/requirements.txt"; then
        return
    fi
    say 'missing: Python packages for the tests (tests/requirements.txt); installing them from PyPI into .deps/python'
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
        command -v apt-get >/dev/null || die 'python3 with venv is needed for the tests'
        apt_packages 'python3-venv|Python environments for the tests'
    fi
    mkdir -p "$deps"
    rm -rf "$target"
    python3 -m venv "$target"
    "$target/bin/python3" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes \
        --only-binary=:all: --requirement "$wanted" </dev/null \
        || die 'the Python packages could not be installed' \
            'Is there a network? pip reads PIP_INDEX_URL and its configuration for mirrors and proxies.'
    # Last, so that a broken-off installation is not taken for a whole one.
    cp "$wanted" "$target/requirements.txt"
}
