"""Sensors, hardware, a clock and people that try to bring a device out of its envelope.

Owns: what they say in one tick, drawn from one seeded generator. Must not: know how the agent
decides. Each is honest until a bout gives it a hostile kind; the honest world shows every
effect that the envelope expects of a command.
"""

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Intent, Op, Quality, Reading
from edge_agent.safety.limits import EffectCheck, Envelope, SensorLimits

NS_PER_S = 1_000_000_000
PERIOD_NS = NS_PER_S // 10
_SLOW_NS = 10 * NS_PER_S  # a sensor that may be so old is not sampled every tick
_SLOW_TICKS = 10

SENSOR_KINDS = (
    "honest",
    "silent",
    "out of range",
    "spike",
    "at the interlock",
    "odd stamps",
    "bad quality",
    "stuck",
    "junk",
    "no effect",
    "deaf hardware",
    "silent hardware",
)
# Kind of clock -> the steps it takes, drawn evenly; None stands for an honest period.
CLOCK_STEPS_NS: Mapping[str, tuple[int | None, ...]] = MappingProxyType(
    {
        "steady": (None,),
        "jitter": (PERIOD_NS // 2, None, PERIOD_NS * 3 // 2),
        "stands": (None, None, None, 0),
        "goes back": (None, None, None, -1, -PERIOD_NS, -2 * NS_PER_S),
        "leaps": (None,) * 40 + (2 * PERIOD_NS + 1, NS_PER_S, NS_PER_S + 1, 600 * NS_PER_S),
        "dense": (1, 999, 1_000_000, 3_000_000),
        "slow": (None, 3 * PERIOD_NS),
    }
)
# Kind of people -> the operations they ask for, drawn evenly; the last two do not exist.
PEOPLE_OPS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "quiet": (),
        "arm again": (Op.ARM, Op.RESET),
        "disarm": (Op.DISARM,),
        "stop": (Op.STOP,),
        "anything": (*Op, 0, 99),
    }
)


class Scene(NamedTuple):
    """Who is hostile now, and how."""

    sensors: str = "honest"
    clock: str = "steady"
    people: str = "quiet"


class HostileWorld:
    """Everything around the agent."""

    def __init__(self, envelope: Envelope, generator: random.Random) -> None:
        self._envelope = envelope
        self._random = generator
        self._healthy = [_healthy(s, envelope) for s in envelope.sensors]
        self._thresholds = {
            envelope.sensor_index[k.sensor]: (k.ok_min, k.clear_min, k.clear_max, k.ok_max)
            for k in envelope.interlocks
        }
        self._tick = 0
        self._victim = 0
        self.scene = Scene()
        self.now_ns = 1000 * NS_PER_S

    def begin(self, scene: Scene) -> None:
        """Another bout, against another sensor."""
        self.scene = scene
        self._victim = self._random.randrange(len(self._healthy))

    def advance(self) -> int:
        """The time of the next tick."""
        self._tick += 1
        step_ns = self._random.choice(CLOCK_STEPS_NS[self.scene.clock])
        self.now_ns = max(self.now_ns + (PERIOD_NS if step_ns is None else step_ns), 0)
        return self.now_ns

    def people(self) -> list[Intent]:
        """What people ask for in this tick."""
        ops, draw = PEOPLE_OPS[self.scene.people], self._random
        if not ops or draw.random() < 0.8:
            return []
        return [Intent(int(draw.choice(ops))) for _ in range(draw.randrange(3))]

    def readings(self, command: tuple[int, ...]) -> list[Reading]:
        """What sensors and hardware report; the hardware applied `command`."""
        envelope, now_ns, kind = self._envelope, self.now_ns, self.scene.sensors
        counts = self._honest(command)
        if kind == "no effect":
            self._deny(command, counts)
        rows = []
        for c, (limits, value) in enumerate(zip(envelope.sensors, counts, strict=True)):
            slow = limits.max_age_ns >= _SLOW_NS
            if slow and self._tick % _SLOW_TICKS and c != self._victim:
                continue
            rows += self._spoiled(c, value) if c == self._victim else [_good(c, value, now_ns)]
        if kind != "silent hardware":
            first = len(envelope.sensors)
            applied = envelope.safe_counts if kind == "deaf hardware" else command
            rows += [_good(first + i, n, now_ns) for i, n in enumerate(applied)]
        if kind == "junk":
            rows += [
                Reading(self._random.choice((-1, 10**6)), 0, now_ns, Quality.GOOD),
                Reading(self._victim, self._random.choice((-(2**63), 2**63 - 1)), now_ns, 99),
            ]
        return rows

    def _honest(self, command: tuple[int, ...]) -> list[int]:
        counts = [
            value + (1 if wiggles and self._tick // _SLOW_TICKS % 2 else 0)
            for value, wiggles in self._healthy
        ]
        for a, told in zip(self._envelope.actuators, command, strict=True):
            if isinstance(a.effect, EffectCheck):
                high = 2 * told >= a.effect.when_at_least + a.effect.when_at_most
                shown = a.effect.expect_at_least if high else a.effect.expect_at_most
                counts[self._envelope.sensor_index[a.effect.sensor]] = shown
        return counts

    def _deny(self, command: tuple[int, ...], counts: list[int]) -> None:
        """Every sensor shows the opposite of what was commanded."""
        for a, told in zip(self._envelope.actuators, command, strict=True):
            if isinstance(a.effect, EffectCheck):
                high = told >= a.effect.when_at_least
                shown = a.effect.expect_at_least - 1 if high else a.effect.expect_at_most + 1
                counts[self._envelope.sensor_index[a.effect.sensor]] = shown

    def _spoiled(self, c: int, value: int) -> list[Reading]:
        """The victim's samples of this tick."""
        draw, now_ns, limits = self._random, self.now_ns, self._envelope.sensors[c]
        kind, stamp_ns, quality = self.scene.sensors, now_ns, int(Quality.GOOD)
        if kind == "silent":
            return []
        if kind == "out of range":
            value = draw.choice((limits.min_counts - 1, limits.max_counts + 1, 2**40))
        elif kind == "spike" and draw.random() < 0.2:
            value += limits.max_step_counts + 1
        elif kind == "at the interlock":
            value = draw.choice(self._thresholds.get(c, (value,))) + draw.choice((-1, 0, 1))
        elif kind == "odd stamps":
            stamp_ns += draw.choice((1, NS_PER_S, -limits.max_age_ns, -limits.max_age_ns - 1))
        elif kind == "bad quality":
            quality = draw.choice((1, 2, 3, 99))
        elif kind == "stuck":
            value = self._healthy[c][0]
        return [Reading(c, value, stamp_ns, quality)]


def _good(channel: int, counts: int, stamp_ns: int) -> Reading:
    return Reading(channel, counts, stamp_ns, Quality.GOOD)


def _healthy(sensor: SensorLimits, envelope: Envelope) -> tuple[int, bool]:
    """A value that no interlock minds, and whether the sensor may differ from it by one."""
    low, high = sensor.min_counts, sensor.max_counts
    for lock in envelope.interlocks:
        if lock.sensor == sensor.name:
            low, high = max(low, lock.clear_min), min(high, lock.clear_max)
    middle = (low + high) // 2
    return (middle if high - low > 1 else high), high - low > 1
