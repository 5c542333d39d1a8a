#!/usr/bin/env bash
# Proves the contracts of envelope.c and guard.c with Frama-C: EVA (no alarm for any sound memory
# and any input), then WP with z3 (every contract, no overflow, no bad access, no narrowing cast).
# EVA on frame.c: no alarm for any input of 0 to 128 bytes, with any session and, keyed, any key.
# Prints what was proved; exit 0 only when nothing is left.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

why3 config detect -C "$work/why3.conf" >/dev/null 2>&1
export WHY3CONFIG="$work/why3.conf"

libc="$(frama-c -print-share-path)/libc"
limits="-DENVELOPE_LIMITS_H='\"limits_air_handler.h\"' -I$libc"
casts=(-warn-signed-downcast -warn-unsigned-downcast)
# Ref: what a pointer to one struct names is a value of its own, not a piece of one big memory.
# That holds where such pointers are apart; -wp-check-memory-model makes it a goal at each call.
wp=(-wp -wp-model Typed+Ref -wp-check-memory-model -wp-prover z3 -wp-timeout "${PROVE_TIMEOUT:-60}" -wp-no-init-const)

frama-c -cpp-extra-args="$limits" "${casts[@]}" \
    -eva -eva-precision 5 -eva-auto-loop-unroll 64 prove/any_steps.c "$libc/__fc_builtin.c" \
    -then "${wp[@]}" -wp-fct tables_are_sound >"$work/eva.log" 2>&1
frama-c -cpp-extra-args="$limits" "${casts[@]}" "${wp[@]}" \
    -wp-rte envelope.c >"$work/wp.log" 2>&1
mcu="-DENVELOPE_LIMITS_H='\"limits_air_handler_mcu.h\"' -I$libc"
for source in envelope guard; do # as a microcontroller builds them
    frama-c -cpp-extra-args="$mcu" "${casts[@]}" "${wp[@]}" \
        -wp-rte "$source.c" >"$work/$source.log" 2>&1
done
for keyed in 0 1; do
    frama-c -cpp-extra-args="-DEB1_KEYED=$keyed -I$libc" -eva -eva-precision 3 \
        -eva-auto-loop-unroll 130 -eva-split-return-function eb1_decode:7 prove/any_bytes.c \
        "$libc/__fc_builtin.c" >"$work/bytes$keyed.log" 2>&1
done

left=0
check() { # name, log, pattern of the good line
    if grep -Eq "$3" "$2"; then
        echo "$1: $(grep -Eo "$3" "$2" | head -1)"
    else
        left=1
        echo "$1: NOT PROVED" >&2
        grep -E 'alarms? generated|Goal .*: (Failed|Unknown|Timeout)|Proved goals|assertion|rror' \
            "$2" >&2 || true
    fi
}
check "EVA" "$work/eva.log" '0 alarms generated'
check "WP, tables" "$work/eva.log" 'Proved goals: +([0-9]+) / \1$'
check "EVA, frames" "$work/bytes0.log" '0 alarms generated'
check "EVA, frames with a key" "$work/bytes1.log" '0 alarms generated'
check "WP, envelope of a microcontroller" "$work/envelope.log" 'Proved goals: +([0-9]+) / \1$'
check "WP, guard" "$work/guard.log" 'Proved goals: +([0-9]+) / \1$'
check "WP, envelope" "$work/wp.log" 'Proved goals: +([0-9]+) / \1$'
if grep -A1 'eva:alarm.*any_steps' "$work/eva.log" | grep -q 'assertion'; then
    echo "an assertion of any_steps.c is not proved" >&2
    left=1
fi
exit "$left"
