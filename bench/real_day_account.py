"""What happened in one played day, counted from the ticks alone, beside the real controller.

Owns: the account (rows, readings, qualities, modes, reasons, limits kept) and the comparison of
our commands with those of the log. Must not: start anything. The limits are checked by the
independent `Inspector`, not by the envelope's own code.

Commands are sampled when the next row comes in, that is, after the agent had a row's whole
time to answer it; the last row of a day has no such sample.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.real_day_run import SENSORS, Played
from edge_agent.core.records import Mode, Quality, Rule, TickRecord
from edge_agent.gateway.feed_map import FeedColumn, FeedMap
from edge_agent.gateway.feed_rows import read_rows
from edge_agent.safety.limits import Envelope
from edge_agent.sim.inspector import Inspector

OPEN_PERCENT = 5.0  # below this a valve or damper counts as shut
_FAN_STATUS = "AHU: Supply Air Fan Status"
# Our actuator -> what the real controller commanded, 0 to 1 in both logs.
_REAL_COLUMNS = (
    ("outdoor_damper", "AHU: Outdoor Air Damper Control Signal"),
    ("cooling_valve", "AHU: Cooling Coil Valve Control Signal"),
    ("heating_valve", "AHU: Heating Coil Valve Control Signal"),
    ("supply_fan", "AHU: Supply Air Fan Speed Control Signal"),
)


class DayAccount:
    """Takes the ticks of one day in order.

    Modes, qualities and reasons are counted from the first row to the last: what comes before
    is the start, what comes after is silence and the stop. Gaps and limits cover every tick.
    """

    def __init__(self, envelope: Envelope) -> None:
        self.commands: list[tuple[int, ...] | None] = []  # per row, in counts
        self.outside: list[str] = []  # of the envelope, in words
        self.ticks = 0
        self.gap_ticks = 0
        self._envelope = envelope
        self._inspector = Inspector(envelope)
        self._fed = [envelope.sensor_index[channel] for channel, _ in SENSORS]
        self._occupancy = envelope.sensor_index["occupancy"]
        self._readings: Counter[tuple[int, int]] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._since_row: Counter[tuple[str, str]] = Counter()
        self._last: TickRecord | None = None

    def add(self, tick: TickRecord) -> None:
        """Count one tick."""
        self.ticks += 1
        self.outside += self._inspector.check(tick)
        if self._last is not None:
            self.gap_ticks += tick.tick - self._last.tick - 1
        self._take_readings(tick)
        self._count(tick)
        self._last = tick

    def document(self) -> dict[str, Any]:
        """Everything counted, in plain values; a quality or rule that never came is absent."""
        names = self._envelope.channel_names
        readings: dict[str, dict[str, int]] = {names[c]: {} for c in self._fed}
        for (channel, quality), n in sorted(self._readings.items()):
            readings[names[channel]][Quality(quality).name] = n
        counted: dict[str, dict[str, int]] = {
            kind: {} for kind in ("modes", "modes_occupied", "not_good", "reasons")
        }
        for (kind, name), n in self._counts.most_common():
            counted[kind][name] = n
        return {
            "ticks": self.ticks,
            "gap_ticks": self.gap_ticks,
            "outside_envelope": self.outside,
            "readings": readings,
            **counted,
        }

    def _take_readings(self, tick: TickRecord) -> None:
        """Book the log's readings; each new row closes the one before it."""
        for reading in tick.readings:
            if reading.channel == self._fed[0]:
                self._close_row()
            if reading.channel in self._fed:
                self._readings[reading.channel, reading.quality] += 1

    def _close_row(self) -> None:
        if self.commands and self._last is not None:
            self.commands[-1] = self._last.verdict.command
            self._counts += self._since_row
        self.commands.append(None)
        self._since_row.clear()

    def _count(self, tick: TickRecord) -> None:
        counts, names = self._since_row, self._envelope.channel_names
        counts["modes", Mode(tick.mode).name] += 1
        if tick.snapshot.counts[self._occupancy]:
            counts["modes_occupied", Mode(tick.mode).name] += 1
        if any(tick.snapshot.qualities):
            for name, quality in zip(names, tick.snapshot.qualities, strict=True):
                if quality:
                    counts["not_good", f"{name} {Quality(quality).name}"] += 1
        for reason in tick.verdict.reasons:
            channel = f" {names[reason.channel]}" if reason.channel >= 0 else ""
            counts["reasons", Rule(reason.rule).name + channel] += 1


def document_of(played: Played, envelope: Envelope) -> dict[str, Any]:
    """What everybody said of one played day, the account and the comparison."""
    account = DayAccount(envelope)
    for tick in played.ticks:
        account.add(tick)
    return {
        "feed": played.feed,
        "exit_code": played.exit_code,
        "board": played.board,
        "gateway": played.status["gateway"]["report"],
        "relay": played.status["relay"],
        "damage": [str(damage) for damage in played.damage],
        **account.document(),
        "comparison": compare(envelope, played.day.log, account.commands),
    }


def compare(
    envelope: Envelope, log: Path, commands: Sequence[tuple[int, ...] | None]
) -> list[dict[str, Any]]:
    """Per actuator, over the rows in which the real fan ran; everything in percent."""
    rows = _real_rows(log)
    found = []
    for i, (name, _) in enumerate(_REAL_COLUMNS):
        limits = envelope.actuators[envelope.actuator_index[name]]
        pairs = [
            (command[envelope.actuator_index[name]] / limits.counts_per_unit, 100 * row[i])
            for command, row in zip(commands, rows, strict=False)
            if command is not None and row[-1]
        ]
        found.append({"actuator": name, "rows": len(pairs), **_difference(pairs)})
    return found


def _difference(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    n = max(1, len(pairs))
    is_open = Counter((ours > OPEN_PERCENT, theirs > OPEN_PERCENT) for ours, theirs in pairs)
    figures = {
        "ours": sum(ours for ours, _ in pairs) / n,
        "theirs": sum(theirs for _, theirs in pairs) / n,
        "difference": sum(abs(ours - theirs) for ours, theirs in pairs) / n,
        "both_open": 100 * is_open[True, True] / n,
        "ours_open": 100 * is_open[True, False] / n,
        "theirs_open": 100 * is_open[False, True] / n,
        "both_shut": 100 * is_open[False, False] / n,
    }
    return {name: round(value, 1) for name, value in figures.items()}


def _real_rows(log: Path) -> list[list[float]]:
    """Of every row: the real commands in our actuators' order, then the fan's status."""
    names = (*(name for _, name in _REAL_COLUMNS), _FAN_STATUS)
    columns = tuple(FeedColumn(name=name, topic=name) for name in names)
    feed_map = FeedMap(
        time_column="Datetime", time_format="%m/%d/%Y %H:%M", step_s=60, column=columns
    )
    rows = read_rows(log, feed_map)
    return [[float(cell.payload or b"nan") for cell in row.cells] for row in rows]
