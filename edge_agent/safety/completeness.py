"""The completeness matrix: every channel, every mandatory check, and the test of that cell.

Owns: which checks are mandatory, what a device declares for each, and which test drives each
of them on every channel. Must not: run a test. A cell that declares nothing, or that no test
covers, is empty, and an empty cell fails `edge-agent envelope check` and the project's tests.

Why by channel: neither line coverage nor mutants can see a limit that one channel never got.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge_agent.safety.limits import (
    ActuatorLimits,
    Agreement,
    EffectCheck,
    Envelope,
    SensorLimits,
)
from edge_agent.safety.table import amount, duration, safe_words

# The file whose tests drive one check on every channel of a device.
CELLS = "tests/unit/safety/test_cells.py::"
_NONE = "none: "  # opens a written reason, or a written choice, to have no limit


class Cell(NamedTuple):
    """One channel, one check. Empty if either of the last two is."""

    channel: str
    check: str
    declared: str
    test: str

    @property
    def empty(self) -> bool:
        return not self.declared.removeprefix(_NONE).strip() or not self.test

    @property
    def mark(self) -> str:
        if self.empty:
            return ""
        return "-" if self.declared.startswith(_NONE) else "x"


def matrix(envelope: Envelope) -> list[Cell]:
    """Every cell of a device, channel by channel."""
    cells = [
        Cell(s.name, name, declared(s), test and CELLS + test)
        for s in envelope.sensors
        for name, declared, test in _SENSOR_CHECKS
    ]
    cells += [
        Cell(a.name, name, declare(a), test and CELLS + test)
        for a in envelope.actuators
        for name, declare, test in _ACTUATOR_CHECKS
    ]
    return cells


def matrix_text(cells: list[Cell]) -> str:
    """A row a channel, a column a check, and below which test drives each column."""
    kinds: dict[tuple[str, ...], list[str]] = {}  # the checks of a kind of channel -> channels
    for channel in dict.fromkeys(c.channel for c in cells):
        kinds.setdefault(tuple(c.check for c in cells if c.channel == channel), []).append(channel)
    at = {(c.channel, c.check): c for c in cells}
    lines = []
    for checks, channels in kinds.items():
        width = max(map(len, channels))
        lines.append(" " * width + "".join(f"{k:>4}" for k in range(1, len(checks) + 1)))
        for channel in channels:
            marks = "".join(f"{at[channel, check].mark:>4}" for check in checks)
            lines.append(f"{channel:<{width}}{marks}".rstrip())
        for k, check in enumerate(checks, start=1):
            lines.append(f"{k:>4} {check:<16} {at[channels[0], check].test}")
        lines.append("")
    lines.append("x: a limit; -: none, for a written reason; blank: a hole")
    return "\n".join(lines)


def _stuck(s: SensorLimits) -> str:
    if s.stuck_after_ns is None:
        return f"{_NONE}it may stand still"
    return duration(s.stuck_after_ns)


def _agreement(s: SensorLimits) -> str:
    if isinstance(s.agreement, Agreement):
        return f"{s.agreement.sensor} within {amount(s.agreement.max_difference_counts, s)}"
    return f"{_NONE}{s.agreement.reason}"


def _dwell(a: ActuatorLimits) -> str:
    return duration(a.dwell_ns) if a.dwell_ns else f"{_NONE}it may change at every tick"


def _effect(a: ActuatorLimits) -> str:
    if isinstance(a.effect, EffectCheck):
        return f"{a.effect.sensor} within {duration(a.effect.within_ns)}"
    return f"{_NONE}{a.effect.reason}"


# Check, what a channel declares for it, and the test in CELLS that drives it.
_SENSOR_CHECKS: tuple[tuple[str, Callable[[SensorLimits], str], str], ...] = (
    (
        "plausible range",
        lambda s: f"{amount(s.min_counts, s)} to {amount(s.max_counts, s)}",
        "test_a_reading_out_of_its_range_ends_control",
    ),
    (
        "step",
        lambda s: amount(s.max_step_counts, s),
        "test_a_reading_too_far_from_the_last_is_not_believed",
    ),
    ("age", lambda s: duration(s.max_age_ns), "test_a_sensor_that_falls_silent_ends_control"),
    ("stuck", _stuck, "test_a_sensor_that_never_changes_is_not_believed"),
    (
        "needed",
        lambda s: "yes" if s.needed else f"{_NONE}control goes on without it",
        "test_a_sensor_never_seen_keeps_the_device_out_of_control",
    ),
    ("second source", _agreement, "test_a_sensor_is_compared_or_says_why_not"),
)
_ACTUATOR_CHECKS: tuple[tuple[str, Callable[[ActuatorLimits], str], str], ...] = (
    (
        "range",
        lambda a: f"{amount(a.min_counts, a)} to {amount(a.max_counts, a)}",
        "test_a_wish_out_of_range_ends_at_the_limit",
    ),
    (
        "rate up",
        lambda a: f"{amount(a.rate_up_counts_per_s, a)}/s",
        "test_a_wish_rises_no_faster_than_declared",
    ),
    (
        "rate down",
        lambda a: f"{amount(a.rate_down_counts_per_s, a)}/s",
        "test_a_wish_falls_no_faster_than_declared",
    ),
    (
        "travel",
        lambda a: f"{amount(a.travel_max_counts, a)} in {duration(a.travel_window_ns)}",
        "test_to_and_fro_runs_out_of_travel",
    ),
    ("dwell", _dwell, "test_a_change_waits_for_the_dwell"),
    ("number", lambda _: "a finite float", "test_what_is_no_number_is_no_proposal"),
    (
        "proposal age",
        lambda a: duration(a.proposal_max_age_ns),
        "test_a_late_proposal_is_none",
    ),
    (
        "feedback age",
        lambda a: duration(a.feedback_max_age_ns),
        "test_hardware_that_falls_silent_is_a_lost_link",
    ),
    (
        "lease",
        lambda a: duration(a.lease_ns),
        "test_the_hardware_lets_go_within_the_lease",
    ),
    ("safe action", safe_words, "test_the_way_to_safe_is_as_declared"),
    ("gateway lost", lambda a: a.on_link_loss.value, "test_a_link_loss_rule_is_acted_on"),
    ("effect", _effect, "test_a_missing_effect_trips_or_has_its_reason"),
    (
        "follow",
        lambda a: f"{amount(a.follow.max_difference_counts, a)} for {duration(a.follow.within_ns)}",
        "test_hardware_that_does_not_follow_trips",
    ),
)
