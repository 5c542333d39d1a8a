"""The log of events of one run: noticed in the control process, kept until the gateway has them.

Owns: what counts as an event, their numbers, and which of them the gateway has yet to write
down. Must not: do I/O or read a clock. Bounded: the oldest goes first, and its missing number
shows it.

Events are made here and not in the gateway, which may be killed at any time: what it had not
written down is said to the next one.
"""

from collections import deque
from typing import Any, Final, NamedTuple

import msgspec

from edge_agent.authority.admission import cause_words
from edge_agent.authority.documents import Event, Severity
from edge_agent.core.command_ipc import EventsKept, Happened
from edge_agent.core.records import Mode, TickRecord
from edge_agent.safety.limits import Envelope

KEPT: Final = 1_000
# Refusals that are told one by one; beyond, the next that is told says how many were not.
REFUSALS_BURST: Final = 10
REFUSAL_EVERY_NS: Final = 6_000_000_000


class Refusal(NamedTuple):
    """A message that was not followed. `op` and `kid` are empty where nobody may be believed."""

    reason: str
    kid: str = ""
    op: str = ""
    id: str = ""


class EventLog:
    """All events of one run. `unsent` and `sent` hand them on, `kept` lets go of what is safe."""

    def __init__(self, boot: str, limits: Envelope) -> None:
        self._boot = boot
        self._limits = limits
        self._waiting: deque[Happened] = deque(maxlen=KEPT)
        self._seq = 0
        self._sent = 0
        self._mode = int(Mode.SAFE)
        self._monitor: bool | None = None
        self._tokens_ns = REFUSALS_BURST * REFUSAL_EVERY_NS
        self._filled_ns = 0
        self._untold = 0

    def note(self, kind: str, sev: Severity, data: dict[str, Any], when: tuple[int, int]) -> None:
        """One event more. `when`: the monotonic clock in ns, and the time of day in ms."""
        self._seq += 1
        event = Event(
            boot=self._boot,
            seq=self._seq,
            at=when[0],
            utc_ms=when[1],
            kind=kind,
            sev=sev,
            data=data,
        )
        body = msgspec.msgpack.encode(event)
        self._waiting.append(Happened(self._boot, self._seq, body))

    def watch(self, tick: TickRecord, utc_ms: int) -> None:
        """Notice what a tick has changed."""
        if tick.mode == self._mode and tick.monitor == self._monitor:
            return
        when = tick.now_ns, utc_ms
        if tick.mode != self._mode:
            tripped = tick.mode == Mode.TRIPPED
            data = {
                "from": Mode(self._mode).name,
                "to": Mode(tick.mode).name,
                "by": [intent.source for intent in tick.intents],
                **cause_words(tick.cause, self._limits),
            }
            self._mode = tick.mode
            self.note("trip" if tripped else "mode", "alarm" if tripped else "info", data, when)
        if tick.monitor != self._monitor:
            if self._monitor is not None:
                word = "monitor" if tick.monitor else "enforce"
                self.note("control", "info", {"to": word}, when)
            self._monitor = tick.monitor

    def refused(self, refusal: Refusal, now_ns: int, utc_ms: int) -> None:
        """Tell of a refusal, unless there are too many."""
        full_ns = REFUSALS_BURST * REFUSAL_EVERY_NS
        self._tokens_ns = min(full_ns, self._tokens_ns + now_ns - self._filled_ns)
        self._filled_ns = now_ns
        if self._tokens_ns < REFUSAL_EVERY_NS:
            self._untold += 1
            return
        self._tokens_ns -= REFUSAL_EVERY_NS
        data = {name: value for name, value in refusal._asdict().items() if value}
        if self._untold:
            data["untold"] = self._untold
            self._untold = 0
        self.note("refused", "warning", data, (now_ns, utc_ms))

    def unsent(self) -> list[Happened]:
        """What this gateway has not been told, oldest first."""
        if self._sent == self._seq:
            return []
        return [happened for happened in self._waiting if happened.seq > self._sent]

    def sent(self, seq: int) -> None:
        """The gateway was told, up to this one."""
        self._sent = seq

    def send_again(self) -> None:
        """Another gateway: it is told everything that is not safe."""
        self._sent = 0

    def kept(self, kept: EventsKept) -> None:
        """The gateway has it on the disk, and all before."""
        if kept.boot != self._boot:
            return
        while self._waiting and self._waiting[0].seq <= kept.seq:
            self._waiting.popleft()

    def counters(self) -> dict[str, int]:
        """How many there were, how many the gateway has yet to keep."""
        return {"events": self._seq, "events_waiting": len(self._waiting)}
