#!/usr/bin/env bash
# The Debian package as a user meets it, in a fresh Debian 12: install, run, upgrade, remove, purge.
#     tests/deb/run.sh [amd64 | arm64]      of another processor than this one's: emulated
# Needs root and mmdebstrap. About three minutes; the fresh Debian is kept in build/deb.
# No systemd runs in there: what the units do, and the trial of an upgrade, is `make test-upgrade`.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
. tests/debian.sh
ARCH="${1:-$(dpkg --print-architecture)}"
BUILD="$PWD/build/deb"
DEBIAN="$BUILD/debian-$ARCH.tar"
ROOT="$BUILD/root"
mkdir -p "$BUILD"

emulate "$ARCH"
if [ ! -e "$DEBIAN" ]; then
    echo "a Debian 12"
    new_debian --variant=minbase --architectures="$ARCH" \
        --include=python3,libstdc++6,systemd,udev bookworm "$BUILD/debian.new.tar"
    mv "$BUILD/debian.new.tar" "$DEBIAN"
fi
rm -rf "$ROOT" && mkdir "$ROOT" && tar -C "$ROOT" -xf "$DEBIAN"
trap 'umount -q "$ROOT/proc" || true; rm -rf "$ROOT"' EXIT
mount -t proc proc "$ROOT/proc"

inside() { # as a login would, without anything of this machine
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 \
        chroot "$ROOT" "$@"
}
version() { dpkg-deb --field "$1" Version; }

old="$(ls "$BUILD"/edge-autonomy_*_"$ARCH".deb | grep -v upgrade | tail -n 1)"
new="$(ls "$BUILD"/upgrade/edge-autonomy_*.deb)"
cp "$old" "$ROOT/old.deb"; cp "$new" "$ROOT/new.deb"

mkdir "$ROOT/opt/edge-agent" && touch "$ROOT/opt/edge-agent/pyvenv.cfg"
inside dpkg --install /old.deb >"$BUILD/install.log" 2>&1 && fail "over an environment made by hand"
grep -q 'was installed by hand' "$BUILD/install.log" || fail "the refusal says why"
rm -r "$ROOT/opt/edge-agent"
claim "does not mix with an environment made by hand"
inside dpkg --install /old.deb >"$BUILD/install.log" 2>&1 || { cat "$BUILD/install.log"; fail install; }
grep -q 'nothing was started' "$BUILD/install.log" || fail "the first installation says what is next"
claim "installs in a fresh Debian 12, and starts nothing"
[ "$(inside edge-agent --version)" = "edge-autonomy $(version "$old")" ] || fail version
claim "edge-agent --version"
if [ "$ARCH" = arm64 ]; then
    readelf="$(command -v aarch64-linux-gnu-readelf || echo readelf)"
    find "$ROOT/opt/edge-agent/package" -name '*.so*' -type f -exec "$readelf" -lW {} + >"$BUILD/segments.txt"
    grep -q ' LOAD .* 0x10000$' "$BUILD/segments.txt" || fail "the libraries' segments are not seen"
    grep -E ' LOAD .* 0x(1000|2000|[0-9a-f]{1,3})$' "$BUILD/segments.txt" && fail "a library needs smaller pages"
    claim "every library fits the 16 KB pages of a Raspberry Pi 5's kernel"
fi
inside edge-agent sim --duration 20 --state-dir /tmp/sim >/dev/null
claim "edge-agent sim: the model, the envelope and the device's C run from the package"
inside edge-agent check >/dev/null && claim "the configuration that comes with it would run"
[ "$(inside stat -c '%U:%G %a' /var/lib/edge-agent)" = "edge-agent:edge-agent 750" ] || fail "state folder"
inside su -s /bin/sh edge-agent -c 'edge-agent check' >/dev/null || fail "as its user"
inside id edge-agent-gateway >/dev/null || fail "users"
claim "two users, and the state folder is the agent's own"
inside edge-agent doctor >"$BUILD/doctor.txt" || { cat "$BUILD/doctor.txt"; fail doctor; }
claim "the doctor finds nothing that fails"
inside sh -c 'echo "print(\"found\")" >/opt/edge-agent/site/own_device.py'
inside /opt/edge-agent/current/bin/python3 -m own_device | grep -q found || fail "a package of one's own"
claim "a package of one's own device is found"
inside systemd-analyze verify --recursive-errors=no --man=no edge-agent.service \
    edge-agent-gateway.service edge-agent-trial.service \
    || fail "units"
claim "the installed units are valid"

inside sh -c 'echo trip >/var/lib/edge-agent/kept && echo "# mine" >>/etc/edge-agent/agent.toml'
inside dpkg --install --force-confold /new.deb >"$BUILD/upgrade.log" 2>&1 || { cat "$BUILD/upgrade.log"; fail upgrade; }
[ "$(inside dpkg-query -W -f '${Version}' edge-autonomy)" = "$(version "$new")" ] || fail "upgraded"
[ "$(inside cat /var/lib/edge-agent/kept)" = trip ] || fail "state after an upgrade"
inside grep -q '# mine' /etc/edge-agent/agent.toml || fail "configuration after an upgrade"
[ "$(inside readlink /opt/edge-agent/current)" = "versions/$(version "$new")" ] || fail "what runs"
[ "$(inside readlink /opt/edge-agent/previous)" = "versions/$(version "$old")" ] || fail "what ran"
inside /opt/edge-agent/previous/bin/edge-agent --version >/dev/null || fail "the version before runs"
inside /opt/edge-agent/current/bin/python3 -m own_device | grep -q found || fail "own package after an upgrade"
grep -q 'nothing was started' "$BUILD/upgrade.log" && fail "an upgrade is no first installation"
inside edge-agent sim --duration 5 --state-dir /tmp/sim >/dev/null
claim "an upgrade keeps state, configuration and the version before, and runs"
inside /usr/lib/edge-autonomy/versions back >/dev/null || fail "back by hand"
[ "$(inside readlink /opt/edge-agent/current)" = "versions/$(version "$old")" ] || fail "back"
inside edge-agent doctor | grep -q 'warn  upgrade .*rolled back' || fail "the doctor tells of it"
claim "a person can go back, and the doctor tells of it"

inside dpkg --remove edge-autonomy >"$BUILD/remove.log" 2>&1 || { cat "$BUILD/remove.log"; fail remove; }
grep -q 'nothing to make safe' "$BUILD/remove.log" || fail "the outputs are asked for before the files go"
inside test -e /var/lib/edge-agent/kept || fail "state after a removal"
for path in /opt/edge-agent/versions /opt/edge-agent/current /usr/lib/systemd/system/edge-agent.service; do
    inside test ! -e "$path" || fail "$path after a removal"
done
claim "a removal makes the outputs safe first, and keeps the state"
inside dpkg --purge edge-autonomy >/dev/null 2>&1
for path in /var/lib/edge-agent /etc/edge-agent /opt/edge-agent /usr/bin/edge-agent; do
    inside test ! -e "$path" || fail "$path after a purge"
done
claim "a purge leaves nothing but two users"
