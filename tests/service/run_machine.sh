#!/usr/bin/env bash
# The Debian package on a whole machine, emulated: Debian's own kernel, which enforces every limit,
# and a microcontroller on USB, which udev names and which is plugged in late and pulled out. Then
# the power goes in mid-run. What holds is in tests/service/machine.py. Needs root, and
# `.ci/system-packages machine`. File systems are kept in build/service.
#     make test-machine ARCH=arm64      on the cores of a Raspberry Pi 4
#     make deb PYTHON_OF_DEB=3.13 && SUITE=trixie tests/service/run_machine.sh      on Debian 13
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
SUITE="${SUITE:-bookworm}"
ARCH="${1:-$(dpkg --print-architecture)}"
BUILD="$PWD/build/service/machine-$SUITE-$ARCH"
ROOT="$BUILD/root"
OUT="$BUILD/out"
LIMIT_S=1800
. tests/debian.sh
. tests/service/installed.sh
. tests/service/emulated.sh

mkdir -p "$BUILD"
emulate "$ARCH"
debian_base ",linux-image-$ARCH,initramfs-tools" "$ARCH"
install_package "$ARCH"
place_checks tests/service/edge-agent-machine-checks.service
echo "out /out 9p trans=virtio,version=9p2000.L 0 0" >>"$ROOT/etc/fstab"
write_disk
check_both_boots edge-agent-machine-checks.service
