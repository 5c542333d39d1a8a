"""Hand-made ticks of the air handler, for judging the judges."""

from edge_agent.core.records import (
    Mode,
    Proposal,
    Quality,
    Reason,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.safety.devices.air_handler import ENVELOPE

TICK_NS = 100_000_000
SENSORS = len(ENVELOPE.sensors)
# supply, mixed, outdoor, return, set-point, fan status, occupancy, current, position
WELL = (1800, 1500, 1000, 2100, 1600, 1, 1, 500, 300)


def tick(
    number: int,
    command: tuple[int, ...] = (0, 0, 0, 0),
    mode: Mode = Mode.ACTIVE,
    reasons: tuple[Reason, ...] = (),
    cause: Reason | None = None,
) -> TickRecord:
    return TickRecord(
        number,
        (number + 1) * TICK_NS,
        (),
        (),
        snapshot(),
        (),
        Proposal((0.0,) * 4),
        Verdict(command, reasons),
        mode,
        cause,
    )


def snapshot(
    applied: tuple[int, ...] = (0, 0, 0, 0), bad: int | None = None, **sensors: int
) -> Snapshot:
    """All is well, except for the named sensors; `bad` is a channel that is INVALID."""
    counts = list(WELL)
    for name, value in sensors.items():
        counts[ENVELOPE.sensor_index[name]] = value
    qualities = [int(Quality.GOOD)] * (SENSORS + 4)
    if bad is not None:
        qualities[bad] = Quality.INVALID
    return Snapshot((*counts, *applied), (0,) * (SENSORS + 4), tuple(qualities))
