"""Who is there? The one question that any firmware answers in any state, without a session.

Owns: asking IDENT, hearing HELLO, the time between the two, and what arrived instead. Must not:
open a session, arm, do I/O or read a clock.
"""

from firmware_bridge.codec import codec_of, question
from firmware_bridge.errors import MessageError
from firmware_bridge.frames import BadFrames, Stranger
from firmware_bridge.messages import Hello, Kind


class Probe:
    """One question at a time; asked again when no answer came in `retry_ns`."""

    def __init__(self, retry_ns: int, key: bytes | None = None) -> None:
        self.hello: Hello | None = None
        self.asked = 0
        self.answered = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.round_trip_ns = 0  # of the last answer
        self._codec = codec_of(key)
        self._decoder = self._codec.decoder
        self._retry_ns = retry_ns
        self._asked_ns: int | None = None

    @property
    def bad(self) -> BadFrames:
        """What arrived and was no frame; frames of a session count as `no_session`."""
        return self._decoder.bad

    @property
    def stranger(self) -> Stranger | None:
        """Who answered that cannot be understood: one end uses a key that the other has not."""
        return self._decoder.stranger

    def tick(self, now_ns: int) -> bytes:
        """The question, when it is time to ask."""
        if self._asked_ns is not None and now_ns - self._asked_ns < self._retry_ns:
            return b""
        self._asked_ns = now_ns
        self.asked += 1
        wire = question()
        self.bytes_sent += len(wire)
        return wire

    def receive(self, now_ns: int, data: bytes) -> bool:
        """Whether the answer to the last question is here; then the next may be asked."""
        self.bytes_received += len(data)
        heard = False
        for frame in self._decoder.feed(data):
            if frame.kind != Kind.HELLO:
                continue
            try:
                self.hello = self._codec.hello(frame)
            except MessageError:
                self.bad.body += 1
                continue
            if self._asked_ns is not None:
                self.answered += 1
                self.round_trip_ns = now_ns - self._asked_ns
                self._asked_ns = None
                heard = True
        return heard
