# Sourced: a Debian that boots its own systemd in a container, is killed as by a power cut, and is
# booted again. The caller sets ROOT, OUT and MACHINE.

# Two containers in one control group would end each other's units: each has one of its own, where
# the machine's groups are not systemd's to keep.
own_groups() {
    for tree in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [ ! -e "$tree/cgroup.procs" ] || [ -d /run/systemd/system ] || echo "$tree/$MACHINE"
    done
}

boot() { # UNIT: begins to boot, and leaves the container's process number in $running
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
    running=$!
}

# Its process 1 dies, and the kernel ends all the others at once. Killing the container's keeper
# would leave them running.
end() {
    inside=$(cat "/proc/$running/task/$running/children" 2>/dev/null || true)
    [ -z "$inside" ] || kill -KILL $inside
    wait "$running" 2>/dev/null || true
    for group in $(own_groups); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}
