"""The simulated world: plant, microcontroller, sensors and faults on simulated time.

Owns: the order in which they live, and the only clock of a simulated run. Must not: know the
agent. The world sees what reaches the microcontroller's pins, and the agent sees what the
sensors and the wire report: neither sees the other.

Everything follows from the seed: equal seeds and commands give equal bytes on the wire.
"""

import random
from dataclasses import dataclass
from typing import Final

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.core.units import to_counts
from edge_agent.safety.limits import Envelope
from edge_agent.sim.episodes import Episode
from edge_agent.sim.faults import SENSOR_FAULTS, Fault, FaultKind, distorted, require_possible
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from edge_agent.sim.plant import AirHandlerPlant
from edge_agent.sim.transport import MemoryCable
from firmware_bridge.messages import ResetReason

MCU_STEP_NS: Final = 20 * NS_PER_MS
PLANT_STEP_NS: Final = 100 * NS_PER_MS
SAMPLE_NS: Final = NS_PER_S  # the sensors that are not the microcontroller's
_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPlan:
    """What a world is made of. `feedback` are the sensors on the microcontroller's own pins."""

    envelope: Envelope
    feedback: tuple[str, ...]
    episode: Episode
    faults: tuple[Fault, ...] = ()
    seed: int = 1


class World:
    """One device and everything around it. Time moves in `advance_to` only."""

    def __init__(self, plan: WorldPlan) -> None:
        """ConfigError when the plan holds a fault that cannot be produced."""
        require_possible(plan.faults, plan.envelope, plan.feedback)
        envelope = plan.envelope
        self.clock = ManualClock()
        self.cable = MemoryCable(f"simulated {envelope.device}")
        self.plant = AirHandlerPlant(plan.episode)
        self._plan = plan
        self._nonces = random.Random(plan.seed)
        self.mcu = self._boot(ResetReason.POWER_ON)
        self._scales = [s.counts_per_unit for s in envelope.sensors]
        self._actuator_scales = [a.counts_per_unit for a in envelope.actuators]
        self._on_mcu = [envelope.sensor_index[name] for name in plan.feedback]
        self._others = [i for i in range(len(envelope.sensors)) if i not in self._on_mcu]
        self._sensor_faults = [
            (envelope.sensor_index[f.channel], f) for f in plan.faults if f.kind in SENSOR_FAULTS
        ]
        self._before: dict[int, int] = {}  # last counts of each channel while no fault was on it
        self._unplugs = [f for f in plan.faults if f.kind is FaultKind.SERIAL_UNPLUGGED]
        self._resets = [f for f in plan.faults if f.kind is FaultKind.MCU_RESET]
        self._samples: list[Reading] = []

    def nonce(self) -> int:
        """A new u32 for a session of the link: seeded, so that a run can be repeated."""
        return self._nonces.getrandbits(_BITS)

    def advance_to(self, now_ns: int) -> None:
        """Let the world live until `now_ns`, a multiple of the microcontroller's step."""
        while self.clock.now_ns() < now_ns:
            self.clock.advance_ns(MCU_STEP_NS)
            self._step(self.clock.now_ns())

    def take_samples(self) -> list[Reading]:
        """What the sensors have said since the last call, in order."""
        samples, self._samples = self._samples, []
        return samples

    def _boot(self, reason: ResetReason) -> SimulatedMcu:
        """A microcontroller that has just started: another nonce, outputs safe."""
        return SimulatedMcu(
            self._plan.envelope,
            self._plan.feedback,
            self.nonce(),
            McuSettings(reset_reason=reason),
            self.clock.now_ns(),
        )

    def _step(self, now_ns: int) -> None:
        self._break_things(now_ns)
        self.mcu.receive(now_ns, self.cable.device_read())
        if now_ns % PLANT_STEP_NS == 0:
            self._live(now_ns)
        self.cable.device_write(self.mcu.advance(now_ns))

    def _break_things(self, now_ns: int) -> None:
        if any(fault.at(now_ns) for fault in self._unplugs):
            self.cable.unplug()
        else:
            self.cable.plug()
        while self._resets and now_ns >= self._resets[0].start_s * NS_PER_S:
            self._resets.pop(0)
            self.mcu = self._boot(ResetReason.WATCHDOG)

    def _live(self, now_ns: int) -> None:
        """One step of the plant under what the pins do, then a look at it."""
        outputs = zip(self.mcu.outputs, self._actuator_scales, strict=True)
        self.plant.step([n / scale for n, scale in outputs], PLANT_STEP_NS / NS_PER_S)
        values = self.plant.measure()
        on_mcu = [self._sample(channel, values[channel], now_ns) for channel in self._on_mcu]
        self.mcu.set_sensors(tuple(r.counts for r in on_mcu if r is not None))
        if now_ns % SAMPLE_NS == 0:
            samples = [self._sample(channel, values[channel], now_ns) for channel in self._others]
            self._samples += [r for r in samples if r is not None]

    def _sample(self, channel: int, value: float, now_ns: int) -> Reading | None:
        """One measurement in counts, as the sensor, faulty or not, reports it."""
        counts = to_counts(value, self._scales[channel])
        if counts is None:
            return Reading(channel, 0, now_ns, Quality.INVALID)
        reading = Reading(channel, counts, now_ns, Quality.GOOD)
        for faulty, fault in self._sensor_faults:
            if faulty == channel and fault.at(now_ns):
                before = self._before.get(channel, counts)
                return distorted(reading, fault, before, self._scales[channel])
        self._before[channel] = counts
        return reading


class SimulatedSensors:
    """The port to the sensors that are not the microcontroller's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._readings = 0

    def poll(self, now_ns: int) -> list[Reading]:
        """Samples up to `now_ns`, stamped when they were measured."""
        self._world.advance_to(now_ns)
        readings = self._world.take_samples()
        self._readings += len(readings)
        return readings

    def apply(self, now_ns: int, command: Command) -> None:
        """Sensors have nothing to move."""

    def fileno(self) -> int | None:
        """Simulated time cannot be waited for."""
        return None

    def status(self) -> dict[str, int | str]:
        return {"readings": self._readings}

    def close(self) -> None:
        """There is nothing to release."""
