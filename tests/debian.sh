# Sourced by the tests that need a Debian of their own: how one is made, and how they tell.

[ "$(id -u)" -eq 0 ] || { echo "This needs root: it makes a file system and enters it." >&2; exit 1; }

new_debian() { # OPTIONS... SUITE TARGET: from the mirror that this machine has
    mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
    mmdebstrap --quiet --mode=root "$@" ${mirror:+"$mirror"}
}

claim() { echo "ok  $1"; }
fail() { echo "FAIL  $1" >&2; exit 1; }
