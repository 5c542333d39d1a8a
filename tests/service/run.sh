#!/usr/bin/env bash
# The units on a real systemd: a Debian is built once, the project is installed in it as a user
# would, it is booted in a container, and tests/service/checks.py looks at it from inside. Then the
# container is killed in mid-run, as by a power cut, and booted again. Needs root, and what
# `.ci/system-packages service` installs. File systems are kept in build/service.
#     SUITE=trixie WHEELS_PYTHON=python3.13 tests/service/run.sh     on another Debian than 12
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
SUITE="${SUITE:-bookworm}"
BUILD="$PWD/build/service/$SUITE"
ROOT="$BUILD/root"
OUT="$BUILD/out"
MACHINE=edge-agent-checks
. tests/debian.sh
. tests/service/installed.sh
. tests/service/container.sh

mkdir -p "$BUILD"
debian_base
install_project
place_checks tests/service/edge-agent-checks.service
check_both_boots edge-agent-checks.service
