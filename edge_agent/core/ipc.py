"""The words that the control process and the gateway say to each other.

Owns: the messages on the Unix SOCK_SEQPACKET socket, their size limit, encoding and decoding.
Must not: open a socket, or raise for what a peer sent. A datagram is either one of the
messages below or None, which the receiver counts: a broken gateway may not break a tick.

One datagram is one message: a msgpack array whose first element is the tag. Tags are on the
wire between two processes that may be of different versions for a moment: never renumber.
"""

from typing import Any

import msgspec

from edge_agent.core.records import Reading

MAX_DATAGRAM_BYTES = 65_536
# 256 readings of at most 23 bytes each stay far below the datagram limit.
MAX_READINGS_PER_BATCH = 256

ROLE_GATEWAY = "gateway"
ROLE_STATUS = "status"


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The first word of every peer: what it is (`gateway` or `status`) and its process id."""

    role: str
    pid: int


class ReadingsBatch(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Samples that arrived over the network, in order of arrival."""

    readings: tuple[Reading, ...]


class GatewayReport(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The gateway's counters and state by flat name, once a second and at changes."""

    items: dict[str, int | str]


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """Who the control process is: its boot id, device, and hashes by name (hex digests)."""

    boot: str
    device: str
    hashes: dict[str, str]


class Tick(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """One encoded TickRecord; opaque bytes, since most ticks are stored and never looked at."""

    record: bytes


class StatusReport(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """What `edge-agent status` shows: names to plain values, lists and maps."""

    items: dict[str, Any]


class Bye(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """The control process ends this connection, and why."""

    reason: str


class Actuate(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """What the actuators behind the broker are to be told: counts for each, in their order, as
    decided at `decided_ns` on the clock that both processes share."""

    decided_ns: int
    counts: tuple[int, ...]


GatewayMessage = Hello | ReadingsBatch | GatewayReport
ControlMessage = Welcome | Tick | StatusReport | Bye | Actuate


class Codec:
    """Encoder and decoders of one process; building them once keeps a message at microseconds."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._from_gateway: msgspec.msgpack.Decoder[GatewayMessage] = msgspec.msgpack.Decoder(
            GatewayMessage
        )
        self._from_control: msgspec.msgpack.Decoder[ControlMessage] = msgspec.msgpack.Decoder(
            ControlMessage
        )

    def encode(self, message: GatewayMessage | ControlMessage) -> bytes | None:
        """The datagram for `message`; None when it would be larger than a peer accepts."""
        datagram = self._encoder.encode(message)
        return datagram if len(datagram) <= MAX_DATAGRAM_BYTES else None

    def from_gateway(self, datagram: bytes | memoryview) -> GatewayMessage | None:
        """What a peer of the control process said; None for anything else."""
        if len(datagram) > MAX_DATAGRAM_BYTES:
            return None
        try:
            return self._from_gateway.decode(datagram)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def from_control(self, datagram: bytes | memoryview) -> ControlMessage | None:
        """What the control process said; None for anything else."""
        if len(datagram) > MAX_DATAGRAM_BYTES:
            return None
        try:
            return self._from_control.decode(datagram)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
