"""Mutants that may survive, each with its reason, and the planted ones that test the runner."""

from collections.abc import Mapping
from types import MappingProxyType

_ENVELOPE = "edge_agent/safety/envelope.py"
_TWIN = "firmware_bridge/device/envelope.c"

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
)

# Key of a mutant -> why no test can, or need, tell it from the original.
_EQUAL = "at equality both branches give the same value"
_LENGTHS = "the two lengths were made equal, or compared, just before"
_NO_WAY = "from a place to itself any reach is enough"
_DIFFER = "the two are known to differ here"
_SIGN = "only the sign of the direction counts"
_NOTHING = "a move of nothing costs nothing"
_EMPTIED = "the product empties the bucket too; the condition keeps it inside 64 bits"
_LONG_WAY = "what is not passed at once passes, unchanged, through every limit"
ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "agreement.py:step: boolean: True": _LENGTHS,
        "effects.py:step: statement deleted: continue": "it only saves the work of adding nothing",
        "envelope.py:step: comparison 1 GtE: dt_ns > DT_MAX_NS": _EQUAL,
        "envelope.py:_follow: comparison 1 Lt: low <= wish <= high": _LONG_WAY,
        "envelope.py:_follow: comparison 2 Lt: low <= wish <= high": _LONG_WAY,
        "envelope.py:_booked: comparison 1 GtE: budget > full": _EQUAL,
        "envelope.py:_booked: constant + 1: 0 #7": _EQUAL,
        "envelope.py:_booked: boolean: True": _LENGTHS,
        "envelope.py:_follow: comparison 1 GtE: target > last": _EQUAL,
        "envelope.py:_follow: comparison 1 LtE: earned < full": _EQUAL,
        "envelope.py:_ramp: comparison 1 GtE: safe > last": _EQUAL,
        **{
            f"envelope.c:{place}": _EQUAL
            for place in (
                "clamp: > >=: if (counts > ENVELOPE_MOTIONS[i].max_counts) {",
                "clamp: < <=: return counts < ENVELOPE_MOTIONS[i].min_counts ? ENVELOPE_MOTIONS[i].min_counts ",  # noqa: E501 - the key is one text
                "toward: > >=: if (target > last + reach) {",
                "travel_earned: < <=: return budget < ENVELOPE_MOTIONS[i].travel_full ? budget : ENVELOPE_MOTIONS[i].t",  # noqa: E501
                "toward: < <=: return target < last - reach ? (int32_t)(last - reach) : target;",
            )
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
        "header.py:_pairs: boolean: True": "the second is made from the first, one for one",
        "tighten.py:module: constant + 1: 1": _SIGN,
        "tighten.py:module: constant + 1: 1 #2": _SIGN,
        "gate.py:admit: boolean: True": _LENGTHS,
    }
)
