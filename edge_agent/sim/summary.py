"""The summary of a run: what the ticks amounted to, as data and as a table.

Owns: counting. Must not: keep the ticks (a run may last for days), or judge control quality
beyond the figures: the error is measured where it is the policy's to answer for, occupied and
ACTIVE.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode, Rule, TickRecord
from edge_agent.decision.words import who_decides
from edge_agent.safety.limits import Envelope
from edge_agent.sim.inspector import Inspector
from edge_agent.sim.reactions import ReactionWatch
from edge_agent.sim.scenarios import Injection

# What the policy is to hold, where, and when it counts.
CONTROLLED: Final = "supply_temperature"
SETPOINT: Final = "supply_setpoint"
OCCUPANCY: Final = "occupancy"
CLAMPS: Final = (
    Rule.ABOVE_MAX,
    Rule.BELOW_MIN,
    Rule.RATE_UP,
    Rule.RATE_DOWN,
    Rule.TRAVEL,
    Rule.DWELL,
    Rule.EXCLUSIVE,
    Rule.INTERLOCK,
)
_PERIODS_TO_MISS: Final = 2  # the agent's own measure of a missed deadline
_FINDINGS_MAX: Final = 10


class SummaryBuilder:
    """Takes the ticks of one run in order."""

    def __init__(
        self, envelope: Envelope, period_ns: int, injections: Sequence[Injection] = ()
    ) -> None:
        self._envelope = envelope
        self._period_ns = period_ns
        self._inspector = Inspector(envelope)
        self._watches = [ReactionWatch(injection) for injection in injections]
        names = (CONTROLLED, SETPOINT, OCCUPANCY)
        self._controlled, self._setpoint, self._occupancy = (
            envelope.sensor_index[n] for n in names
        )
        self._scale = envelope.sensors[self._controlled].counts_per_unit
        self._ticks = 0
        self._missed = 0
        self._trips = 0
        self._fallback = 0
        self._modes: Counter[int] = Counter()
        self._rules: Counter[int] = Counter()
        self._squares = 0
        self._judged = 0
        self._travel = [0] * len(envelope.actuators)
        self._outside = 0
        self._findings: list[str] = []
        self._before: TickRecord | None = None

    def add(self, tick: TickRecord) -> None:
        """Count one tick."""
        before = self._before
        self._ticks += 1
        self._modes[tick.mode] += 1
        self._fallback += who_decides(tick) == "fallback"
        self._rules.update({reason.rule for reason in tick.verdict.reasons})
        if before is not None:
            self._missed += tick.now_ns - before.now_ns > _PERIODS_TO_MISS * self._period_ns
            moves = zip(tick.verdict.command, before.verdict.command, strict=True)
            for i, (after, earlier) in enumerate(moves):
                self._travel[i] += abs(after - earlier)
        if tick.mode == Mode.TRIPPED and (before is None or before.mode != Mode.TRIPPED):
            self._trips += 1
        counts = tick.snapshot.counts
        if tick.mode == Mode.ACTIVE and counts[self._occupancy]:
            self._squares += (counts[self._controlled] - counts[self._setpoint]) ** 2
            self._judged += 1
        found = self._inspector.check(tick)
        self._outside += bool(found)
        self._findings += found[: _FINDINGS_MAX - len(self._findings)]
        for watch in self._watches:
            watch.add(tick)
        self._before = tick

    def problems(self, *, complete: bool = True) -> list[str]:
        """Why this run is not as it should be; empty when it is.

        A run that is not complete may not have met its faults yet: no reaction is missing.
        """
        watches = self._watches if complete else []
        return [*self._findings, *(p for watch in watches for p in watch.problems())]

    def as_data(self) -> dict[str, Any]:
        """Every figure by name, in plain values."""
        last_ns = self._before.now_ns if self._before is not None else 0
        rms = (self._squares / self._judged) ** 0.5 / self._scale if self._judged else None
        return {
            "ticks": self._ticks,
            "simulated_s": last_ns / NS_PER_S,
            "missed_deadlines": self._missed,
            "commands_outside_envelope": self._outside,
            "trips": self._trips,
            "fallback_ticks": self._fallback,
            "modes_percent": {
                Mode(m).name: round(100.0 * n / self._ticks, 2) for m, n in self._modes.items()
            },
            "clamped_ticks": {r.name: self._rules[r] for r in CLAMPS if self._rules[r]},
            "refused_ticks": {
                Rule(r).name: n for r, n in sorted(self._rules.items()) if r not in CLAMPS
            },
            "rms_error": None if rms is None else round(rms, 4),
            "travel_percent": {
                a.name: round(100.0 * moved / (a.max_counts - a.min_counts), 1)
                for a, moved in zip(self._envelope.actuators, self._travel, strict=True)
            },
            "faults": [watch.as_data(self._envelope) for watch in self._watches],
        }


def summary_text(name: str, data: Mapping[str, Any]) -> str:
    """The summary of one run as a table for people."""
    rows = [
        ("ticks", f"{data['ticks']} in {data['simulated_s']:.0f} simulated seconds"),
        ("missed deadlines", str(data["missed_deadlines"])),
        ("commands outside", f"{data['commands_outside_envelope']} of {data['ticks']}"),
        ("trips", str(data["trips"])),
        ("fallback decided", f"{data['fallback_ticks']} ticks"),
        ("modes", _pairs(data["modes_percent"], " %")),
        ("clamped", _pairs(data["clamped_ticks"], " ticks")),
        ("no proposal", _pairs(data["refused_ticks"], " ticks")),
        ("control error", _error(data["rms_error"])),
        *((label, f"{data[key]:.2f} kWh") for label, key in _ENERGY if key in data),
        ("travel", _pairs(data["travel_percent"], " %")),
    ]
    if "wall_s" in data:
        rows.append(
            ("wall time", f"{data['wall_s']:.1f} s; a decision takes {data['step_mean_us']:.0f} us")
        )
    if "recording" in data:
        rows.append(("recording", _recording(data["recording"])))
    lines = [f"scenario {name}"]
    lines += [f"  {label:<18}{text}" for label, text in rows]
    for fault in data["faults"]:
        subject = f"{fault['fault']} {fault['channel']}".rstrip()
        lines.append(
            f"  {'fault':<18}{subject} at {fault['start_s']:.0f} s:"
            f" {fault['mode'] or 'no reaction'} after {_seconds(fault['reaction_s'])},"
            f" control back after {_seconds(fault['recovery_s'])}"
        )
        if fault["cause"]:
            lines.append(f"  {'':<18}because {fault['cause']}")
    return "\n".join(lines)


_ENERGY: Final = (
    ("cooling energy", "cooling_kwh"),
    ("heating energy", "heating_kwh"),
    ("fan energy", "fan_kwh"),
)


def _pairs(items: Mapping[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value}{unit}" for name, value in items.items()) or "none"


def _error(rms: float | None) -> str:
    return "never occupied and active" if rms is None else f"{rms:.3f} degC RMS, occupied, active"


def _recording(status: Mapping[str, int | str]) -> str:
    lost = f"{status['records_lost']} records lost: {status['error']}"
    kept = f"{status['records']} records in {status['path'] or 'no file'}"
    return f"{kept}; {lost}" if status["records_lost"] else kept


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
