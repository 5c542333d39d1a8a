"""Values that people hold on actuators, each for as long as its lease.

Owns: the present leases: who holds which actuator at which value until when. Must not: drive.
A held value takes the place of the policy's in a proposal; gate, envelope and interlocks judge
that proposal like any other, and the actuators that nobody holds go on with the policy.

A lease begins only while the device is ACTIVE and is not longer than `MAX_LEASE_NS`, whoever
let it through. It ends by itself, by a release, or with the mode that it began in; the value
then goes back to the policy's at the speed that the envelope allows. Only who holds an actuator
can hold it again before that.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from edge_agent.core.records import Intent, Manual, Op
from edge_agent.safety.limits import Envelope

MAX_LEASE_NS: Final = 60_000_000_000


class _Lease(NamedTuple):
    """One actuator's."""

    counts: int
    source: str
    command: str
    until_ns: int


class Hands:
    """All leases of one device."""

    def __init__(self, envelope: Envelope) -> None:
        self._first = len(envelope.sensors)
        self._actuators = envelope.actuators
        self._leases: dict[int, _Lease] = {}  # by the actuator's position

    def __bool__(self) -> bool:
        """Whether anybody holds anything."""
        return bool(self._leases)

    def take(self, intents: Sequence[Intent], now_ns: int, *, begins: bool) -> None:
        """Release and, if `begins`, begin and renew; what is not possible is not done."""
        for intent in intents:
            i = intent.channel - self._first
            if intent.op == Op.RELEASE:
                self._release(i, intent.command)
            elif begins and intent.op == Op.MANUAL and self._may_begin(i, intent, now_ns):
                until_ns = now_ns + intent.lease_ns
                self._leases[i] = _Lease(intent.counts, intent.source, intent.command, until_ns)

    def expire(self, now_ns: int) -> None:
        """End what has run out."""
        ended = [i for i, lease in self._leases.items() if now_ns >= lease.until_ns]
        for i in ended:
            del self._leases[i]

    def let_go(self) -> None:
        """End everything."""
        self._leases.clear()

    def over(self, values: Sequence[float]) -> tuple[float, ...]:
        """A proposal's values per actuator, in its unit, with what is held in its place."""
        held = {i: x.counts / self._actuators[i].counts_per_unit for i, x in self._leases.items()}
        return tuple(held.get(i, value) for i, value in enumerate(values))

    def record(self, now_ns: int) -> tuple[Manual, ...]:
        """What is held, by channel."""
        leases: Mapping[int, _Lease] = dict(sorted(self._leases.items()))
        return tuple(
            Manual(self._first + i, x.counts, x.source, x.command, x.until_ns - now_ns)
            for i, x in leases.items()
        )

    def _may_begin(self, i: int, intent: Intent, now_ns: int) -> bool:
        if not (0 <= i < len(self._actuators) and 0 < intent.lease_ns <= MAX_LEASE_NS):
            return False
        limits, present = self._actuators[i], self._leases.get(i)
        if present is not None and present.source != intent.source and now_ns < present.until_ns:
            return False
        return limits.min_counts <= intent.counts <= limits.max_counts

    def _release(self, i: int, command: str) -> None:
        lease = self._leases.get(i)
        if lease is not None and lease.command == command:
            del self._leases[i]
