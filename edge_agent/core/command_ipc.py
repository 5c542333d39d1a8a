"""The words about commands between control process and gateway, on a socket of their own.

Owns: the messages, their size limit, encoding and decoding. Must not: know what a command is:
the gateway carries sealed bytes and the control process opens them. Tags are on the wire
between two processes that may be of different versions for a moment: never renumber.

A socket of their own, so that a stop never waits behind sensor values, and so that the control
process can sleep until a command comes without being woken for every reading.
"""

import msgspec

MAX_SEALED_BYTES = 8_192
MAX_COMMAND_DATAGRAM_BYTES = MAX_SEALED_BYTES + 2_048


class LinkUp(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The gateway has reached the plane's broker, anew: what was sent before is old. `number`
    is that of the connection."""

    number: int


class Carried(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One message as it arrived, already in the journal as `row`.

    `interrupted`: an earlier run of the control process was given it and did not finish it.
    `stamp_ns` is when the gateway received it, on the machine's monotonic clock.
    """

    row: int
    topic: str
    sealed: bytes
    retained: bool
    interrupted: bool
    stamp_ns: int


class EventsKept(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The journal has every event of run `boot` up to `seq`."""

    boot: str
    seq: int


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The newest desired document, sealed."""

    sealed: bytes


class TwinSeen(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Another device has this one's identity, and the gateway has left the plane to it."""

    reason: str


class Standing(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """What commands must name from now on: this run of the control process, and the session.
    `link` is the number of the connection that it knew of, so that the gateway does not publish
    a session that its own news has just ended."""

    boot: str
    session: str
    link: int


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """What became of `row`. `final`: nothing follows. Empty `body`: nobody is to be told."""

    row: int
    final: bool
    body: bytes


class Happened(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """An event of run `boot`, said again until the gateway has it on the disk."""

    boot: str
    seq: int
    body: bytes


class InForce(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """What is to be reported of the desired state, and what of it is the gateway's to do."""

    body: bytes
    telemetry_rate_hz: float


ToControl = LinkUp | Carried | EventsKept | Wanted | TwinSeen
ToGateway = Standing | Answer | Happened | InForce


class CommandCodec:
    """Encoder and decoders of one process."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._to_control: msgspec.msgpack.Decoder[ToControl] = msgspec.msgpack.Decoder(ToControl)
        self._to_gateway: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)

    def encode(self, message: ToControl | ToGateway) -> bytes | None:
        """The datagram; None when it would be larger than a peer accepts."""
        datagram = self._encode(message)
        return datagram if len(datagram) <= MAX_COMMAND_DATAGRAM_BYTES else None

    def to_control(self, datagram: bytes) -> ToControl | None:
        """What the gateway said; None for anything else."""
        if len(datagram) > MAX_COMMAND_DATAGRAM_BYTES:
            return None
        try:
            return self._to_control.decode(datagram)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def to_gateway(self, datagram: bytes) -> ToGateway | None:
        """What the control process said; None for anything else."""
        if len(datagram) > MAX_COMMAND_DATAGRAM_BYTES:
            return None
        try:
            return self._to_gateway.decode(datagram)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
