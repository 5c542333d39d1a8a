"""The envelope: the last word before a command leaves, in integers only.

Owns: range, dwell, travel, speed, exclusion and interlocks of every actuator. Must not: read a
clock, do I/O, raise for any input, or trust what the stages before it did.

Order, each stage trusting none before it: target by mode, range, dwell, travel, speed,
exclusion, interlocks, and a final positive check of the range. Interlocks come last and act at
once; they may move an actuator faster than its speed limit, because they only ever make it
safe.

Speed and travel are token buckets, so they hold for every message timing: in any window W an
actuator moves at most rate*W + 1 count, and at most `travel_max_counts` in any
`travel_window_ns` (capacity half of it, refill the other half). Speed not used is kept as a
carry in counts*ns, one count's worth at most. See `limits.Motion` for the units.

The inner loops are written out, without a function per actuator and limit: the same code in
small functions took twice as long, and this runs every tick.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edge_agent.core.records import Mode, Reason, Rule, Snapshot, Verdict
from edge_agent.safety import interlocks
from edge_agent.safety.limits import Envelope, Motion

NS_PER_S = 1_000_000_000
DT_MAX_NS = NS_PER_S  # a longer gap earns no more movement than this
# Plain integers: an enumeration's member costs a lookup each time it is named.
_ACTIVE = int(Mode.ACTIVE)
_HOLDING = int(Mode.HOLDING)
_RAMPING = int(Mode.RAMPING)
_ABOVE_MAX = int(Rule.ABOVE_MAX)
_BELOW_MIN = int(Rule.BELOW_MIN)
_DWELL = int(Rule.DWELL)
_TRAVEL = int(Rule.TRAVEL)
_RATE_UP = int(Rule.RATE_UP)
_RATE_DOWN = int(Rule.RATE_DOWN)


class EnvelopeState(NamedTuple):
    """The whole memory of the envelope; a pure value. Tuples have one entry per actuator."""

    now_ns: int
    last: tuple[int, ...]  # last command, counts
    carry_up: tuple[int, ...]  # speed not used yet, counts*ns, 0 to one count's worth
    carry_down: tuple[int, ...]
    travel: tuple[int, ...]  # travel budget left, 0 to Motion.travel_full
    rest_ns: tuple[int, ...]  # until a policy may change it again, 0 to Motion.dwell_ns
    locks: tuple[int, ...]  # per interlock, see interlocks.py
    ramp_since_ns: int  # start of the present ramp to safe, -1 when there is none


class Order(NamedTuple):
    """What the supervisor and the gate hand to the envelope."""

    mode: int
    wanted: tuple[int, ...] | None  # counts per actuator


def initial(envelope: Envelope, now_ns: int) -> EnvelopeState:
    """At boot: everything at its safe value, nothing saved up, every interlock engaged."""
    nothing = (0,) * len(envelope.actuators)
    return EnvelopeState(
        now_ns,
        envelope.safe_counts,
        nothing,
        nothing,
        tuple(m.travel_full for m in envelope.motions),
        tuple(m.dwell_ns for m in envelope.motions),  # it may have been switched just before
        interlocks.initial(envelope),
        -1,
    )


def restart_from(
    envelope: Envelope, state: EnvelopeState, measured: tuple[int, ...]
) -> EnvelopeState:
    """Continue from what the hardware really applies, so that activation makes no jump."""
    nothing = (0,) * len(envelope.actuators)
    last = tuple(
        min(max(counts, motion.min_counts), motion.max_counts)
        for counts, motion in zip(measured, envelope.motions, strict=True)
    )
    return state._replace(last=last, carry_up=nothing, carry_down=nothing)


def step(
    envelope: Envelope, state: EnvelopeState, order: Order, snapshot: Snapshot, now_ns: int
) -> tuple[EnvelopeState, Verdict]:
    """One tick: the next state, and a complete command with every reason that shaped it."""
    reasons: list[Reason] = []
    dt_ns = now_ns - state.now_ns
    if dt_ns <= 0:
        reasons.append(Reason(Rule.CLOCK_FAULT, -1, dt_ns))
        dt_ns = 0
    elif dt_ns > DT_MAX_NS:
        dt_ns = DT_MAX_NS
    mode, wanted = order
    ramp_since_ns = -1
    rows = envelope.motion_rows
    if mode == _ACTIVE and wanted is not None:
        command = _follow(envelope, state, wanted, dt_ns, reasons)
    elif mode in (_ACTIVE, _HOLDING):
        command = list(state.last)
    elif mode == _RAMPING:
        ramp_since_ns = state.ramp_since_ns if state.ramp_since_ns >= 0 else now_ns
        rows = motions = _ramping(envelope, now_ns - ramp_since_ns)
        command = _ramp(envelope, state, motions, dt_ns)
    else:
        command = list(envelope.safe_counts)

    if envelope.exclusive_pairs:
        _exclude(envelope, state, command, reasons)
    locks = interlocks.advance(envelope, state.locks, snapshot)
    reasons += interlocks.force(envelope, locks, snapshot, command)
    _check_range(envelope, command, reasons)
    memory = EnvelopeState(
        max(now_ns, state.now_ns),
        tuple(command),
        *_booked(rows, state, command, dt_ns),
        locks,
        ramp_since_ns,
    )
    return memory, Verdict(memory.last, tuple(reasons))


def _follow(
    envelope: Envelope,
    state: EnvelopeState,
    wanted: tuple[int, ...],
    dt_ns: int,
    reasons: list[Reason],
) -> list[int]:
    """The wish through range, dwell, travel and speed."""
    command = []
    channel = len(envelope.sensors) - 1
    _, lasts, ups, downs, travels, rests, _, _ = state
    rows = zip(wanted, lasts, ups, downs, travels, rests, envelope.motion_rows, strict=True)
    for wish, last, carry_up, carry_down, travel, rest_ns, motion in rows:
        channel += 1
        low, high, rate_up, rate_down, full, per_ns, price, _ = motion
        if wish == last and low <= wish <= high:
            command.append(wish)
            continue
        target = wish
        if wish > high:
            target = high
            reasons.append(Reason(_ABOVE_MAX, channel, wish))
        elif wish < low:
            target = low
            reasons.append(Reason(_BELOW_MIN, channel, wish))
        if rest_ns > dt_ns and target != last:
            reasons.append(Reason(_DWELL, channel, rest_ns))
            target = last
        earned = travel + dt_ns * per_ns
        budget = earned if earned < full else full
        if target > last:
            if (target - last) * price > budget:
                reasons.append(Reason(_TRAVEL, channel, target))
                target = last + budget // price
            reach = last + (carry_up + rate_up * dt_ns) // NS_PER_S
            if target > reach:
                reasons.append(Reason(_RATE_UP, channel, target))
                target = reach
        elif target < last:
            if (last - target) * price > budget:
                reasons.append(Reason(_TRAVEL, channel, target))
                target = last - budget // price
            reach = last - (carry_down + rate_down * dt_ns) // NS_PER_S
            if target < reach:
                reasons.append(Reason(_RATE_DOWN, channel, target))
                target = reach
        command.append(target)
    return command


def _ramping(envelope: Envelope, ramping_ns: int) -> tuple[Motion, ...]:
    """The motions of a ramp to safe: its own speed both ways, none while it holds."""
    speeds = [
        a.safe.ramp_counts_per_s if ramping_ns >= a.safe.hold_ns else 0 for a in envelope.actuators
    ]
    return tuple(
        motion._replace(rate_up=speed, rate_down=speed)
        for motion, speed in zip(envelope.motions, speeds, strict=True)
    )


def _ramp(
    envelope: Envelope, state: EnvelopeState, motions: tuple[Motion, ...], dt_ns: int
) -> list[int]:
    """As far from the last command towards the safe value as the ramp's speed allows."""
    command = []
    rows = zip(
        envelope.safe_counts, state.last, state.carry_up, state.carry_down, motions, strict=True
    )
    for safe, last, carry_up, carry_down, motion in rows:
        if safe > last:
            command.append(min(safe, last + (carry_up + motion.rate_up * dt_ns) // NS_PER_S))
        else:
            command.append(max(safe, last - (carry_down + motion.rate_down * dt_ns) // NS_PER_S))
    return command


def _exclude(
    envelope: Envelope, state: EnvelopeState, command: list[int], reasons: list[Reason]
) -> None:
    """Of two exclusive actuators the one that is open stays; `second` yields otherwise."""
    motions = envelope.motions
    for first, second in envelope.exclusive_pairs:
        closed_first, closed_second = motions[first].min_counts, motions[second].min_counts
        if command[first] > closed_first and command[second] > closed_second:
            second_open = state.last[second] > closed_second
            first_open = state.last[first] > closed_first
            loser = first if second_open and not first_open else second
            reasons.append(Reason(Rule.EXCLUSIVE, len(envelope.sensors) + loser, command[loser]))
            command[loser] = motions[loser].min_counts


def _check_range(envelope: Envelope, command: list[int], reasons: list[Reason]) -> None:
    """The last test, positive and independent of all above: in range, or the safe value."""
    for i, (counts, (low, high)) in enumerate(zip(command, envelope.ranges, strict=True)):
        if not low <= counts <= high:
            reasons.append(Reason(Rule.INTERNAL_ERROR, len(envelope.sensors) + i, counts))
            command[i] = envelope.safe_counts[i]


def _booked(
    motions: Sequence[tuple[int, ...]], state: EnvelopeState, command: list[int], dt_ns: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """What was earned and spent: carry up, carry down, travel and rest of every actuator.

    A forced move may cost more than there was; a debt would only delay the next safe one.
    """
    ups, downs, travels, rests = [], [], [], []
    _, lasts, carries_up, carries_down, budgets, resting, _, _ = state
    rows = zip(command, lasts, carries_up, carries_down, budgets, resting, motions, strict=True)
    for counts, last, carry_up, carry_down, travel, rest_ns, motion in rows:
        _, _, rate_up, rate_down, full, per_ns, price, dwell_ns = motion
        up = carry_up + rate_up * dt_ns
        down = carry_down + rate_down * dt_ns
        budget = travel + per_ns * dt_ns
        if budget > full:
            budget = full
        if counts == last:
            rest = rest_ns - dt_ns if rest_ns > dt_ns else 0
        else:
            rest = dwell_ns
            moved = counts - last
            if moved > 0:
                up -= moved * NS_PER_S
                budget -= moved * price
                if up < 0:
                    up = 0
            else:
                down += moved * NS_PER_S
                budget += moved * price
                if down < 0:
                    down = 0
            if budget < 0:
                budget = 0
        ups.append(up if up < NS_PER_S else NS_PER_S)
        downs.append(down if down < NS_PER_S else NS_PER_S)
        travels.append(budget)
        rests.append(rest)
    return tuple(ups), tuple(downs), tuple(travels), tuple(rests)
