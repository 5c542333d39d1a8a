"""Composition of `edge-agent doctor --latency`: wake-ups and inferences by the loop's clock, beside
cyclictest.

Owns: with what each row is measured, and that the row says so: what was granted, and what was not.
Must not: measure. The process ends after it, so most of what was set up need not be taken back.
"""

import os
from functools import partial
from typing import Any, NamedTuple

from edge_agent.app import load_model
from edge_agent.app_realtime import wishes_of
from edge_agent.config import LoopConfig, Settings, warm_before_us_max
from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock
from edge_agent.inference.golden import load_golden
from edge_agent.service import realtime
from edge_agent.service.latency import Lateness, cyclictest, inferences, wake_ups
from edge_agent.service.warming import Warming

# Where the configuration asks for none.
_PRIORITY = 50
_LEAD_US = 1000


class Row(NamedTuple):
    """`what` was measured with what; a text where there is no figure. `not_granted` is what should
    have been there too, and why it was not."""

    what: str
    scheduler: str
    lateness: Lateness | str
    not_granted: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON: the figures by name, or why there are none."""
        figures = self.lateness
        told = {"refused": figures} if isinstance(figures, str) else figures._asdict()
        row = {"what": self.what, "scheduler": self.scheduler, **told}
        return {**row, "not_granted": self.not_granted} if self.not_granted else row


def measure(settings: Settings, clock: Clock, for_ns: int) -> list[Row]:
    """`for_ns` each, with one set-up after the other: the loop's pacing, the model at its
    deadlines, the same warmed; then cyclictest without SCHED_FIFO and with it."""
    loop = settings.config.loop
    period_ns = round(NS_PER_S / loop.rate_hz)
    model = load_model(settings, clock)
    features = load_golden(model.folder, model.manifest)[0].observation
    infer = partial(model.policy.propose, features)
    cpus = os.sched_getaffinity(0)
    rows = []
    for wishes in _setups(loop):
        granted = realtime.set_up(wishes)
        name, refused = _name(granted.wishes), granted.refused
        warming = Warming(model.warm, lead_us(loop) * NS_PER_US, clock)
        rows += [
            Row("loop", name, wake_ups(clock, period_ns, for_ns), refused),
            Row("inference", name, inferences(clock, period_ns, for_ns, infer, None), refused),
            Row("warmed", name, inferences(clock, period_ns, for_ns, infer, warming), refused),
        ]
    realtime.give_back(cpus)  # cyclictest would inherit them, and its rows name none
    for priority in (0, _priority(loop)):
        name = _name(realtime.Wishes(priority))
        rows.append(Row("cyclictest", name, cyclictest(priority, period_ns, for_ns)))
    return rows


def lead_us(loop: LoopConfig) -> int:
    """How long before a deadline the model is warmed: as configured, or what would be allowed."""
    return loop.warm_before_us or min(_LEAD_US, warm_before_us_max(loop))


def _priority(loop: LoopConfig) -> int:
    return loop.realtime_priority or _PRIORITY


def _setups(loop: LoopConfig) -> list[realtime.Wishes]:
    """None, what is configured, and SCHED_FIFO, each with more than the one before: what was
    granted is not taken back between them."""
    configured = wishes_of(loop)
    real_time = configured._replace(priority=_priority(loop))
    less = realtime.Wishes(configured.priority) if configured.priority else configured
    return list(dict.fromkeys((realtime.Wishes(), less, real_time)))


def _name(wishes: realtime.Wishes) -> str:
    """The table's word for it."""
    scheduler = f"SCHED_FIFO {wishes.priority}" if wishes.priority else "normal"
    cpus = f" on {','.join(map(str, wishes.cpus))}" if wishes.cpus else ""
    return f"{scheduler}{cpus}{' locked' if wishes.lock_memory else ''}"
