"""The guard of guard.h written anew over the Python envelope, and histories to compare the two.

Owns: the rows that the driver in C is given, and what the law says to each. A history is made
while the law lives through it, because the outputs of a row are mostly the command of the last
one. Row layout, 64-bit numbers:

    boot, elapsed, mode, outputs..., wanted..., sensors..., qualities...
"""

import random
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from edge_agent.core.records import Mode, Snapshot, Verdict
from edge_agent.safety import envelope as law
from edge_agent.safety.envelope import EnvelopeState, Order
from edge_agent.safety.limits import Envelope

EARLY_MS = 60  # EB1_EARLY_MS
SAVED_MAX_MS = 1000
NS_PER_MS = 1_000_000
HISTORY = 100  # steps after a boot
_ELAPSED_MS = (0, 1, 9, 10, 11, 20, 59, 60, 61, 100, 333, 499, 500)
_HUNG_MS = (939, 940, 941, 999, 1000, 1001, 1059, 1060, 1061, 2000, 2**31, 2**32 - 1)


class Guard(NamedTuple):
    """Its whole memory."""

    envelope: EnvelopeState
    saved_ms: int


class Step(NamedTuple):
    """The arguments of one step."""

    elapsed_ms: int
    mode: int
    outputs: tuple[int, ...]
    wanted: tuple[int, ...]
    sensors: tuple[int, ...]
    qualities: tuple[int, ...]


def booted(held: Envelope) -> Guard:
    """Outputs safe, and as much time saved as a line may take from a command."""
    return Guard(law.initial(held, 0), EARLY_MS)


def stepped(held: Envelope, guard: Guard, now: Step) -> tuple[Guard, Verdict]:
    """The next memory, and what the outputs may do. `held` is the envelope with its margin."""
    saved_ms = min(guard.saved_ms + now.elapsed_ms, SAVED_MAX_MS)
    before = guard.envelope.last
    rests = [
        rest_ns if last == output else motion.dwell_ns
        for rest_ns, last, output, motion in zip(
            guard.envelope.rest_ns, before, now.outputs, held.motions, strict=True
        )
    ]
    ways = zip(now.wanted, now.outputs, held.safe_counts, strict=True)
    lasts = tuple(sorted((wish, output, safe))[1] for wish, output, safe in ways)
    used_ms = min(saved_ms, max(saved_ms - EARLY_MS, *_needed_ms(held, lasts, now.wanted)))
    state = guard.envelope._replace(now_ns=0, last=lasts, rest_ns=tuple(rests))
    order, seen = Order(now.mode, now.wanted), Snapshot(now.sensors, (), now.qualities)
    state, verdict = law.step(held, state, order, seen, used_ms * NS_PER_MS)
    rests = [
        rest_ns if counts == last else motion.dwell_ns
        for rest_ns, counts, last, motion in zip(
            state.rest_ns, verdict.command, before, held.motions, strict=True
        )
    ]
    return Guard(state._replace(rest_ns=tuple(rests)), saved_ms - used_ms), verdict


def _needed_ms(held: Envelope, lasts: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[int]:
    """Per actuator, in whole milliseconds that are more than enough."""
    for last, wish, motion in zip(lasts, wanted, held.motions, strict=True):
        rate = motion.rate_up if wish > last else motion.rate_down
        yield abs(wish - last) * 1000 // rate + 1


class History(NamedTuple):
    """Rows for the driver, and what the law says to them."""

    rows: "array[int]"
    answers: "array[int]"


def history(held: Envelope, histories: int, seed: int) -> History:
    """`histories` of them, one after the other, the same for the same seed."""
    draw = random.Random(seed)
    made = History(array("q"), array("q"))
    width = 2 * len(held.actuators) + 2 * len(held.sensors)
    for _ in range(histories):
        guard, command = booted(held), held.safe_counts
        made.rows.extend([1, 0, 0, *[0] * width])
        _put(made.answers, guard)
        pace = draw.choice((0.0, 0.05, 0.5))
        for _ in range(HISTORY):
            now = _drawn(held, guard, command, pace, draw)
            guard, verdict = stepped(held, guard, now)
            command = verdict.command
            made.rows.extend([0, now.elapsed_ms, now.mode])
            for part in now[2:]:
                made.rows.extend(part)
            made.answers.extend(command)
            _put(made.answers, guard)
    return made


def _put(out: "array[int]", guard: Guard) -> None:
    """As guard_driver.c does."""
    out.append(guard.saved_ms)
    out.append(guard.envelope.now_ns)
    for part in guard.envelope[1:7]:
        out.extend(part)
    out.append(guard.envelope.ramp_since_ns)


def _drawn(
    held: Envelope, guard: Guard, command: tuple[int, ...], hangs: float, draw: random.Random
) -> Step:
    """The next step: steady commands, with the odd lease, dead man, hang and wild wish."""
    elapsed_ms = draw.choice(_ELAPSED_MS)
    if draw.random() < hangs:
        elapsed_ms = draw.choice(_HUNG_MS)
    saved_ms = min(guard.saved_ms + elapsed_ms, SAVED_MAX_MS)
    outputs, wanted = list(command), []
    for i, motion in enumerate(held.motions):
        safe, kind = held.safe_counts[i], draw.random()
        if draw.random() < 0.05:
            outputs[i] = safe
        rate = draw.choice((motion.rate_up, -motion.rate_down))
        way = rate * (saved_ms + draw.randint(-2, 2)) // 1000
        edges = (safe, motion.min_counts, motion.max_counts, -(2**15), 2**15 - 1)
        wish = outputs[i] + draw.randint(-3, 3)
        if kind < 0.4:  # as far as the time that is saved allows
            wish = outputs[i] + way + draw.randint(-1, 1)
        elif kind < 0.5:
            wish = draw.choice(edges) + draw.randint(-1, 1)
        elif kind < 0.7:
            wish = outputs[i]
        wanted.append(min(max(wish, -(2**15)), 2**15 - 1))
    return Step(
        elapsed_ms,
        Mode.ACTIVE if draw.random() < 0.95 else 0,
        tuple(outputs),
        tuple(wanted),
        tuple(_value(held, sensor.name, draw) for sensor in held.sensors),
        tuple(int(draw.random() < 0.02) for _ in held.sensors),
    )


def _value(held: Envelope, sensor: str, draw: random.Random) -> int:
    """Mostly one that keeps no interlock engaged."""
    good = [lock.clear_max for lock in held.interlocks if lock.sensor == sensor]
    ends = [lock.ok_max + 1 for lock in held.interlocks if lock.sensor == sensor]
    return min(
        draw.choice(ends) if ends and draw.random() < 0.02 else min(good, default=0), 2**31 - 1
    )
