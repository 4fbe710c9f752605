#!/usr/bin/env bash
# Make .venv with exactly what requirements/dev.txt locks, and the project itself in it, editable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "seawall setup: $*" >&2
    exit 1
}

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Debian keeps venv in a package of its own.
provide_venv() {
    local python=$1 package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $package"
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -qq -y "$package" >/dev/null 2>&1 \
            || { apt-get update -qq >/dev/null && apt-get install -qq -y "$package" >/dev/null; } \
            || true
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
        || fail "$python can't make a virtual environment; as root, run: apt-get install $package"
}

# A machine that updated its Python, or a copied folder, leaves a .venv that doesn't run.
if ! { [ -x .venv/bin/python ] && supported .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python) \
        || fail "Python 3.11, 3.12 or 3.13 is missing; install it (Debian 12: apt-get install python3 python3-venv) or name one: make setup PYTHON=/path/to/python3.11"
    provide_venv "$python"
    echo "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

echo "installing what requirements/dev.txt locks (a minute or two, the first time)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
echo "setup is done"
