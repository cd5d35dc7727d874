#!/bin/sh
# The USD inside ovphysx is linked against two libraries that a bare Linux lacks; without them
# ovphysx fails with a message that names neither. As root on a Debian system, install them.
set -eu

[ "$(uname -s)" = Linux ] || exit 0
PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps ldconfig, off an ordinary user's path

present() {
    case "$known" in *"	$1 ("*) return 0 ;; esac
    (
        IFS=:
        for folder in ${LD_LIBRARY_PATH:-}; do
            [ ! -e "$folder/$1" ] || exit 0
        done
        exit 1
    )
}

missing() {
    known=$(ldconfig -p 2>/dev/null || true)
    for library in libGL.so.1 libX11.so.6; do
        present "$library" || printf ' %s' "$library"
    done
}

lacking=$(missing)
[ -n "$lacking" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing libgl1 and libx11-6 for$lacking"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null 2>&1 || true
    apt-get install -qq --no-install-recommends libgl1 libx11-6 >/dev/null 2>&1 || true
    lacking=$(missing)
    [ -n "$lacking" ] || exit 0
fi

echo "Missing system libraries:$lacking. Install them with: sudo apt-get install libgl1 libx11-6 (Debian, Ubuntu) or sudo dnf install libglvnd-glx libX11 (Fedora)." >&2
exit 1
