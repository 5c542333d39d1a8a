"""The cells of the fault matrix, and a site on which one of them happens.

A cell is one fault on one channel that can have it. What must follow is declared here in words
of its own, per phase in which the device was when the fault began; the times are those of the
device's limits. Nothing is taken from the tables of the supervisor, which are what is judged.
"""

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Mode, Op, Proposal, Rule, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.properties.world import PERIOD_NS, S
from tests.unit.safety.air_handler_bench import ACTUATORS, CLOSED, SENSORS, Bench, channel

WISHES: Mapping[str, float] = MappingProxyType(
    {"outdoor_damper": 40.0, "cooling_valve": 30.0, "supply_fan": 60.0}
)
HONEST = MappingProxyType(
    dict(zip(SENSORS, (1500, 1200, 800, 2200, 1400, 1, 1, 100, 200), strict=True))
)
UNDER_WAY_TICKS = 30
LATE_TICKS = 2  # detection within two periods
# A fault that takes longer to show begins before the phase and shows this long into it.
SHOWS_AFTER_NS = 5 * S
AFTER_TICKS = (ENVELOPE.supervision.return_dwell_ns + 4 * S) // PERIOD_NS


class Phase(StrEnum):
    """Where the device is when a fault begins."""

    SAFE = "safe"
    ARMING = "arming"  # the policy has no answer yet
    ACTIVE = "active"
    HOLDING = "holding"  # the policy has no answer any more
    DISARMING = "disarming"  # on the way to safe
    RETURNING = "returning"  # the link was lost and is back; waits for the dwell
    TRIPPED = "tripped"


class Kind(StrEnum):
    """What is broken."""

    CONFESSED = "says that it is bad"
    BEYOND = "beyond its range"
    SPIKE = "too far from its last"
    SILENT = "silent"
    FROZEN = "frozen"
    FEEDBACK_SILENT = "feedback silent"
    NOT_FOLLOWED = "not followed"
    NAN = "model says NaN"
    INFINITE = "model says infinity"
    SHORT = "model says too little"
    NOTHING = "model says nothing"
    LATE = "model is late"


class Cell(NamedTuple):
    """`within_ns`: from the beginning of the fault to the reaction."""

    kind: Kind
    name: str  # the channel; empty for the model
    within_ns: int
    rule: Rule
    reacts: Mapping[Phase, Mode]


_STAYS = {
    Phase.SAFE: Mode.SAFE,
    Phase.ARMING: Mode.ARMING,
    Phase.HOLDING: Mode.HOLDING,
    Phase.DISARMING: Mode.RAMPING,
    Phase.RETURNING: Mode.RAMPING,
    Phase.TRIPPED: Mode.TRIPPED,
}
HOLD = MappingProxyType({**_STAYS, Phase.ACTIVE: Mode.HOLDING})
RAMP = MappingProxyType({**_STAYS, Phase.ACTIVE: Mode.RAMPING, Phase.HOLDING: Mode.RAMPING})
# Outputs that nobody drives are not compared with a command.
TRIP = MappingProxyType({**dict.fromkeys(Phase, Mode.TRIPPED), Phase.SAFE: Mode.SAFE})
MODEL = MappingProxyType(
    {
        Kind.NAN: (Rule.NOT_FINITE, Proposal((math.nan,) * len(ACTUATORS))),
        Kind.INFINITE: (Rule.NOT_FINITE, Proposal((math.inf,) * len(ACTUATORS))),
        Kind.SHORT: (Rule.WRONG_SHAPE, Proposal((1.0,))),
        Kind.NOTHING: (Rule.NO_MODEL, Proposal(None)),
        Kind.LATE: (Rule.LATE, Proposal(tuple(CLOSED.values()), S)),
    }
)


def _leaps(name: str) -> list[int]:
    """Possible values too far from the honest ones and from each other. A sensor whose range
    holds only one such leap is left out: what stays there is believed at its second sample."""
    limits = ENVELOPE.sensors[channel(name)]
    jump = limits.max_step_counts + 2
    leaps = [HONEST[name] + by * jump for by in (1, -1, 2)]
    return [counts for counts in leaps if limits.min_counts <= counts <= limits.max_counts]


def _sensor_cells() -> Iterator[Cell]:
    for limits in ENVELOPE.sensors:
        name, invalid = limits.name, Rule.INVALID_INPUT
        yield Cell(Kind.CONFESSED, name, 0, invalid, HOLD)
        yield Cell(Kind.BEYOND, name, 0, invalid, HOLD)
        yield Cell(Kind.SILENT, name, limits.max_age_ns, Rule.STALE_INPUT, HOLD)
        if len(_leaps(name)) > 1:
            yield Cell(Kind.SPIKE, name, 0, invalid, HOLD)
        if limits.stuck_after_ns is not None:
            yield Cell(Kind.FROZEN, name, limits.stuck_after_ns, invalid, HOLD)


def _actuator_cells() -> Iterator[Cell]:
    for limits in ENVELOPE.actuators:
        silent_ns, apart_ns = limits.feedback_max_age_ns, limits.follow.within_ns
        yield Cell(Kind.FEEDBACK_SILENT, limits.name, silent_ns, Rule.LINK_LOST, RAMP)
        yield Cell(Kind.NOT_FOLLOWED, limits.name, apart_ns, Rule.NOT_FOLLOWED, TRIP)


CELLS = (
    *_sensor_cells(),
    *_actuator_cells(),
    *(Cell(kind, "", 0, rule, HOLD) for kind, (rule, _) in MODEL.items()),
)


class Site(Bench):
    """The bench with one fault, and a policy that can be made speechless."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Cell | None = None
        self.speechless = False
        self.unplugged = False
        self._ticks = 0

    def go(self, *ops: Op) -> TickRecord:
        """One period. What can freeze moves a little, so that only a fault is frozen."""
        self._ticks += 1
        said: dict[str, int | None] = {
            name: HONEST[name] + (self._ticks % 2 if limits.stuck_after_ns else 0)
            for name, limits in zip(SENSORS, ENVELOPE.sensors, strict=True)
        }
        if self.unplugged:
            said |= dict.fromkeys(ACTUATORS)
        self.ask(**WISHES)
        if self.speechless:
            self.policy.next = Proposal(None)
        self.confessing = ""
        if self.fault is not None:
            self._spoil(self.fault, said)
        return self.tick(*ops, **said)

    def _spoil(self, fault: Cell, said: dict[str, int | None]) -> None:
        name = fault.name
        match fault.kind:
            case Kind.CONFESSED:
                self.confessing = name
            case Kind.BEYOND:
                said[name] = ENVELOPE.sensors[channel(name)].max_counts + 1
            case Kind.SPIKE:
                said[name] = _leaps(name)[self._ticks % 2]
            case Kind.SILENT | Kind.FEEDBACK_SILENT:
                said[name] = None
            case Kind.FROZEN:
                said[name] = HONEST[name]
            case Kind.NOT_FOLLOWED:
                i = ACTUATORS.index(name)
                apart = ENVELOPE.actuators[i].follow.max_difference_counts + 1
                said[name] = self.agent.command.counts[i] + apart
            case _:
                self.policy.next = MODEL[fault.kind][1]

    def enter(self, phase: Phase) -> None:
        """From SAFE into the phase, in under four seconds."""
        if phase is Phase.SAFE:
            self.go()
            return
        self.speechless = phase is Phase.ARMING
        self.go(Op.ARM)
        if phase is Phase.ARMING:
            assert self.go().mode == Mode.ARMING
            return
        for _ in range(UNDER_WAY_TICKS):
            self.go()
        assert self.agent.mode == Mode.ACTIVE
        assert sum(c > 0 for c in self.agent.command.counts) == len(WISHES)
        match phase:
            case Phase.HOLDING:
                self.speechless = True
                self.go()
            case Phase.DISARMING:
                self.go(Op.DISARM)
            case Phase.TRIPPED:
                self.go(Op.STOP)
            case Phase.RETURNING:
                self.unplugged = True
                while self.go().mode == Mode.ACTIVE:
                    pass
                self.unplugged = False
                self.go()


def broken_in(cell: Cell, phase: Phase) -> tuple[Site, int]:
    """A site in that phase with the fault, and how many periods are left to react."""
    site = Site()
    site.go()
    if cell.within_ns <= SHOWS_AFTER_NS:
        site.enter(phase)
        site.fault = cell
        return site, cell.within_ns // PERIOD_NS + LATE_TICKS
    begun_ns = site.now_ns  # of the last honest reading
    site.fault = cell
    site.go()
    site.now_ns = begun_ns + cell.within_ns - SHOWS_AFTER_NS
    site.go()
    site.enter(phase)
    return site, (begun_ns + cell.within_ns - site.now_ns) // PERIOD_NS + LATE_TICKS
