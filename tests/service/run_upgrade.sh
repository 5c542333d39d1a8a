#!/usr/bin/env bash
# The Debian package on a real systemd: installed with apt's own dpkg in a booted Debian, then
# upgraded to good versions and to broken ones, cut off in a trial, booted again, removed. What
# holds is in tests/service/upgrades.py. Needs root, and `.ci/system-packages service`.
#     make deb PYTHON_OF_DEB=3.13 && SUITE=trixie tests/service/run_upgrade.sh      on Debian 13
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
SUITE="${SUITE:-bookworm}"
BUILD="$PWD/build/service/$SUITE"
ROOT="$BUILD/upgrade-root"
OUT="$BUILD/upgrade-out"
MACHINE=edge-agent-upgrade
DEBS="$ROOT/opt/checks/debs"
. tests/debian.sh
. tests/service/installed.sh
. tests/service/container.sh
mkdir -p "$BUILD"
debian_base

first="$(newest_package "$(dpkg --print-architecture)")"
VERSION="$(dpkg-deb --field "$first" Version)"
rm -rf "$ROOT" && cp -a "$BUILD/base" "$ROOT"
place_checks tests/service/edge-agent-upgrade-checks.service
mkdir -p "$DEBS"
# The checks have an interpreter and wheels of their own: what is installed comes, breaks and goes.
dpkg-deb -x "$first" "$ROOT/opt/checks/own"

echo "versions to upgrade to: good ones, and one for each way to be broken"
tree="$BUILD/upgrade-tree"
variant() { # VERSION full|program-only [LINE of Python before the program starts]
    rm -rf "$tree" && mkdir "$tree" && dpkg-deb -R "$first" "$tree"
    package="$tree/opt/edge-agent/package"
    sed -i "s/^Version: .*/Version: $1/" "$tree/DEBIAN/control"
    sed -i "s/install \"$VERSION\"/install \"$1\"/" "$tree/DEBIAN/postinst"
    sed -i -e "s|/versions/$VERSION/|/versions/$1/|" -e "s/^import sys$/import sys\n${3:-}/" \
        "$package/bin/edge-agent"
    sed -i "s/^__version__ = .*/__version__ = \"$1\"/" "$package"/lib/*/site-packages/edge_agent/__init__.py
    [ "$2" = full ] || rm -rf "$package/lib"
    [ "${4:-}" = "" ] || ln -sfn "$4" "$package/bin/python3"
    dpkg-deb --root-owner-group -Zzstd -z1 --build "$tree" "$DEBS/$1.deb" >/dev/null
}
RUN='if "run" in sys.argv:'
variant 1.0 full
variant 1.1 full
variant 1.2 full
variant 2.0-no-python program-only "" /usr/bin/python9
variant 2.1-hangs program-only "$RUN import time; time.sleep(1e6)"
variant 2.2-refuses program-only "$RUN sys.exit(78)"
variant 2.3-crashes-later full "$RUN import os, threading; threading.Timer(6, os.abort).start()"
rm -rf "$tree"

check_both_boots edge-agent-upgrade-checks.service
