#!/usr/bin/env bash
# The image as it is built and run: from a base made here, by buildah, without a daemon; then its
# file system as a container of systemd-nspawn, read-only and as its user. Needs root, and what
# `.ci/system-packages container` installs. The base is kept in build/container.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
. tests/debian.sh
PYTHON="$PWD/.venv/bin/python"
BUILD="$PWD/build/container"
WHEELS="$BUILD/wheels"
mkdir -p "$BUILD"
store() { buildah --root "$BUILD/store" --runroot "$BUILD/run" --storage-driver vfs "$@"; }

if [ ! -e "$BUILD/debian.tar" ]; then
    echo "a Debian 12"
    new_debian --variant=minbase bookworm "$BUILD/debian.new.tar"
    mv "$BUILD/debian.new.tar" "$BUILD/debian.tar"
fi
rm -rf "$BUILD/store" "$BUILD/run" "$BUILD/image" "$BUILD/state" "$WHEELS"
container=""
child() { tr -d ' ' 2>/dev/null <"/proc/${1:-none}/task/${1:-none}/children" || true; }
leader() { child "$(child "$container")"; } # its process 1: a shell waits for nspawn, which waits for it
end() {
    inside=$(leader)
    [ -z "$inside" ] || kill -KILL "$inside"
    [ -z "$container" ] || wait "$container" 2>/dev/null || true
    store rm --all >/dev/null 2>&1 || true
    rm -rf "$BUILD/store" "$BUILD/run" "$BUILD/image" "$BUILD/state"
}
trap end EXIT

# The interpreter of Debian 12 chooses the wheels, so this one must be of its version.
"$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "needs an environment of Python 3.11")'
"$PYTHON" -m pip --quiet download --no-deps --require-hashes --only-binary :all: --dest "$WHEELS" \
    -r requirements.lock -r requirements-build.lock
base=$(store from scratch)
store add --quiet "$base" "$BUILD/debian.tar" / >/dev/null
store commit --quiet "$base" localhost/debian:12 >/dev/null
store build --isolation chroot --format docker --file deploy/container/Containerfile \
    --build-arg BASE=localhost/debian:12 --volume "$WHEELS:/wheels:ro" \
    --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels \
    --tag localhost/edge-agent . >"$BUILD/build.log" 2>&1 || { tail -n 30 "$BUILD/build.log"; fail build; }
claim "it builds from the recipe"

image=$(store from localhost/edge-agent)
mounted=$(store mount "$image")
size=$(du -sm "$mounted" | cut -f 1)
cp -a "$mounted" "$BUILD/image"
store inspect --type image localhost/edge-agent >"$BUILD/image.json"
"$PYTHON" - "$BUILD/image.json" <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))["Docker"]["config"]
assert config["User"] == "edge-agent", config["User"]
assert config["Healthcheck"]["Test"] == ["CMD", "edge-agent", "status", "--json"], config
assert (config["Entrypoint"], config["Cmd"]) == (["edge-agent"], ["run"]), config
PYTHON
claim "it says who runs, what, and how its health is asked ($size MB unpacked)"
for tool in gcc cc make pip pip3; do
    found=$(find "$BUILD/image/usr" "$BUILD/image/opt" -name "$tool" -not -type d -print -quit)
    [ -z "$found" ] || fail "a tool of the build is left: $found"
done
claim "no compiler and no pip are left in it"

contained() { # in the image, as its user, with nothing that can be written but its volumes
    systemd-nspawn --quiet --directory="$BUILD/image" --read-only --user=edge-agent --register=no \
        --keep-unit --private-network --link-journal=no --resolv-conf=off --timezone=off \
        --capability= --no-new-privileges=yes --tmpfs=/tmp \
        --tmpfs=/run/edge-agent:mode=0700,uid=990,gid=990 \
        --bind="$BUILD/state:/var/lib/edge-agent" --console=pipe \
        --setenv=PATH=/opt/edge-agent/bin:/usr/bin:/bin --setenv=ORT_DISABLE_TELEMETRY=1 \
        --setenv=PYTHONDONTWRITEBYTECODE=1 "$@" </dev/null
}
install -d -o 990 -g 990 -m 750 "$BUILD/state"
exec 3>&2 2>"$BUILD/inside.log" # where nspawn also says what it did not tidy up
[ "$(contained id -u)" = 990 ] || fail "its user"
contained touch /opt/edge-agent/mine && fail "its program can be written"
contained edge-agent --version >/dev/null
contained edge-agent check >/dev/null
contained edge-agent sim --duration 60 --state-dir /var/lib/edge-agent/sim >"$BUILD/sim.txt" || { cat "$BUILD/sim.txt"; fail sim; }
grep -q 'commands outside  0 of 600' "$BUILD/sim.txt" || { cat "$BUILD/sim.txt"; fail "the simulation"; }
claim "not root, nothing but its volumes can be written, and a simulated minute goes by"

exec 2>&3
contained edge-agent run --arm >"$BUILD/run.log" 2>&1 &
container=$!
health() { # what HEALTHCHECK asks, in the same container and as its user
    nsenter --target "$(leader)" --mount --net --pid --ipc --uts --setuid 990 --setgid 990 \
        env -i PATH=/opt/edge-agent/bin:/usr/bin:/bin edge-agent status --json >"$BUILD/status.json" 2>/dev/null
}
answers() { health && grep -q "\"mode\": \"$1\"" "$BUILD/status.json"; }
for _ in $(seq 60); do answers ACTIVE && break; sleep 1; done
answers ACTIVE || { cat "$BUILD/run.log"; fail "it runs"; }
claim "it runs, and its health command answers: ACTIVE on simulated hardware"
kill -TERM "$(leader)"
code=0; wait "$container" || code=$?; container=""
[ "$code" -eq 0 ] || { cat "$BUILD/run.log"; fail "a stop in good order, not exit code $code"; }
ls "$BUILD/state/recordings"/*.rec >/dev/null || fail "a recording"
claim "SIGTERM stops it in good order, exit code 0, and the recording is in its volume"
