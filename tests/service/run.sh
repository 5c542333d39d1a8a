#!/usr/bin/env bash
# The units on a real systemd: a Debian is built once, the project is installed in it as a user
# would, it is booted in a container, and tests/service/checks.py looks at it from inside. Then the
# container is killed in mid-run, as by a power cut, and booted again. Needs root, and what
# `.ci/system-packages service` installs. File systems are kept in build/service.
#     SUITE=trixie WHEELS_PYTHON=python3.13 tests/service/run.sh     on another Debian than 12
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
PYTHON="$PWD/.venv/bin/python"
WHEELS_PYTHON="${WHEELS_PYTHON:-$PYTHON}"
SUITE="${SUITE:-bookworm}"
BUILD="$PWD/build/service/$SUITE"
BASE="$BUILD/base"
ROOT="$BUILD/root"
OUT="$BUILD/out"

[ "$(id -u)" -eq 0 ] || { echo "This needs root: it makes a file system and boots it." >&2; exit 1; }
mkdir -p "$BUILD"

if [ ! -e "$BUILD/base.complete" ]; then
    echo "a Debian"
    rm -rf "$BASE"
    mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
    mmdebstrap --quiet --mode=root --variant=minbase \
        --include=systemd,systemd-sysv,dbus,libnss-systemd,libbpf1,udev,python3,python3-venv,mosquitto \
        "$SUITE" "$BASE" ${mirror:+"$mirror"}
    touch "$BUILD/base.complete"
fi

echo "the project in it: the locked wheels, units, users, folders, rules"
wheels="$BUILD/wheels"
rm -rf "$wheels" "$ROOT"
version='import sys; print("%d.%d" % sys.version_info[:2])'
python_version=$(chroot "$BASE" python3 -c "$version")
pip() { "$1" -m pip --quiet --disable-pip-version-check "${@:2}"; }
# The lock's markers are read by the interpreter that downloads, so it must be of that version.
[ "$("$WHEELS_PYTHON" -c "$version")" = "$python_version" ] ||
    { echo "$SUITE has Python $python_version: set WHEELS_PYTHON to such a one" >&2; exit 1; }
pip "$WHEELS_PYTHON" download --no-deps --require-hashes --only-binary=:all: \
    --dest "$wheels" -r requirements.lock
pip "$PYTHON" wheel --no-deps --no-build-isolation --wheel-dir "$wheels" .
cp -a "$BASE" "$ROOT"
cp -a "$wheels" requirements.lock "$ROOT/opt/"
chroot "$ROOT" /bin/bash -euc '
    python3 -m venv /opt/edge-agent
    pip="/opt/edge-agent/bin/python -m pip --quiet --disable-pip-version-check --no-cache-dir"
    $pip install --no-index --find-links /opt/wheels --no-deps --require-hashes -r /opt/requirements.lock
    $pip install --no-index --no-deps /opt/wheels/edge_autonomy-*.whl
'
install -D -m 644 -t "$ROOT/etc/systemd/system" deploy/systemd/*.service
install -D -m 644 -t "$ROOT/etc/sysusers.d" deploy/sysusers.d/edge-agent.conf
install -D -m 644 -t "$ROOT/etc/tmpfiles.d" deploy/tmpfiles.d/edge-agent.conf
install -D -m 644 -t "$ROOT/etc/udev/rules.d" deploy/udev/70-edge-agent.rules
install -D -m 644 -t "$ROOT/etc/modules-load.d" deploy/modules-load.d/edge-agent.conf
chroot "$ROOT" systemd-sysusers

# What looks at it, beside it.
mkdir -p "$ROOT/opt/checks" "$ROOT/out"
git ls-files -z --cached --others --exclude-standard tests bench |
    tar --null -T - -cf - | tar -C "$ROOT/opt/checks" -xf -
install -m 644 tests/service/edge-agent-checks.service "$ROOT/etc/systemd/system/"
rm -rf "$OUT"
mkdir -p "$OUT"

boot() { # begins to boot, and leaves the container's process number in $container
    rm -f "$OUT/done"
    # Flags without which the kernel's limits on devices and addresses are silently not enforced.
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot \
        --directory="$ROOT" --bind="$OUT:/out" --machine=edge-agent-checks --register=no --keep-unit \
        --private-network --link-journal=no --resolv-conf=off --timezone=off --capability=all \
        --system-call-filter=bpf --console=pipe systemd.unit=edge-agent-checks.service \
        </dev/null >>"$OUT/console.log" 2>&1 &
    container=$!
}

until_gone_or() { # FILE: waits, for a bounded time, until it appears or the container has ended
    for _ in $(seq "${LIMIT_S:-900}"); do
        { [ -e "$1" ] || ! kill -0 "$container" 2>/dev/null; } && return
        sleep 1
    done
}

# Its process 1 dies, and the kernel ends all the others at once. Killing the container's keeper
# would leave them running.
end() {
    inside=$(cat "/proc/$container/task/$container/children" 2>/dev/null || true)
    [ -z "$inside" ] || kill -KILL $inside
    wait "$container" 2>/dev/null || true
}
trap end EXIT

boot
until_gone_or "$OUT/in-mid-run"
end # as a power cut does
boot
until_gone_or "$OUT/done"
end

cat "$OUT/checks.log"
failed=$(grep -c '^FAIL' "$OUT/checks.log" || true)
if [ "$failed" -ne 0 ] || [ ! -e "$OUT/done" ]; then
    echo "FAILED; what the system wrote is in $OUT" >&2
    exit 1
fi
echo "$(grep -c '^ok' "$OUT/checks.log") checks passed"
