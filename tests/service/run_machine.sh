#!/usr/bin/env bash
# The units on a whole machine, emulated: Debian's own kernel, which enforces every limit, and a
# microcontroller on USB, which udev names and which is plugged in late and pulled out. Then the
# power goes in mid-run. What holds is in tests/service/machine.py. Needs root, and
# `.ci/system-packages machine`. File systems are kept in build/service.
#     SUITE=trixie WHEELS_PYTHON=python3.13 tests/service/run_machine.sh     on another Debian than 12
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
SUITE="${SUITE:-bookworm}"
BUILD="$PWD/build/service/machine-$SUITE"
ROOT="$BUILD/root"
OUT="$BUILD/out"
LIMIT_S=1800
. tests/debian.sh
. tests/service/installed.sh
. tests/service/emulated.sh

mkdir -p "$BUILD"
debian_base ,linux-image-amd64,initramfs-tools
install_project
place_checks tests/service/edge-agent-machine-checks.service
echo "out /out 9p trans=virtio,version=9p2000.L 0 0" >>"$ROOT/etc/fstab"
write_disk
check_both_boots edge-agent-machine-checks.service
