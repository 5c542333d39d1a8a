# Sourced: a Debian that boots its own systemd in a container, is killed as by a power cut, and is
# booted again. The caller sets BUILD (where file systems are kept), ROOT, OUT and MACHINE.

debian_base() { # SUITE: into $BUILD/base, once
    [ ! -e "$BUILD/base.complete" ] || return 0
    echo "a Debian"
    rm -rf "$BUILD/base"
    new_debian --variant=minbase \
        --include=systemd,systemd-sysv,dbus,libnss-systemd,libbpf1,udev,python3,python3-venv,mosquitto \
        "$1" "$BUILD/base"
    touch "$BUILD/base.complete"
}

place_checks() { # UNIT-FILE: what looks at it, beside it
    mkdir -p "$ROOT/opt/checks" "$ROOT/out"
    git ls-files -z --cached --others --exclude-standard tests bench |
        tar --null -T - -cf - | tar -C "$ROOT/opt/checks" -xf -
    install -m 644 "$1" "$ROOT/etc/systemd/system/"
    rm -rf "$OUT"
    mkdir -p "$OUT"
}

# Two containers in one control group would end each other's units: each has one of its own, where
# the machine's groups are not systemd's to keep.
own_groups() {
    for tree in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [ ! -e "$tree/cgroup.procs" ] || [ -d /run/systemd/system ] || echo "$tree/$MACHINE"
    done
}

boot() { # UNIT: begins to boot, and leaves the container's process number in $container
    rm -f "$OUT/done"
    (
        for group in $(own_groups); do
            mkdir -p "$group"
            echo "$BASHPID" >"$group/cgroup.procs"
        done
        # Without these flags the kernel's limits on devices and addresses are silently not enforced.
        export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
        exec systemd-nspawn --quiet --boot --directory="$ROOT" --bind="$OUT:/out" \
            --machine="$MACHINE" --register=no --keep-unit --private-network --link-journal=no \
            --resolv-conf=off --timezone=off --capability=all --system-call-filter=bpf \
            --console=pipe "systemd.unit=$1"
    ) </dev/null >>"$OUT/console.log" 2>&1 &
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
    for group in $(own_groups); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

verdict() { # prints what was found; fails when anything does not hold
    cat "$OUT/checks.log"
    failed=$(grep -c '^FAIL' "$OUT/checks.log" || true)
    if [ "$failed" -ne 0 ] || [ ! -e "$OUT/done" ]; then
        echo "FAILED; what the system wrote is in $OUT" >&2
        return 1
    fi
    echo "$(grep -c '^ok' "$OUT/checks.log") checks passed"
}
