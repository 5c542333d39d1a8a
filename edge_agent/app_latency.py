"""Composition of `edge-agent doctor --latency`: wake-ups and inferences by the loop's clock, beside
cyclictest.

Owns: in which scheduling class each row is measured. Must not: measure. The process ends after
it, so what was set up for it need not be taken back.
"""

from functools import partial
from typing import Any, NamedTuple

from edge_agent.app import load_model
from edge_agent.app_realtime import wishes_of
from edge_agent.config import LoopConfig, Settings
from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock
from edge_agent.inference.golden import load_golden
from edge_agent.service import realtime
from edge_agent.service.latency import Lateness, cyclictest, inferences, wake_ups
from edge_agent.service.warming import Warming

# Where the configuration asks for none.
_PRIORITY = 50
_LEAD_US = 1000


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
    """`for_ns` each, with and without SCHED_FIFO, then with what else is configured: the loop's
    pacing, the model at its deadlines, the same warmed, and cyclictest."""
    loop = settings.config.loop
    period_ns = round(NS_PER_S / loop.rate_hz)
    priority = loop.realtime_priority or _PRIORITY
    model = load_model(settings, clock)
    features = load_golden(model.folder, model.manifest)[0].observation
    infer = partial(model.policy.propose, features)
    rows = []
    for wishes in _setups(loop, priority):
        name = _name(wishes)
        refused = realtime.set_up(wishes).refused
        if refused:
            rows += [Row(what, name, refused[0]) for what in ("loop", "inference", "warmed")]
            continue
        warming = Warming(model.warm, (loop.warm_before_us or _LEAD_US) * NS_PER_US, clock)
        rows += [
            Row("loop", name, wake_ups(clock, period_ns, for_ns)),
            Row("inference", name, inferences(clock, period_ns, for_ns, infer, None)),
            Row("warmed", name, inferences(clock, period_ns, for_ns, infer, warming)),
        ]
    # After the loop's rows: a child of a process of class SCHED_FIFO starts in the normal one.
    for wanted in (0, priority):
        name = _name(realtime.Wishes(wanted))
        rows.append(Row("cyclictest", name, cyclictest(wanted, period_ns, for_ns)))
    return rows


def _setups(loop: LoopConfig, priority: int) -> list[realtime.Wishes]:
    """One more than the one before each: what was granted is not taken back."""
    setups = [realtime.Wishes(), realtime.Wishes(priority)]
    configured = wishes_of(loop)._replace(priority=priority)
    return setups if configured in setups else [*setups, configured]


def _name(wishes: realtime.Wishes) -> str:
    """The table's word for it."""
    scheduler = f"SCHED_FIFO {wishes.priority}" if wishes.priority else "normal"
    cpus = f" on {','.join(map(str, wishes.cpus))}" if wishes.cpus else ""
    return f"{scheduler}{cpus}{' locked' if wishes.lock_memory else ''}"
