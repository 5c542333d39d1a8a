# Sourced: a Debian that boots its own kernel in an emulated machine, loses its power, and is booted
# again. No acceleration: what virtual machines lend is not to be had everywhere. The caller sets
# BUILD, ROOT, OUT and ARCH.

case "$ARCH" in
amd64) emulator=(qemu-system-x86_64 -cpu max) console=ttyS0 ;;
arm64) emulator=(qemu-system-aarch64 -machine virt -cpu cortex-a72) console=ttyAMA0 ;;
*) fail "no machine is known here for $ARCH" ;;
esac

write_disk() { # of what is in $ROOT
    rm -f "$BUILD/disk"
    truncate --size=4G "$BUILD/disk"
    mkfs.ext4 -q -d "$ROOT" "$BUILD/disk"
}

boot() { # UNIT: begins to boot, and leaves the emulator's process number in $running
    rm -f "$OUT/done"
    "${emulator[@]}" -accel tcg,thread=multi -smp 2 -m 1024 -nodefaults -no-reboot \
        -display none -serial "file:$OUT/console-$(date +%s).log" \
        -kernel "$(echo "$ROOT"/boot/vmlinuz-*)" -initrd "$(echo "$ROOT"/boot/initrd.img-*)" \
        -append "root=/dev/vda rw console=$console quiet systemd.unit=$1" \
        -drive "file=$BUILD/disk,if=virtio,format=raw" \
        -virtfs "local,path=$OUT,mount_tag=out,security_model=none" </dev/null &
    running=$!
}

end() { # the power goes: what was not written to the disk is lost
    kill -KILL "$running" 2>/dev/null || true
    wait "$running" 2>/dev/null || true
}
