"""A second opinion on every command: the envelope's limits, checked by other code.

Owns: whether a stream of ticks kept range, speed, travel, exclusion, interlocks and the safe
values, judged from the records alone. Must not: share a line with `edge_agent.safety`'s
decisions (it reads the limits, which are data), change anything, or be in the control path:
a finding is a defect of the envelope and fails the run.

It is looser by one count per move (rounding) and counts only the moves that the policy caused
against the travel budget; safety's own moves may exceed it.
"""

from collections import deque

from edge_agent.core.records import Mode, Quality, TickRecord
from edge_agent.safety.limits import ActuatorLimits, Envelope

_NS_PER_S = 1_000_000_000
_PASSIVE = (Mode.SAFE, Mode.ARMING, Mode.TRIPPED)
_OFF = (Mode.ARMING, Mode.RAMPING)


class Inspector:
    """Looks at the ticks of one run in order."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._first = len(envelope.sensors)
        self._last = tuple(a.safe.counts for a in envelope.actuators)
        self._last_mode: int = Mode.SAFE
        self._last_ns: int | None = None
        self._engaged = [True] * len(envelope.interlocks)
        self._moves: list[deque[tuple[int, int]]] = [deque() for _ in envelope.actuators]
        self._travel = [0] * len(envelope.actuators)

    def check(self, tick: TickRecord) -> list[str]:
        """Every way in which this tick's command is outside the envelope, in words."""
        command = tick.verdict.command
        if len(command) != len(self._envelope.actuators):
            return [f"{len(command)} values for {len(self._envelope.actuators)} actuators"]
        forced = self._forced(tick)
        found = self._relations(command, forced)
        since_ns = tick.now_ns - self._last_ns if self._last_ns is not None else 0
        dt_ns = min(max(since_ns, 0), _NS_PER_S)
        for i, limits in enumerate(self._envelope.actuators):
            if not limits.min_counts <= command[i] <= limits.max_counts:
                found.append(f"{limits.name} is {command[i]}, out of range")
            if command[i] not in forced[i]:
                found += self._motion(tick, i, dt_ns)
        self._last = command
        self._last_mode = tick.mode
        self._last_ns = tick.now_ns
        return [f"tick {tick.tick}: {words}" for words in found]

    def _forced(self, tick: TickRecord) -> list[set[int]]:
        """Per actuator, the values that an interlock or an exclusion may demand at once."""
        envelope = self._envelope
        forced: list[set[int]] = [set() for _ in envelope.actuators]
        for k, lock in enumerate(envelope.interlocks):
            c = envelope.sensor_index[lock.sensor]
            value = tick.snapshot.counts[c]
            low, high = lock.ok_min, lock.ok_max
            if self._engaged[k]:
                low, high = lock.clear_min, lock.clear_max
            trusted = tick.snapshot.qualities[c] == Quality.GOOD
            self._engaged[k] = not (trusted and low <= value <= high)
            if self._engaged[k]:
                for name, counts in lock.forces:
                    forced[envelope.actuator_index[name]].add(counts)
        obeyed = tick.snapshot.qualities[self._first :]
        if tick.mode == Mode.RAMPING and any(q != Quality.GOOD for q in obeyed):
            # Nothing moves by a command that nobody obeys: it may be the safe one at once.
            for i, limits in enumerate(envelope.actuators):
                forced[i].add(limits.safe.counts)
        for pair in envelope.exclusives:
            first, second = (envelope.actuator_index[n] for n in (pair.first, pair.second))
            for i, other in ((first, second), (second, first)):
                shut = envelope.actuators[other].min_counts
                if max(self._last[other], tick.verdict.command[other]) > shut:
                    forced[i].add(envelope.actuators[i].min_counts)
        return forced

    def _relations(self, command: tuple[int, ...], forced: list[set[int]]) -> list[str]:
        envelope = self._envelope
        found = []
        for lock, engaged in zip(envelope.interlocks, self._engaged, strict=True):
            for name, counts in lock.forces if engaged else ():
                i = envelope.actuator_index[name]
                if command[i] != counts and command[i] not in forced[i]:
                    found.append(f"interlock {lock.name}: {name} is {command[i]}, not {counts}")
        for pair in envelope.exclusives:
            both = [envelope.actuator_index[name] for name in (pair.first, pair.second)]
            if all(command[i] > envelope.actuators[i].min_counts for i in both):
                found.append(f"{pair.first} and {pair.second} are open together")
        return found

    def _motion(self, tick: TickRecord, i: int, dt_ns: int) -> list[str]:
        """Whether a command that nothing forced moved no further than its mode allows."""
        limits, value, mode = self._envelope.actuators[i], tick.verdict.command[i], tick.mode
        if mode in _PASSIVE:
            safe = limits.safe.counts
            return [] if value == safe else [f"{limits.name} is {value} in {Mode(mode).name}"]
        start = self._last[i]
        if mode == Mode.ACTIVE and self._last_mode in _OFF:  # goes on from where it stands
            start = tick.snapshot.counts[self._first + i]
        move = value - start
        found = []
        if abs(move) > _reach(limits, mode, move, dt_ns):
            found.append(f"{limits.name} moved {move} in {dt_ns} ns, too fast")
        if mode == Mode.ACTIVE and self._travelled(i, move, tick.now_ns) > limits.travel_max_counts:
            found.append(f"{limits.name} travelled {self._travel[i]} in its window, too much")
        return found

    def _travelled(self, i: int, move: int, now_ns: int) -> int:
        """Sum of |moves| in the window that ends now."""
        moves, window_ns = self._moves[i], self._envelope.actuators[i].travel_window_ns
        if move:
            moves.append((now_ns, abs(move)))
            self._travel[i] += abs(move)
        while moves and moves[0][0] <= now_ns - window_ns:
            self._travel[i] -= moves.popleft()[1]
        return self._travel[i]


def _reach(limits: ActuatorLimits, mode: int, move: int, dt_ns: int) -> int:
    """How far an actuator may move in `dt_ns`, rounded up by one count."""
    if mode == Mode.HOLDING:
        return 0
    speed = limits.rate_up_counts_per_s if move > 0 else limits.rate_down_counts_per_s
    if mode == Mode.RAMPING:
        speed = limits.safe.ramp_counts_per_s
    return speed * dt_ns // _NS_PER_S + 1
