# Shared by the scripts beside it: how they speak and how they fail. Sourced, not run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
script=$(basename "$0" .sh)

say() { printf '%s: %s\n' "$script" "$*"; }

# The last line a person sees: what failed and what to do.
die() {
    trap - ERR
    printf '\n%s: FAILED: %s\n' "$script" "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

trap 'die "\"$BASH_COMMAND\" went wrong (line $LINENO of $0)"' ERR
