#!/usr/bin/env bash
# The agent on arm64, emulated instruction by instruction: its answers, its recordings and the
# envelope in C must be those of this machine, bit for bit. Needs root, and what
# `.ci/system-packages arm64` installs. About two minutes; the file system is kept in build/arm64.
# Says nothing about speed: an emulated instruction has no time of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
. tests/debian.sh
STEPS="${STEPS:-2000000}"
PYTHON=.venv/bin/python
BUILD="$PWD/build/arm64"
ROOT="$BUILD/root"
EMULATOR=/usr/bin/qemu-aarch64-static

mkdir -p "$BUILD"

if [ ! -e "$ROOT/.complete" ]; then
    echo "a Debian for arm64"
    rm -rf "$ROOT"
    # Nothing is run while it is unpacked, so the kernel need not know the emulator.
    new_debian --variant=extract --architectures=arm64 \
        --include=base-files,dash,coreutils,libstdc++6,python3 bookworm "$ROOT"
    cp "$EMULATOR" "$ROOT$EMULATOR"
    touch "$ROOT/.complete"
fi

echo "the locked packages, their arm64 wheels"
rm -rf "$ROOT/opt/site" "$ROOT/opt/project"
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    --target "$ROOT/opt/site" -r requirements.lock

echo "the project, its C built for arm64"
mkdir -p "$ROOT/opt/project"
git ls-files -z --cached --others --exclude-standard edge_agent firmware_bridge models tests | tar --null -T - -cf - | tar -C "$ROOT/opt/project" -xf -
"$PYTHON" - "$ROOT/opt/project/firmware_bridge/device/targets/host" <<'PYTHON'
import sys
from pathlib import Path

from firmware_bridge.device.build import LIBRARY, WORDS, compile_to

compile_to(Path(sys.argv[1]) / LIBRARY.name, ("aarch64-linux-gnu-gcc", *WORDS))
PYTHON

# The runtime chooses its kernels by what the kernel says of the processor: that of a Raspberry
# Pi 4 and of a Pi 5, not of this machine.
mkdir -p "$ROOT/sys/devices/system/cpu"
echo 0 | tee "$ROOT/sys/devices/system/cpu/possible" >"$ROOT/sys/devices/system/cpu/present"
cpuinfo() { # PART FEATURES
    printf '%s\t: %s\n' processor 0 Features "$2" 'CPU implementer' 0x41 'CPU architecture' 8 \
        'CPU variant' 0x0 'CPU part' "$1" 'CPU revision' 3 Hardware BCM2835
}

ask() { # PROCESSOR
    echo "asked on an emulated $1"
    rm -rf "$ROOT/tmp/recordings"
    unshare --mount --fork bash -c '
        set -e
        mount -t proc proc "$1/proc"
        mount --bind "$2" "$1/proc/cpuinfo"
        exec env -i PATH=/usr/sbin:/usr/bin HOME=/tmp QEMU_CPU="$3" \
            PYTHONPATH=/opt/site:/opt/project PYTHONDONTWRITEBYTECODE=1 \
            chroot "$1" "$4" /usr/bin/python3 -m tests.arm64.answers /tmp/recordings
    ' - "$ROOT" "$BUILD/$1.cpuinfo" "$1" "$EMULATOR" >"$BUILD/$1.json"
}

basic='fp asimd evtstrm crc32 cpuid'
cpuinfo 0xd08 "$basic" >"$BUILD/cortex-a72.cpuinfo"
cpuinfo 0xd0b "$basic aes pmull sha1 sha2 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp" \
    >"$BUILD/cortex-a76.cpuinfo"
ask cortex-a72
ask cortex-a76
rm -rf "$BUILD/recordings"
echo "asked on this machine"
"$PYTHON" -m tests.arm64.answers "$BUILD/recordings" >"$BUILD/here.json"
"$PYTHON" -m tests.arm64.compare "$BUILD"/{here,cortex-a72,cortex-a76}.json

echo "$STEPS steps of the envelope: Python here, C on arm64"
"$PYTHON" -m tests.firmware.differential --steps "$STEPS" --arm64
