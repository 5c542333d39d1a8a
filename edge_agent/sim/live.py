"""The simulated world beside a real clock: `run` in simulated mode is the service on a laptop.

Owns: the difference between the world's time and the machine's. Must not: change what happens
in the world, or stand in the loop for long: a machine that slept for an hour skips that hour
of the world instead of computing it.
"""

from typing import Final

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Reading
from edge_agent.sim.world import MCU_STEP_NS, SimulatedSensors, World

CATCH_UP_MAX_NS: Final = NS_PER_S


class LiveSensors(SimulatedSensors):
    """The port to the sensors that are not the microcontroller's, in real time."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._offset_ns: int | None = None  # machine's time less world's; set by the first poll
        self._skipped_ns = 0

    def poll(self, now_ns: int) -> list[Reading]:
        """Let the world live until now; its samples, stamped in the machine's time."""
        if self._offset_ns is None:
            self._offset_ns = now_ns - self._world.clock.now_ns()
        behind_ns = now_ns - self._offset_ns - self._world.clock.now_ns()
        if behind_ns > CATCH_UP_MAX_NS:
            self._offset_ns += behind_ns - CATCH_UP_MAX_NS
            self._skipped_ns += behind_ns - CATCH_UP_MAX_NS
        offset_ns = self._offset_ns
        return [
            Reading(r.channel, r.counts, r.stamp_ns + offset_ns, r.quality)
            for r in super().poll((now_ns - offset_ns) // MCU_STEP_NS * MCU_STEP_NS)
        ]

    def status(self) -> dict[str, int | str]:
        """Counters, and what shows that nothing here is real."""
        return {
            "hardware": "simulated",
            **super().status(),
            "skipped_s": self._skipped_ns // NS_PER_S,
        }
