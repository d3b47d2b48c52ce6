#!/bin/sh
# Makes one environment from one lock file: install.sh VERSION LOCK FOLDER,
# and the oldest glibc that its wheels run on, if that is a recent one.
# Safe to interrupt: FOLDER/.installed is written last, and only on success.
set -eu
# Compiled once here, not by each process: an environment may say
# PYTHONDONTWRITEBYTECODE, and TFX takes three times as long to import then.
export UV_COMPILE_BYTECODE=1
version=$1 lock=$2 folder=$3 glibc=${4:-}
uv_version=0.13.9

is_wanted() {
    "$1" -c "import sys, venv, ensurepip
sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null
}

find_python() {
    for candidate in "python$version" python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python \
        /usr/local/bin/"python$version" /opt/python*/bin/"python$version" \
        "$HOME"/.local/share/uv/python/*"$version"*/bin/python; do
        if command -v "$candidate" >/dev/null && is_wanted "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if command -v uv >/dev/null; then
        uv python find "$version" 2>/dev/null && return
        uv python install -q "$version" 2>/dev/null &&
            uv python find "$version" 2>/dev/null && return
    fi
    echo "Python $version was not found on PATH, under pyenv or through uv;" \
        "get one with \`pyenv install $version\`," \
        "\`uv python install $version\` or your system's packages," \
        "then run make again." >&2
    return 1
}

python=$(find_python)
echo "Installing $lock into $folder with $python ..."
[ -x "$folder/bin/python" ] && is_wanted "$folder/bin/python" ||
    { rm -rf "$folder" && "$python" -m venv "$folder"; }
"$folder/bin/python" -m pip install -q --disable-pip-version-check \
    "uv==$uv_version"
[ -z "$glibc" ] || sh "$(dirname "$0")/newer_glibc.sh" "$glibc" "$folder"
# A lock is whole; what a package wants but does not need here stays out.
VIRTUAL_ENV=$folder "$folder/bin/uv" pip install -q --require-hashes \
    --no-deps -r "$lock"
no_deps=${lock%.txt}.no-deps.txt
[ ! -f "$no_deps" ] || VIRTUAL_ENV=$folder "$folder/bin/uv" pip install -q \
    --require-hashes --no-deps -r "$no_deps"
VIRTUAL_ENV=$folder "$folder/bin/uv" pip install -q --no-deps \
    --no-build-isolation -e .
touch "$folder/.installed"
