"""Random histories that crowd around every bound of an envelope.

Owns: the rows that both envelopes are given. Each history begins with a memory of its own, then
lives through sticky modes, wishes, sensors and clocks. Row layout, 64-bit numbers:

    STEP     now, mode, has_wish, wanted..., sensors..., qualities...
    INIT     now
    RESTART  measured...
    LOAD     now, last..., carry_up..., carry_down..., travel..., rest_ns..., locks..., ramp_since
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.core.records import Mode
from edge_agent.safety.envelope import NS_PER_S
from edge_agent.safety.limits import Envelope

STEP, INIT, RESTART, LOAD = range(4)
INT32_LOW, INT32_HIGH = -(2**31), 2**31 - 1
HISTORY = 512  # rows
Rows = npt.NDArray[np.int64]
_MODES = (Mode.ACTIVE,) * 10 + (Mode.HOLDING, Mode.RAMPING, Mode.RAMPING) + tuple(Mode)
_PERIODS_NS = tuple(k * NS_PER_S // 1000 for k in (1, 7, 10, 20, 100, 333, 1000))


def width(envelope: Envelope) -> int:
    """Numbers in a row."""
    actuators, sensors = len(envelope.actuators), len(envelope.sensors)
    state = 2 + 5 * actuators + len(envelope.interlocks)
    return 1 + max(3 + actuators + 2 * sensors, state)


def rows(envelope: Envelope, histories: int, seed: int) -> Rows:
    """`histories` of them, one after the other, the same for the same seed."""
    rng = np.random.default_rng(seed)
    out = np.zeros((histories, HISTORY, width(envelope)), np.int64)
    for history in out:
        _fill(envelope, history, rng)
    return out.reshape(-1, width(envelope))


def _fill(envelope: Envelope, history: Rows, rng: np.random.Generator) -> None:
    actuators, sensors = len(envelope.actuators), len(envelope.sensors)
    dts = _dts(envelope, rng)
    start = int(rng.choice([0, NS_PER_S, 10**15, 2**61]))
    history[:, 1] = np.maximum(start + np.cumsum(dts), 0)
    history[:, 2] = _sticky(rng.choice(_MODES, HISTORY), rng, 0.1)
    history[:, 3] = rng.random(HISTORY) < 0.9
    for i in range(actuators):
        history[:, 4 + i] = _wishes(envelope, i, rng)
    at = 4 + actuators
    for s, column in enumerate(_sensor_values(envelope, rng)):
        history[:, at + s] = column
        bad = rng.choice([0, 0, 0, 1, 2, 3, 255], HISTORY)
        history[:, at + sensors + s] = np.where(rng.random(HISTORY) < 0.1, bad, 0)
    measured = history[:, 4:at].copy()
    for r in np.flatnonzero(rng.random(HISTORY) < 0.005):
        history[r, 0] = RESTART
        history[r, 1 : 1 + actuators] = measured[r]
    if rng.random() < 0.05:
        history[0, 0] = INIT
    else:
        state = _memory(envelope, int(history[0, 1]), rng)
        history[0, : 1 + len(state)] = (LOAD, *state)


def _sticky(values: npt.NDArray[Any], rng: np.random.Generator, change: float) -> Rows:
    """Each value stays until, with probability `change`, the next one takes its place."""
    fresh = rng.random(len(values)) < change
    fresh[0] = True
    since = np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))
    return np.asarray(values[since], np.int64)


def _dts(envelope: Envelope, rng: np.random.Generator) -> Rows:
    """Nanoseconds between rows: a steady period, with the odd clock fault, edge and long gap."""
    edges = [0, 1, -1, -NS_PER_S, NS_PER_S - 1, NS_PER_S, NS_PER_S + 1, 3600 * NS_PER_S]
    for a in envelope.actuators:
        for edge in (a.dwell_ns, a.safe.hold_ns, a.travel_window_ns):
            edges += [edge - 1, edge, edge + 1]
    period = int(rng.choice(_PERIODS_NS))
    odd = rng.random(HISTORY) < rng.choice([0.0, 0.05, 0.5])
    return np.where(odd, rng.choice(edges, HISTORY), period + rng.integers(-9, 9, HISTORY))


def _around(values: Sequence[int]) -> list[int]:
    return [v + d for v in values for d in (-1, 0, 1)]


def _wishes(envelope: Envelope, i: int, rng: np.random.Generator) -> Rows:
    """One actuator's wishes: edges, a walk about as fast as its limits, or anything."""
    a = envelope.actuators[i]
    edges = _around([a.min_counts, a.max_counts, a.safe.counts])
    edges += [INT32_LOW, INT32_HIGH, 10**9, -(10**9)]
    wild = rng.choice(edges, HISTORY)
    style = rng.integers(3)
    if style == 0:
        return _sticky(wild, rng, rng.choice([0.02, 0.3, 1.0]))
    if style == 1:
        walk = rng.integers(a.min_counts, a.max_counts + 1) + np.cumsum(
            rng.integers(-3, 4, HISTORY) * rng.choice([1, 1, 5], HISTORY)
        )
        return np.where(rng.random(HISTORY) < 0.01, wild, walk)
    return _sticky(rng.integers(a.min_counts - 9, a.max_counts + 10, HISTORY), rng, 0.2)


def _sensor_values(envelope: Envelope, rng: np.random.Generator) -> list[Rows]:
    columns = []
    for s in envelope.sensors:
        edges = [s.min_counts, s.max_counts, 0]
        for lock in envelope.interlocks:
            if lock.sensor == s.name:
                edges += [lock.ok_min, lock.ok_max, lock.clear_min, lock.clear_max]
        middle = (edges[-1] + edges[-2]) // 2
        values = np.clip(_around(edges) + [middle] * len(edges), INT32_LOW, INT32_HIGH)
        columns.append(_sticky(rng.choice(values, HISTORY), rng, rng.choice([0.02, 0.3, 1.0])))
    return columns


def _memory(envelope: Envelope, now_ns: int, rng: np.random.Generator) -> list[int]:
    """Any memory that a run can reach, and now and then a last command that none can."""
    lasts: list[int] = []
    carries: tuple[list[int], list[int]] = [], []
    travels: list[int] = []
    rests: list[int] = []
    bad = rng.random() < 0.2
    for a, motion in zip(envelope.actuators, envelope.motions, strict=True):
        edges = [a.min_counts, a.max_counts, a.safe.counts, a.min_counts + 1, a.max_counts - 1]
        wrong = [a.min_counts - 1, a.max_counts + 1, INT32_LOW, INT32_HIGH]
        lasts.append(int(rng.choice(wrong if bad else edges)))
        for carry in carries:
            carry.append(
                int(rng.choice([0, 1, NS_PER_S - 1, NS_PER_S, int(rng.integers(NS_PER_S))]))
            )
        price, full = motion.travel_price, motion.travel_full
        spent = [0, 1, price - 1, price, price * 3, full - 1, full, int(rng.integers(full))]
        travels.append(int(min(full, rng.choice(spent))))
        rests.append(int(rng.choice([0, 0, a.dwell_ns, a.dwell_ns // 2])))
    locks = [
        int(rng.choice([-k.clear_after_ticks, -1, 0, k.engage_after_ticks - 1]))
        for k in envelope.interlocks
    ]
    holds = [a.safe.hold_ns for a in envelope.actuators]
    ramp = now_ns - int(rng.choice([0, 1, *holds]))
    return [now_ns, *lasts, *carries[0], *carries[1], *travels, *rests, *locks, max(ramp, -1)]
