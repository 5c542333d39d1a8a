#!/usr/bin/env bash
# A Debian package of the agent: build/deb/edge-autonomy_VERSION_ARCH.deb
#
#     deploy/deb/build.sh [amd64 | arm64]     PYTHON=3.11 (Debian 12) or 3.13 (Debian 13)
#
# The program is a virtual environment made of the locked wheels: a wheel is unpacked and not run, so
# that a package for arm64 is built on any machine. Units, users, folders and device rules are those
# of deploy/. VERSION= overrides the version, for a test of an upgrade.
#
# What is unpacked to /opt/edge-agent/package is run from /opt/edge-agent/versions/VERSION, which is
# why its interpreter line names that folder: docs/debian.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
ARCH="${1:-$(dpkg --print-architecture)}"
PYTHON="${PYTHON:-3.11}"
BIN="${BIN:-.venv/bin}"
VERSION="${VERSION:-$("$BIN"/python -c 'import edge_agent; print(edge_agent.__version__)')}"
NAME="edge-autonomy_${VERSION}_$ARCH"
TREE="$PWD/build/deb/$NAME"
PACKAGE="$TREE/opt/edge-agent/package"
SITE="$PACKAGE/lib/python$PYTHON/site-packages"

case "$ARCH" in
amd64) machine=x86_64 compiler=gcc ;;
arm64) machine=aarch64 compiler=aarch64-linux-gnu-gcc ;;
*) echo "amd64 or arm64, not $ARCH" >&2; exit 2 ;;
esac
if [ "$(dpkg --print-architecture)" = "$ARCH" ]; then compiler=cc; fi
rm -rf "$TREE" && mkdir -p "$SITE" "$PACKAGE/bin" "$TREE/DEBIAN"

wheels() { "$BIN/python" -m pip --disable-pip-version-check --no-input --quiet "$@"; }
# The markers of the lock are judged by pip's own interpreter; the lines of another are left out.
"$BIN/python" deploy/deb/lock_for.py "$PYTHON" requirements.lock >"build/deb/$NAME.lock"
# For the same reason it would refuse a wheel that this interpreter is too old for.
wheels install --no-deps --require-hashes --only-binary :all: --implementation cp \
    --ignore-requires-python \
    --python-version "$PYTHON" --platform "manylinux_2_28_$machine" \
    --platform "manylinux_2_27_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" --target "$SITE" -r "build/deb/$NAME.lock"
wheels wheel --no-deps --no-build-isolation --wheel-dir "build/deb/$NAME.wheel" .
wheels install --no-deps --no-index --target "$SITE" "build/deb/$NAME.wheel"/*.whl
rm -rf "$SITE/bin" "build/deb/$NAME.wheel" "build/deb/$NAME.lock"
PYTHONPATH=. "$BIN/python" - "$SITE/firmware_bridge/device/targets/host" "$compiler" <<'PYTHON'
import sys
from pathlib import Path

from firmware_bridge.device.build import WORDS, compile_to, libraries

for library in libraries():
    compile_to(Path(sys.argv[1]) / library.name, (sys.argv[2], *WORDS))
PYTHON

# What `python -m venv` would write, for an interpreter that need not be here.
ln -s "/usr/bin/python$PYTHON" "$PACKAGE/bin/python3"
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$PYTHON" \
    >"$PACKAGE/pyvenv.cfg"
echo /opt/edge-agent/site >"$SITE/edge-agent-site.pth" # packages of the owner's devices
cat >"$PACKAGE/bin/edge-agent" <<PYTHON
#!/opt/edge-agent/versions/$VERSION/bin/python3
import sys

from edge_agent.cli import main

sys.exit(main())
PYTHON
chmod 755 "$PACKAGE/bin/edge-agent"
mkdir -p "$TREE/opt/edge-agent/bin" "$TREE/usr/bin"
ln -s ../current/bin/edge-agent "$TREE/opt/edge-agent/bin/edge-agent"
ln -s /opt/edge-agent/bin/edge-agent "$TREE/usr/bin/edge-agent"
install -D -m 755 deploy/deb/versions "$TREE/usr/lib/edge-autonomy/versions"

place() { # FOLDER FILE...: those that are there
    for file in "${@:2}"; do
        [ -e "$file" ] && install -D -m 644 "$file" "$TREE/$1/$(basename "$file")"
    done
    return 0
}
place opt/edge-agent/package/systemd deploy/systemd/*.service
place usr/lib/systemd/system deploy/deb/edge-agent-trial.service
mkdir "$TREE/usr/lib/systemd/system/multi-user.target.wants"
ln -s ../edge-agent-trial.service "$TREE/usr/lib/systemd/system/multi-user.target.wants/"
place usr/lib/sysusers.d deploy/sysusers.d/*.conf
place usr/lib/tmpfiles.d deploy/tmpfiles.d/*.conf
place usr/lib/modules-load.d deploy/modules-load.d/*.conf
place usr/lib/udev/rules.d deploy/udev/*.rules
place usr/share/doc/edge-autonomy LICENSE CHANGELOG.md README.md
place usr/share/doc/edge-autonomy/examples deploy/examples/*.toml
place etc/edge-agent deploy/deb/agent.toml

for script in preinst postinst prerm postrm; do
    install -m 755 "deploy/deb/$script" "$TREE/DEBIAN/$script"
done
sed -i "s/@VERSION@/$VERSION/" "$TREE/DEBIAN/postinst"
echo /etc/edge-agent/agent.toml >"$TREE/DEBIAN/conffiles"
next="${PYTHON%.*}.$((${PYTHON#*.} + 1))"
cat >"$TREE/DEBIAN/control" <<CONTROL
Package: edge-autonomy
Version: $VERSION
Architecture: $ARCH
Maintainer: The edge-autonomy authors
Depends: python3 (>= $PYTHON), python3 (<< $next~), libstdc++6, libc6 (>= 2.28)
Recommends: systemd, udev, libbpf1, mosquitto
Suggests: rt-tests
Installed-Size: $(du -sk --exclude=DEBIAN "$TREE" | cut -f1)
Section: electronics
Priority: optional
Description: learned policy inside a hard-coded safety envelope, on one small board
 Reads sensors, runs a quantized ONNX model and drives actuators within limits that no file,
 message or model can widen. Simulates until a person configures real hardware.
CONTROL
dpkg-deb --root-owner-group -Zzstd -z12 --build "$TREE" "build/deb/$NAME.deb" >/dev/null
rm -rf "$TREE"
echo "build/deb/$NAME.deb, $(du -k "build/deb/$NAME.deb" | cut -f1) KB"
