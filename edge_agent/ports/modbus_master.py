"""The master of one Modbus line: bytes and a time in, requests and Readings out.

Owns: whose turn it is, how long an answer may take, and what became of every request. Must
not: do I/O, wait, or raise for what arrived.

Modbus RTU numbers nothing: an answer that comes too late looks like one to the next request.
So one request is on the line at a time, and after one that failed the line is left alone for
another timeout; what still arrives then is counted and believed by nobody. Where an answer ends,
its length tells, not a silence, which USB adapters do not keep. The next request follows 3.5
characters after the answer was taken; bytes that arrive in between do not put it off.
"""

import struct
from collections import Counter
from dataclasses import dataclass

from edge_agent.core.fields import Cause
from edge_agent.core.records import Quality, Reading
from edge_agent.ports.modbus_frames import REQUEST_SIZE, Ask, Codec, Fault, Found, Refusal, Values
from edge_agent.ports.rows import Target, reading_of

# Bytes: the longest answer has 255. Little more, because whoever fills the line with the first
# three bytes of an answer has a checksum tried at every one of them, in the tick.
_BUFFER_MAX = 300


@dataclass(frozen=True, slots=True)
class Field:
    """Where in the values of an answer a channel's number stands."""

    target: Target
    start: int
    layout: str  # of `struct`; "": one bit
    low_word_first: bool

    def counts(self, values: Values) -> int | Cause:
        """What it says, in counts, or why it says nothing."""
        if not self.layout:
            return self.target.counts(values[self.start])
        words = values[self.start : self.start + struct.calcsize(self.layout) // 2]
        packed = struct.pack(f">{len(words)}H", *(words[::-1] if self.low_word_first else words))
        return self.target.counts(struct.unpack(self.layout, packed)[0])


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked in one frame, and which channels that is about."""

    ask: Ask
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All requests of one line, asked in this order once in a period."""

    requests: tuple[Request, ...]
    character_ns: int  # on the line, with start, parity and stop bits
    gap_ns: int  # from an answer that was taken to the next request
    timeout_ns: int  # for a device to answer, besides what the bytes take
    period_ns: int

    def answer_within_ns(self, ask: Ask) -> int:
        """From the first byte of the request to the last one of its answer."""
        return (REQUEST_SIZE + ask.answer_size) * self.character_ns + self.timeout_ns


class ModbusMaster:
    """Asks, and judges the answers."""

    def __init__(self, plan: Plan, codec: Codec) -> None:
        self.counts = Counter(requests=0, answers=0)
        self._plan = plan
        self._codec = codec
        self._frames = tuple(codec.request(request.ask) for request in plan.requests)
        self._next = 0
        self._last, self._frame = plan.requests[0], b""  # what was asked last, answered or not
        self._round_ns = 0
        self.reset()

    def reset(self) -> None:
        """The line was lost: nothing is expected of it any more."""
        self._buffer = b""
        self._waiting = False
        self._deadline_ns = 0
        self._quiet_until_ns: int | None = None  # None: the line was not seen open yet

    def receive(self, now_ns: int, data: bytes) -> list[Reading]:
        """What arrived, and the time that passed, say about the channels."""
        if self._quiet_until_ns is None:  # somebody else's last request may still be answered
            self._quiet_until_ns = now_ns + self._plan.timeout_ns
        if data:
            self._buffer = (self._buffer + data)[-_BUFFER_MAX:]
        elif not self._waiting:
            return []
        found = self._codec.answer(self._last.ask, self._buffer)
        if not self._waiting:
            return self._unasked(now_ns, len(data), found)
        if found is not None:
            return self._answered(now_ns, found)
        return self._failed(now_ns) if now_ns >= self._deadline_ns else []

    def due(self, now_ns: int) -> bytes:
        """The request that must be sent now, or nothing."""
        quiet = self._quiet_until_ns is None or now_ns < self._quiet_until_ns
        if self._waiting or quiet or (self._next == 0 and now_ns < self._round_ns):
            return b""
        if self._next == 0:
            is_late = now_ns - self._round_ns >= self._plan.period_ns
            self._round_ns = (now_ns if is_late else self._round_ns) + self._plan.period_ns
        self._last, self._frame = self._plan.requests[self._next], self._frames[self._next]
        self._next = (self._next + 1) % len(self._frames)
        self._buffer = b""
        self._waiting = True
        self._deadline_ns = now_ns + self._plan.answer_within_ns(self._last.ask)
        self.counts["requests"] += 1
        return self._frame

    def _answered(self, now_ns: int, found: Found) -> list[Reading]:
        self._waiting = False
        self._leave_alone(now_ns + self._plan.gap_ns)
        self._buffer = self._buffer[found.end :]
        more = self._codec.answer(self._last.ask, self._buffer)
        if more is not None:
            return self._unasked(now_ns, len(self._buffer), more)
        self.counts["unasked_bytes"] += len(self._buffer)
        answer = found.answer
        if isinstance(answer, Refusal):
            self._book(f"exception_{answer.name}")
            return self._invalid(now_ns)
        self.counts["answers"] += 1
        said = [(f.target.channel, f.counts(answer)) for f in self._last.fields]
        return [reading_of(channel, counts, now_ns, self.counts) for channel, counts in said]

    def _failed(self, now_ns: int) -> list[Reading]:
        """Nothing came: the values only grow old. Something else came: they are in doubt."""
        self._waiting = False
        came = self._buffer.removeprefix(self._frame)  # some adapters echo what they send
        fault = self._codec.fault(self._last.ask, came)
        self._buffer = b""
        self._book(fault)
        self._leave_alone(now_ns + self._plan.timeout_ns)
        return [] if fault is Fault.SILENT else self._invalid(now_ns)

    def _unasked(self, now_ns: int, size: int, found: Found | None) -> list[Reading]:
        """Noise between the requests; or one answer more than was asked for, and then the one
        that was taken may have been to an older request."""
        self.counts["unasked_bytes"] += size
        if found is None:
            return []
        self._buffer = b""
        self._book("late")
        self._leave_alone(now_ns + self._plan.timeout_ns)
        return self._invalid(now_ns)

    def _invalid(self, now_ns: int) -> list[Reading]:
        fields = self._last.fields
        return [Reading(field.target.channel, 0, now_ns, Quality.INVALID) for field in fields]

    def _book(self, cause: str) -> None:
        self.counts[f"device_{self._last.ask.device_id}.{cause}"] += 1

    def _leave_alone(self, until_ns: int) -> None:
        self._quiet_until_ns = max(self._quiet_until_ns or 0, until_ns)
