"""The envelope: the last word before a command leaves, in integers only.

Owns: range, speed, travel, exclusion and interlocks of every actuator. Must not: read a clock,
do I/O, raise for any input, or trust what the stages before it did.

Order, each stage trusting none before it: target by mode, range, travel, speed, exclusion,
interlocks, and a final positive check of the range. Interlocks come last and act at once;
they may move an actuator faster than its speed limit, because they only ever make it safe.

Speed and travel are token buckets in counts*ns, so they hold for every message timing:
in any window W an actuator moves at most rate*W + 1 count, and at most
`travel_max_counts` in any `travel_window_ns` (capacity half of it, refill the other half).
"""

from typing import NamedTuple

from edge_agent.core.records import Mode, Quality, Reason, Rule, Snapshot, Verdict
from edge_agent.safety.limits import ActuatorLimits, Envelope, Interlock

NS_PER_S = 1_000_000_000
DT_MAX_NS = NS_PER_S  # a longer gap earns no more movement than this
# Plain integers: an enumeration's member costs a lookup each time it is named.
_ACTIVE = int(Mode.ACTIVE)
_HOLDING = int(Mode.HOLDING)
_RAMPING = int(Mode.RAMPING)


class ActuatorState(NamedTuple):
    """What the envelope remembers of one actuator."""

    last: int  # last command, counts
    carry_up: int  # speed not used yet, counts*ns, at most one count's worth
    carry_down: int
    travel: int  # travel budget left, counts * 2 * window


class EnvelopeState(NamedTuple):
    """The whole memory of the envelope; a pure value."""

    now_ns: int
    actuators: tuple[ActuatorState, ...]
    engaged: tuple[bool, ...]  # per interlock
    ramp_since_ns: int  # start of the present ramp to safe, -1 when there is none


class Order(NamedTuple):
    """What the supervisor and the gate hand to the envelope."""

    mode: int
    wanted: tuple[int, ...] | None  # counts per actuator


def initial(envelope: Envelope, now_ns: int) -> EnvelopeState:
    """At boot: everything at its safe value, every interlock engaged until shown otherwise."""
    actuators = tuple(
        ActuatorState(a.safe.counts, 0, 0, a.travel_max_counts * a.travel_window_ns)
        for a in envelope.actuators
    )
    return EnvelopeState(now_ns, actuators, (True,) * len(envelope.interlocks), -1)


def restart_from(
    envelope: Envelope, state: EnvelopeState, measured: tuple[int, ...]
) -> EnvelopeState:
    """Continue from what the hardware really applies, so that activation makes no jump."""
    actuators = tuple(
        s._replace(last=min(max(m, a.min_counts), a.max_counts), carry_up=0, carry_down=0)
        for s, a, m in zip(state.actuators, envelope.actuators, measured, strict=True)
    )
    return state._replace(actuators=actuators)


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
    ramp_since_ns = -1
    mode, wanted = order
    if mode == _RAMPING:
        ramp_since_ns = state.ramp_since_ns if state.ramp_since_ns >= 0 else now_ns

    command = []
    speeds = []
    channel = len(envelope.sensors)
    for i, limits in enumerate(envelope.actuators):
        memory = state.actuators[i]
        speed = limits.rate_up_counts_per_s, limits.rate_down_counts_per_s
        if mode == _ACTIVE and wanted is not None:
            target = _limited(limits, memory, (wanted[i], channel + i, dt_ns), reasons)
        elif mode in (_ACTIVE, _HOLDING):
            target = memory.last
        elif mode == _RAMPING:
            moving = now_ns - ramp_since_ns >= limits.safe.hold_ns
            ramp = limits.safe.ramp_counts_per_s if moving else 0
            speed = ramp, ramp
            target = _approach(memory, limits.safe.counts, speed, dt_ns)
        else:
            target = limits.safe.counts
        command.append(target)
        speeds.append(speed)

    _exclude(envelope, state, command, reasons)
    engaged = _interlock(envelope, state, snapshot, command, reasons)
    _check_range(envelope, command, reasons)
    actuators = tuple(
        [
            _remember(limits, state.actuators[i], (command[i], speeds[i], dt_ns))
            for i, limits in enumerate(envelope.actuators)
        ]
    )
    after = EnvelopeState(max(now_ns, state.now_ns), actuators, engaged, ramp_since_ns)
    return after, Verdict(tuple(command), tuple(reasons))


def _limited(
    limits: ActuatorLimits,
    memory: ActuatorState,
    wish: tuple[int, int, int],
    reasons: list[Reason],
) -> int:
    """A wanted value through range, travel and speed; `wish` is (wanted, channel, dt_ns)."""
    wanted, channel, dt_ns = wish
    last = memory.last
    target = wanted
    if wanted > limits.max_counts:
        target = limits.max_counts
        reasons.append(Reason(Rule.ABOVE_MAX, channel, wanted))
    elif wanted < limits.min_counts:
        target = limits.min_counts
        reasons.append(Reason(Rule.BELOW_MIN, channel, wanted))
    if target == last:
        return target
    travel = _travel_after(limits, memory, dt_ns) // (2 * limits.travel_window_ns)
    if not last - travel <= target <= last + travel:
        reasons.append(Reason(Rule.TRAVEL, channel, target))
        target = last + travel if target > last else last - travel
    speed = limits.rate_up_counts_per_s, limits.rate_down_counts_per_s
    reached = _approach(memory, target, speed, dt_ns)
    if reached != target:
        reasons.append(Reason(Rule.RATE_UP if target > last else Rule.RATE_DOWN, channel, target))
    return reached


def _approach(memory: ActuatorState, target: int, speed: tuple[int, int], dt_ns: int) -> int:
    """As far from the last command towards `target` as the speeds (up, down) allow."""
    last = memory.last
    if target > last:
        reach = last + (memory.carry_up + speed[0] * dt_ns) // NS_PER_S
        return min(target, reach)
    reach = last - (memory.carry_down + speed[1] * dt_ns) // NS_PER_S
    return max(target, reach)


def _travel_after(limits: ActuatorLimits, memory: ActuatorState, dt_ns: int) -> int:
    """The travel budget with what `dt_ns` earned, counts * 2 * window."""
    full = limits.travel_max_counts * limits.travel_window_ns
    earned = memory.travel + dt_ns * limits.travel_max_counts
    return min(earned, full)


def _exclude(
    envelope: Envelope, state: EnvelopeState, command: list[int], reasons: list[Reason]
) -> None:
    """Of two exclusive actuators the one that is open stays; `second` yields otherwise."""
    names = envelope.actuator_index
    for pair in envelope.exclusives:
        first, second = names[pair.first], names[pair.second]
        closed_first = envelope.actuators[first].min_counts
        closed_second = envelope.actuators[second].min_counts
        if command[first] > closed_first and command[second] > closed_second:
            second_open = state.actuators[second].last > closed_second
            first_open = state.actuators[first].last > closed_first
            loser = first if second_open and not first_open else second
            reasons.append(Reason(Rule.EXCLUSIVE, len(envelope.sensors) + loser, command[loser]))
            command[loser] = envelope.actuators[loser].min_counts


def _interlock(
    envelope: Envelope,
    state: EnvelopeState,
    snapshot: Snapshot,
    command: list[int],
    reasons: list[Reason],
) -> tuple[bool, ...]:
    """Force what each engaged interlock demands; returns which are engaged now."""
    engaged = []
    for lock, was_engaged in zip(envelope.interlocks, state.engaged, strict=True):
        sensor = envelope.sensor_index[lock.sensor]
        now_engaged = _engages(lock, was_engaged, snapshot, sensor)
        if now_engaged:
            for name, forced in lock.forces:
                i = envelope.actuator_index[name]
                if command[i] != forced:
                    reasons.append(Reason(Rule.INTERLOCK, sensor, snapshot.counts[sensor]))
                    command[i] = forced
        engaged.append(now_engaged)
    return tuple(engaged)


def _engages(lock: Interlock, was_engaged: bool, snapshot: Snapshot, sensor: int) -> bool:
    """Leaving is stricter than entering; a value that cannot be trusted engages."""
    if snapshot.qualities[sensor] != Quality.GOOD:
        return True
    value = snapshot.counts[sensor]
    if was_engaged:
        return not lock.clear_min <= value <= lock.clear_max
    return not lock.ok_min <= value <= lock.ok_max


def _check_range(envelope: Envelope, command: list[int], reasons: list[Reason]) -> None:
    """The last test, positive and independent of all above: in range, or the safe value."""
    for i, limits in enumerate(envelope.actuators):
        if not limits.min_counts <= command[i] <= limits.max_counts:
            channel = len(envelope.sensors) + i
            reasons.append(Reason(Rule.INTERNAL_ERROR, channel, command[i]))
            command[i] = limits.safe.counts


def _remember(
    limits: ActuatorLimits, memory: ActuatorState, move: tuple[int, tuple[int, int], int]
) -> ActuatorState:
    """Book what was earned and spent; `move` is (command, (speed up, speed down), dt_ns)."""
    command, (up, down), dt_ns = move
    carry_up = memory.carry_up + up * dt_ns
    carry_down = memory.carry_down + down * dt_ns
    travel = _travel_after(limits, memory, dt_ns)
    moved = command - memory.last
    if moved > 0:
        carry_up -= moved * NS_PER_S
        travel -= moved * 2 * limits.travel_window_ns
    elif moved < 0:
        carry_down += moved * NS_PER_S
        travel += moved * 2 * limits.travel_window_ns
    elif travel == memory.travel and memory.carry_up == memory.carry_down == NS_PER_S:
        return memory  # standing still with nothing left to earn
    # A forced move may cost more than there was; a debt would only delay the next safe one.
    return ActuatorState(
        command,
        _at_most_one_count(carry_up),
        _at_most_one_count(carry_down),
        max(travel, 0),
    )


def _at_most_one_count(carry: int) -> int:
    """What may be kept of unused speed; written out, since this runs twice per actuator."""
    if carry <= 0:
        return 0
    if carry >= NS_PER_S:
        return NS_PER_S
    return carry
