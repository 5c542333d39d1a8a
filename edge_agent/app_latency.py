"""Composition of `edge-agent doctor --latency`: wake-ups by the loop's clock, beside cyclictest.

Owns: in which scheduling class each row is measured. Must not: measure. The process ends after
it, so what was set up for it need not be taken back.
"""

from typing import Any, NamedTuple

from edge_agent.config import Settings
from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.service import realtime
from edge_agent.service.latency import Lateness, cyclictest, wake_ups

_PRIORITY = 50  # where the configuration asks for none


class Row(NamedTuple):
    """`what` was measured in which class; a text where there is no figure."""

    what: str
    scheduler: str
    lateness: Lateness | str

    def document(self) -> dict[str, Any]:
        """For JSON: the figures by name, or why there are none."""
        figures = self.lateness
        told = {"refused": figures} if isinstance(figures, str) else figures._asdict()
        return {"what": self.what, "scheduler": self.scheduler, **told}


def measure(settings: Settings, clock: Clock, for_ns: int) -> list[Row]:
    """Four rows, `for_ns` each: the loop's pacing and cyclictest, with and without SCHED_FIFO."""
    loop = settings.config.loop
    period_ns = round(NS_PER_S / loop.rate_hz)
    priority = loop.realtime_priority or _PRIORITY
    rows = []
    for wanted in (0, priority):
        granted = realtime.set_up(wanted)["scheduler"]
        refused = bool(wanted) and granted.startswith("normal")
        own = granted if refused else wake_ups(clock, period_ns, for_ns)
        name = f"SCHED_FIFO {wanted}" if wanted else "normal"
        rows.append(Row("loop", name, own))
    # After the loop's rows: a child of a process of class SCHED_FIFO starts in the normal one.
    for wanted in (0, priority):
        name = f"SCHED_FIFO {wanted}" if wanted else "normal"
        rows.append(Row("cyclictest", name, cyclictest(wanted, period_ns, for_ns)))
    return rows
