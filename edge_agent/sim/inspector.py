"""A second opinion on every command: the envelope's limits, checked by other code.

Owns: whether a stream of ticks kept range, speed, travel, dwell, exclusion, interlocks and the
safe values, and control only with what it needs, judged from the records alone. Must not: share
a line with `edge_agent.safety`'s decisions (it reads the limits, which are data), change
anything, or be in the control path: a finding is a defect of the envelope and fails the run.

Speed is judged over every window at once: what was moved beyond speed * time, summed up since
it was last nothing, may never exceed one count (rounding). Only the moves that the policy
caused count against travel and dwell; safety's own moves may exceed them.
"""

from collections import deque

from edge_agent.core.records import Mode, Op, Quality, TickRecord
from edge_agent.safety.limits import ActuatorLimits, Envelope

_NS_PER_S = 1_000_000_000
_PASSIVE = (Mode.SAFE, Mode.ARMING, Mode.TRIPPED)
_OFF = (Mode.ARMING, Mode.RAMPING)


class Inspector:
    """Looks at the ticks of one run in order."""

    def __init__(self, envelope: Envelope) -> None:
        actuators = envelope.actuators
        self._envelope = envelope
        self._first = len(envelope.sensors)
        self._needed = [i for i, s in enumerate(envelope.sensors) if s.needed]
        self._needed += range(self._first, self._first + len(actuators))
        self._last = tuple(a.safe.counts for a in actuators)
        self._last_mode: int = Mode.SAFE
        self._last_ns: int | None = None
        self._engaged = [True] * len(envelope.interlocks)
        self._streak = [0] * len(envelope.interlocks)  # ticks that would change `_engaged`
        self._excess_up = [0] * len(actuators)  # counts*ns moved beyond speed * time
        self._excess_down = [0] * len(actuators)
        self._moves: list[deque[tuple[int, int]]] = [deque() for _ in actuators]
        self._travel = [0] * len(actuators)
        self._changed_ns: list[int | None] = [None] * len(actuators)
        self.most_travel_permille = 0  # of the budget, by the policy, in any window
        self.most_excess_permille = 0  # of the one count that rounding may take

    def check(self, tick: TickRecord) -> list[str]:
        """Every way in which this tick's command is outside the envelope, in words."""
        command = tick.verdict.command
        if len(command) != len(self._envelope.actuators):
            return [f"{len(command)} values for {len(self._envelope.actuators)} actuators"]
        forced = self._forced(tick)
        found = self._relations(command, forced) + self._control(tick)
        # A clock that went back earns nothing until it has caught up.
        now_ns = tick.now_ns if self._last_ns is None else max(tick.now_ns, self._last_ns)
        dt_ns = min(now_ns - self._last_ns, _NS_PER_S) if self._last_ns is not None else 0
        for i, limits in enumerate(self._envelope.actuators):
            if not limits.min_counts <= command[i] <= limits.max_counts:
                found.append(f"{limits.name} is {command[i]}, out of range")
            if command[i] not in forced[i]:
                found += self._motion(tick, i, dt_ns, now_ns)
            else:
                self._excess_up[i] = self._excess_down[i] = 0
            if command[i] != self._last[i]:
                self._changed_ns[i] = now_ns
        self._last = command
        self._last_mode = tick.mode
        self._last_ns = now_ns
        return [f"tick {tick.tick}: {words}" for words in found]

    def _control(self, tick: TickRecord) -> list[str]:
        """Control is for those who can see, and nobody has stopped."""
        found = []
        if tick.mode == Mode.ACTIVE:
            # Who only watches asks nothing of the hardware, and may miss its word.
            asked = len(self._envelope.sensors) if tick.monitor else len(tick.snapshot.qualities)
            bad = [
                c for c in self._needed if c < asked and tick.snapshot.qualities[c] != Quality.GOOD
            ]
            found += [f"in control while {self._envelope.channel_names[c]} is bad" for c in bad]
        if tick.mode != Mode.TRIPPED and any(i.op == Op.STOP for i in tick.intents):
            found.append(f"a stop was asked for and the mode is {Mode(tick.mode).name}")
        return found

    def _forced(self, tick: TickRecord) -> list[set[int]]:
        """Per actuator, the values that an interlock or an exclusion may demand at once."""
        envelope = self._envelope
        forced: list[set[int]] = [set() for _ in envelope.actuators]
        for k, lock in enumerate(envelope.interlocks):
            c = envelope.sensor_index[lock.sensor]
            value = tick.snapshot.counts[c]
            if tick.snapshot.qualities[c] != Quality.GOOD:
                self._engaged[k], self._streak[k] = True, 0
            else:
                low, high, needed = lock.ok_min, lock.ok_max, lock.engage_after_ticks
                if self._engaged[k]:
                    low, high, needed = lock.clear_min, lock.clear_max, lock.clear_after_ticks
                changes = (low <= value <= high) == self._engaged[k]
                self._streak[k] = self._streak[k] + 1 if changes else 0
                if self._streak[k] == needed:
                    self._engaged[k], self._streak[k] = not self._engaged[k], 0
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

    def _motion(self, tick: TickRecord, i: int, dt_ns: int, now_ns: int) -> list[str]:
        """Whether a command that nothing forced moved no further than its mode allows."""
        limits, value, mode = self._envelope.actuators[i], tick.verdict.command[i], tick.mode
        if mode in _PASSIVE:
            safe = limits.safe.counts
            self._excess_up[i] = self._excess_down[i] = 0
            return [] if value == safe else [f"{limits.name} is {value} in {Mode(mode).name}"]
        start = self._last[i]
        if mode == Mode.ACTIVE and self._last_mode in _OFF:  # goes on from where it stands
            start = tick.snapshot.counts[self._first + i]
            self._excess_up[i] = self._excess_down[i] = 0
        move = value - start
        found = []
        if self._too_fast(limits, mode, (i, move), dt_ns):
            found.append(f"{limits.name} moved {move} in {dt_ns} ns, too fast")
        if mode != Mode.ACTIVE:
            return found
        travelled = self._travelled(i, move, now_ns)
        self.most_travel_permille = max(
            self.most_travel_permille, travelled * 1000 // limits.travel_max_counts
        )
        if travelled > limits.travel_max_counts:
            found.append(f"{limits.name} travelled {travelled} in its window, too much")
        changed_ns = self._changed_ns[i]
        if move and changed_ns is not None and now_ns - changed_ns < limits.dwell_ns:
            found.append(f"{limits.name} changed again after {now_ns - changed_ns} ns, too soon")
        return found

    def _too_fast(
        self, limits: ActuatorLimits, mode: int, moved: tuple[int, int], dt_ns: int
    ) -> bool:
        """Whether some window that ends now holds more than speed * time and one count."""
        i, move = moved
        up, down = limits.rate_up_counts_per_s, limits.rate_down_counts_per_s
        if mode == Mode.RAMPING:
            up = down = limits.safe.ramp_counts_per_s
        self._excess_up[i] = max(0, self._excess_up[i] + move * _NS_PER_S - up * dt_ns)
        self._excess_down[i] = max(0, self._excess_down[i] - move * _NS_PER_S - down * dt_ns)
        most = max(self._excess_up[i], self._excess_down[i])
        self.most_excess_permille = max(self.most_excess_permille, most * 1000 // _NS_PER_S)
        if most <= _NS_PER_S:
            return mode == Mode.HOLDING and move != 0
        self._excess_up[i] = self._excess_down[i] = 0  # say it once
        return True

    def _travelled(self, i: int, move: int, now_ns: int) -> int:
        """Sum of |moves| in the window that ends now."""
        moves, window_ns = self._moves[i], self._envelope.actuators[i].travel_window_ns
        if move:
            moves.append((now_ns, abs(move)))
            self._travel[i] += abs(move)
        while moves and moves[0][0] <= now_ns - window_ns:
            self._travel[i] -= moves.popleft()[1]
        return self._travel[i]
