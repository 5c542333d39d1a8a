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
MACHINE=edge-agent-checks
. tests/debian.sh
. tests/service/container.sh

mkdir -p "$BUILD"

debian_base "$SUITE"

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

place_checks tests/service/edge-agent-checks.service

trap end EXIT
boot edge-agent-checks.service
until_gone_or "$OUT/in-mid-run"
end # as a power cut does
boot edge-agent-checks.service
until_gone_or "$OUT/done"
end
verdict
