# Sourced by the tests that need a Debian of their own: how one is made, and how they tell.

[ "$(id -u)" -eq 0 ] || { echo "This needs root: it makes a file system and enters it." >&2; exit 1; }

new_debian() { # OPTIONS... SUITE TARGET: from the mirror that this machine has
    mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
    mmdebstrap --quiet --mode=root "$@" ${mirror:+"$mirror"}
}

# Programs of another processor than this machine's run through an emulator from here on. It is what
# systemd does with the same file at each boot, so nothing is taken back.
emulate() { # ARCH
    [ "$1" != "$(dpkg --print-architecture)" ] || return 0
    case "$1" in
    arm64) name=qemu-aarch64 ;;
    *) fail "no emulator is known here for $1" ;;
    esac
    kernel=/proc/sys/fs/binfmt_misc
    [ -e "$kernel/register" ] || mount -t binfmt_misc binfmt_misc "$kernel"
    [ -e "$kernel/$name" ] || cat "/usr/lib/binfmt.d/$name.conf" >"$kernel/register"
}

claim() { echo "ok  $1"; }
fail() { echo "FAIL  $1" >&2; exit 1; }
