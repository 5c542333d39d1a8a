"""Mutants that may survive, each with its reason, and the planted ones that test the runner."""

from collections.abc import Mapping
from types import MappingProxyType

_ENVELOPE = "edge_agent/safety/envelope.py"

# (file, text, its replacement, whether the tests must let it pass)
PLANTED: tuple[tuple[str, str, str, bool], ...] = (
    # A step of exactly the longest time is cut to itself.
    (_ENVELOPE, "elif dt_ns > DT_MAX_NS:", "elif dt_ns >= DT_MAX_NS:", True),
    # A carry of exactly nothing is raised to itself.
    (_ENVELOPE, "if up < 0:", "if up <= 0:", True),
    (_ENVELOPE, "if not low <= counts <= high:", "if not low <= counts:", False),
    (_ENVELOPE, "_exclude(envelope, state, command, reasons)\n    locks", "pass\n    locks", False),
    ("edge_agent/safety/gate.py", "if whole is None:", "if False:", False),
)

# Key of a mutant -> why no test can, or need, tell it from the original.
ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "envelope.py:_booked: comparison 1 GtE: budget > full": (
            "a budget of exactly the full one is set to itself"
        ),
    }
)
