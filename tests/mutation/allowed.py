"""Mutants that may survive, each with its reason, and the planted ones that test the runner."""

from collections.abc import Mapping
from types import MappingProxyType

_ENVELOPE = "edge_agent/safety/envelope.py"
_TWIN = "firmware_bridge/device/envelope.c"
_GUARD = "firmware_bridge/device/guard.c"

# (file, text, its replacement, whether the tests must let it pass)
PLANTED: tuple[tuple[str, str, str, bool], ...] = (
    # A step of exactly the longest time is cut to itself.
    (_ENVELOPE, "elif dt_ns > DT_MAX_NS:", "elif dt_ns >= DT_MAX_NS:", True),
    # A carry of exactly nothing is raised to itself.
    (_ENVELOPE, "if up < 0:", "if up <= 0:", True),
    (_ENVELOPE, "if not low <= counts <= high:", "if not low <= counts:", False),
    (_ENVELOPE, "_exclude(envelope, state, command, reasons)\n    locks", "pass\n    locks", False),
    ("edge_agent/safety/gate.py", "if whole is None:", "if False:", False),
    # Nothing left, and less than nothing, are both nothing.
    (_TWIN, "if (left < 0) {", "if (left <= 0) {", True),
    (_TWIN, "counts && counts <= ENVELOPE_MOTIONS[i].max_counts", "counts", False),
    (_TWIN, "exclude(state, k, verdict);", "(void)0;", False),
    (_GUARD, "if (way < 0) {", "if (way <= 0) {", True),
    (_GUARD, "return wish > high ? high : wish;", "return wish;", False),
    (_GUARD, "guard->saved_ms = saved - used;", "guard->saved_ms = saved;", False),
)

# Key of a mutant -> why no test can, or need, tell it from the original.
_EQUAL = "at equality both branches give the same value"
_LENGTHS = "the two lengths were made equal, or compared, just before"
_PER_ACTUATOR = "all have one entry per actuator of the same envelope"
_CELLS = "each table's rows have the same cells, written out beside each other"
_MOVED = "here it moved: nothing is neither up nor down"
_NO_WAY = "from a place to itself any reach is enough"
_DIFFER = "the two are known to differ here"
_SIGN = "only the sign of the direction counts"
_NOTHING = "a move of nothing costs nothing"
_EMPTIED = "the product empties the bucket too; the condition keeps it inside 64 bits"
_ONE = "every need is at least one millisecond"
_STANDS = "no way is one millisecond at either rate"
_LONG_WAY = "what is not passed at once passes, unchanged, through every limit"
_WRITTEN = "it is written before it is read"
_NEVER_FAR = "the two are never half the numbers apart"
_ASKED_SOONER = "in SAFE the guard says the same, asked sooner or a millisecond later"
_NO_ROOM = "a body that ends there holds no sixteen integers, whatever the count says"
_OWN_PLACE = "a zero there is where a code, or the end, is written anyway"
_PADDING = "no one reads or owns the byte behind the block; the sum proves every other"
ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "agreement.py:step: boolean: True": _LENGTHS,
        "effects.py:step: statement deleted: continue": "it only saves the work of adding nothing",
        "envelope.py:step: comparison 1 GtE: dt_ns > DT_MAX_NS": _EQUAL,
        "envelope.py:_follow: comparison 1 Lt: low <= wish <= high": _LONG_WAY,
        "envelope.py:_follow: comparison 2 Lt: low <= wish <= high": _LONG_WAY,
        "envelope.py:_booked: comparison 1 GtE: budget > full": _EQUAL,
        "envelope.py:_booked: comparison 1 LtE: budget < 0": _EQUAL,
        "envelope.py:_booked: constant + 1: 0 #7": _EQUAL,
        "envelope.py:_booked: boolean: True": _PER_ACTUATOR,
        "envelope.py:_booked: comparison 1 GtE: rest_ns > dt_ns": _EQUAL,
        "envelope.py:_booked: comparison 1 GtE: moved > 0": _MOVED,
        "envelope.py:_booked: constant - 1: 0 #2": _MOVED,
        "envelope.py:_booked: comparison 1 LtE: up < 0": _EQUAL,
        "envelope.py:_booked: constant + 1: 0 #3": _EQUAL,
        "envelope.py:_booked: comparison 1 LtE: down < 0": _EQUAL,
        "envelope.py:_booked: constant + 1: 0 #5": _EQUAL,
        "envelope.py:_booked: comparison 1 LtE: up < NS_PER_S": _EQUAL,
        "envelope.py:_booked: comparison 1 LtE: down < NS_PER_S": _EQUAL,
        "envelope.py:_check_range: boolean: True": _PER_ACTUATOR,
        "envelope.py:_follow: comparison 1 LtE: target < last": _EQUAL,
        "envelope.py:_ramping: boolean: True": _PER_ACTUATOR,
        "envelope.py:_ramp: boolean: True": _PER_ACTUATOR,
        "envelope.py:_follow: comparison 1 GtE: target > last": _EQUAL,
        "envelope.py:_follow: comparison 1 LtE: earned < full": _EQUAL,
        "envelope.py:_ramp: comparison 1 GtE: safe > last": _EQUAL,
        **{
            f"envelope.c:{place}": _EQUAL
            for place in (
                "clamp: > >=: if (counts > ENVELOPE_MOTIONS[i].max_counts) {",
                "clamp: < <=: return counts < ENVELOPE_MOTIONS[i].min_counts ? ENVELOPE_MOTIONS[i].min_counts ",  # noqa: E501 - the key is one text
                "toward: > >=: if (target > last + reach) {",
                "book: < <=: travel_left(travel_earned(memory, i, dt_ns), i, moved < 0 ? -moved : moved);",  # noqa: E501
                "book: constant + 1: travel_left(travel_earned(memory, i, dt_ns), i, moved < 0 ? -moved : moved);",  # noqa: E501
                "book: > >=: memory->rest_ns = memory->rest_ns > dt_ns ? memory->rest_ns - dt_ns : 0;",  # noqa: E501
                "begin: < <=: now.dt_ns = now.dt_ns < DT_MAX_NS ? now.dt_ns : DT_MAX_NS;",
                "travel_earned: < <=: return budget < ENVELOPE_MOTIONS[i].travel_full ? budget : ENVELOPE_MOTIONS[i].t",  # noqa: E501
                "toward: < <=: return target < last - reach ? (int32_t)(last - reach) : target;",
            )
        },
        "blake2s.c:mix: + -: uint32_t *const c = &v[8 + ((column + 2 * turn) & 3)]; #2": "two further and two back are the same of four",  # noqa: E501
        "blake2s.c:compress: constant + 1: uint32_t m[16];": "room that nobody uses",
        "blake2s.c:compress: constant + 1: uint32_t v[16];": "room that nobody uses",
        "blake2s.c:fill: < <=: for (uint8_t k = from; k < EB1_BLAKE2S_BLOCK; k++) {": _PADDING,
        "blake2s.c:eb1_blake2s_begin: constant + 1: fill(hash, 0);": "a key has a first byte; without one the end fills",  # noqa: E501
        "device.c:read_wish: false true: eb1_int value = {UINT32_MAX, false};": _WRITTEN,
        "device.c:next_unsigned: constant + 1: eb1_int read = {0, true}; /* there is one: the body was walked before, and count": _WRITTEN,  # noqa: E501
        "device.c:next_unsigned: true false: eb1_int read = {0, true}; /* there is one: the body was walked before, and count": _WRITTEN,  # noqa: E501
        "device.c:on_control: constant + 1: uint32_t nonce = 0;": _WRITTEN,
        "device.c:on_control: constant + 1: uint32_t count = 0;": _WRITTEN,
        "device.c:begin_session: constant + 1: session->heard = 0;": "a session's first frames are near to both",  # noqa: E501
        "device.c:eb1_boot: constant + 1: device->input.qualities[i] = ENVELOPE_GOOD + 1;": "any other quality is not GOOD",  # noqa: E501
        "device.c:obey: statement deleted: COUNT(sets_stale);": "only an interrupt while a SET is judged gets there, in the fuzzer's scripts, which read no counter",  # noqa: E501
        "device.c:on_hello_ack: statement deleted: device->answer_due = false;": "the host's library sends an answer before it takes the next byte",  # noqa: E501
        "device.c:arm: returns 0: return EB1_OK;": "that is its number",
        "device.c:note_number: && ||: if ((frame->kind & EB1_UNSALTED) == 0 &&": _NEVER_FAR,
        "device.c:note_number: < <=: frame->number - session->heard < UINT32_C(0x80000000)) {": _NEVER_FAR,  # noqa: E501
        "device.c:eb1_transmit: < <=: if (seen.now_ms - device->telemetry_ms < UINT32_C(0x80000000)) {": _NEVER_FAR,  # noqa: E501
        "device.c:eb1_transmit: >= >: if (!device->session.open || seen.now_ms - device->telemetry_ms >= UINT32_C(0x80": _NEVER_FAR,  # noqa: E501
        "device.c:end_piece: constant + 1: if (device->received > 1 && device->piece[1] == IDENT) {": "nobody asks in two bytes",  # noqa: E501
        **{
            f"device.c:eb1_main_progress: {place}: if (seen.state == EB1_SAFE && seen.now_ms - device->guarded_ms >= GUARD_REST_MS)": _ASKED_SOONER  # noqa: E501
            for place in ("&& ||", "- +", ">= >", ">= <")
        },
        "envelope.c:follow: > >=: note(verdict, wish > target ? ENVELOPE_ABOVE_MAX : ENVELOPE_BELOW_MIN, channel, ": _DIFFER,  # noqa: E501
        "envelope.c:follow: > >=: note(verdict, target > reached ? ENVELOPE_RATE_UP : ENVELOPE_RATE_DOWN, channel,": _DIFFER,  # noqa: E501
        "envelope.c:saved: > >=: if (moved > 0) {": _NOTHING,
        "envelope.c:saved: constant - 1: if (moved > 0) {": _NOTHING,
        "envelope.c:saved: < <=: if (left < 0) {": _EQUAL,
        "envelope.c:saved: constant + 1: if (left < 0) {": _EQUAL,
        "envelope.c:saved: < <=: return (int32_t)(left < NS_PER_S ? left : NS_PER_S);": _EQUAL,
        "envelope.c:travel_left: constant - 1: if (distance > ENVELOPE_MOTIONS[i].travel_max_counts / 2) {": _EMPTIED,  # noqa: E501
        "envelope.c:travel_left: > >=: return budget > 0 ? budget : 0;": _EQUAL,
        "envelope.c:travel_left: constant - 1: return budget > 0 ? budget : 0;": _EQUAL,
        "envelope.c:speed_reach: > >=: if (target > memory->last) {": _NO_WAY,
        "frame.c:eb1_next: constant - 1: value->negative = code >= 0xd0;": "0xcf is no integer of the wire",  # noqa: E501
        **{
            f"frame.c:body_is_sound: {place}": _NO_ROOM
            for place in (
                ">= >: if (head == 0xdc && frame->end >= HEADER + 3) {",
                "constant + 1: if (head == 0xdc && frame->end >= HEADER + 3) { #2",
                "constant - 1: if (head == 0xdc && frame->end >= HEADER + 3) { #2",
                "constant + 1: frame->count = (uint16_t)(frame->bytes[HEADER + 1] << 8 | frame->bytes[HEADER +  #2",  # noqa: E501
            )
        },
        "frame.c:eb1_decode: returns 0: return EB1_TOO_LONG;": "that is its number",
        "frame.c:eb1_end: < <=: for (size_t at = 2; at < writer->at; at++) {": _OWN_PLACE,
        "frame.c:eb1_end: constant - 1: for (size_t at = 2; at < writer->at; at++) {": _OWN_PLACE,
        "keyed.c:define: constant + 1: #define PREFIX_SIZE 24": "whole words of it are written",
        "frame.c:eb1_put_signed: >= >: if (value >= 0) {": _EQUAL,
        "frame.c:eb1_put_signed: constant + 1: if (value >= 0) {": _EQUAL,
        **{
            f"guard.c:{place}": _EQUAL
            for place in (
                "toward_safe: < <=: const int32_t low = now < safe ? now : safe;",
                "toward_safe: < <=: const int32_t high = now < safe ? safe : now;",
                "toward_safe: < <=: if (wish < low) {",
                "toward_safe: > >=: return wish > high ? high : wish;",
                "eb1_guard_step: < <=: if (elapsed_ms < (uint32_t)(EB1_SAVED_MAX_MS - guard->saved_ms)) {",  # noqa: E501
                "eb1_guard_step: > >=: if (saved > EB1_EARLY_MS) {",
                "eb1_guard_step: > >=: used = need > used ? need : used;",
                "eb1_guard_step: < <=: used = used < saved ? used : saved;",
            )
        },
        "guard.c:time_needed: < <=: if (way < 0) {": _STANDS,
        "guard.c:time_needed: constant + 1: if (way < 0) {": _STANDS,
        "guard.c:eb1_guard_step: constant + 1: int32_t used = 0;": _ONE,
        "guard.c:eb1_guard_step: constant - 1: int32_t used = 0;": _ONE,
        "header.py:_pairs: boolean: True": "the second is made from the first, one for one",
        "table.py:_columns: boolean: True": _CELLS,
        "table.py:_columns: boolean: True #2": _CELLS,
        "tighten.py:module: constant + 1: 1": _SIGN,
        "tighten.py:module: constant + 1: 1 #2": _SIGN,
        "gate.py:admit: boolean: True": _LENGTHS,
    }
)
