"""One recorded day through the decision alone, at the day's own pace, without waiting.

Owns: an injected clock, the gateway's own decoding of the log's cells, and an agent that ticks
as often as the default configuration does. Must not: open a socket, a port or a process.

Played in real time, a day at 720 times its pace leaves an actuator that may move 5 % in a
second a twelfth of a second for each minute of the log. Here a minute lasts a minute, so the
limits and the policy's own filters act as they would have on that day. The microcontroller is
ideal: what is commanded is applied, and its two sensors say so.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.real_day_account import DayAccount, compare
from bench.real_day_run import ROW_S, Day, write_config
from edge_agent.app import build_agent, load_model
from edge_agent.config import Settings, load
from edge_agent.core.clock import NS_PER_S, ManualClock
from edge_agent.core.records import Intent, Op, Quality, Reading
from edge_agent.gateway.feed_map import load_map
from edge_agent.gateway.feed_rows import Row, read_rows
from edge_agent.gateway.intake import Intake
from edge_agent.gateway.settings import MqttSettings, sensor_decoders
from edge_agent.safety.limits import Envelope
from edge_agent.sim.plant_fitted import FITTED

RATE_HZ = 10
_PERIOD_NS = NS_PER_S // RATE_HZ
_TICKS_PER_ROW = round(ROW_S * RATE_HZ)


class IdealBoard:
    """Applies every command at once; its two sensors show a damper and a fan that follow."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._current = envelope.sensor_index["fan_current"]
        self._position = envelope.sensor_index["damper_position"]
        self._applied = tuple(a.safe.counts for a in envelope.actuators)

    def apply(self, counts: tuple[int, ...]) -> None:
        """Take the agent's command."""
        self._applied = counts

    def report(self, now_ns: int) -> list[Reading]:
        """The telemetry of one period."""
        envelope, applied = self._envelope, self._applied
        fan = envelope.actuator_index["supply_fan"]
        speed = applied[fan] / envelope.actuators[fan].max_counts
        amperes = FITTED.fan_idle_a + FITTED.fan_current_a * speed**2 if speed else 0.0
        values = {
            self._current: round(amperes * envelope.sensors[self._current].counts_per_unit),
            self._position: applied[envelope.actuator_index["outdoor_damper"]],
            **dict(enumerate(applied, start=len(envelope.sensors))),
        }
        return [Reading(c, counts, now_ns, Quality.GOOD) for c, counts in values.items()]


def replay(log: Path, mapping: Path, rows_max: int | None = None) -> dict[str, Any]:
    """The account and the comparison of the day, or of its first `rows_max` rows."""
    settings = _settings(mapping)
    rows = list(read_rows(log, load_map(mapping)))[:rows_max]
    account = _run(settings, rows)
    comparison = compare(settings.envelope, log, account.commands)
    return {**account.document(), "comparison": comparison}


def _run(settings: Settings, rows: Sequence[Row]) -> DayAccount:
    clock = ManualClock(_PERIOD_NS)  # the agent is as old as its first period
    agent = build_agent(settings, load_model(settings, clock), _PERIOD_NS)
    intake = Intake(
        sensor_decoders(settings.config.mqtt or MqttSettings(), settings.envelope.sensors)
    )
    board, account = IdealBoard(settings.envelope), DayAccount(settings.envelope)
    intents = [Intent(Op.ARM)]
    for row in rows:
        arrived = [
            reading
            for cell in row.cells
            if cell.payload is not None
            for reading in intake.readings(cell.topic, cell.payload, clock.now_ns(), retained=False)
        ]
        for _ in range(_TICKS_PER_ROW):
            now_ns = clock.now_ns()
            account.add(agent.step(now_ns, [*arrived, *board.report(now_ns)], intents))
            board.apply(agent.command.counts)
            arrived, intents = [], []
            clock.advance_ns(_PERIOD_NS)
    return account


def _settings(mapping: Path) -> Settings:
    """The same configuration as the played day's, at true speed: a row may be 150 s old."""
    with tempfile.TemporaryDirectory(prefix="real-day-") as folder:
        day = Day("replay", mapping, mapping, speed=1.0, max_age_rows=2.5)
        return load(write_config(day, Path(folder) / "mcu", 1883))
