"""Every device of a plane, as it says of itself: who is there, in which mode, and what happened.

Owns: one connection, and the newest of each device. Must not: command; a key is for one device.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from edge_agent.authority.body import read_status
from edge_agent.authority.documents import Event, Telemetry
from edge_agent.authority.topics import ROOT, Topics
from edge_agent.client.connection import BrokerOptions, Connection
from edge_agent.core.clock import NS_PER_S, SystemClock

_LEVELS: Final = 4  # ed/v1/<id>/<leaf>


@dataclass(slots=True)
class DeviceState:
    """What is known of one device. `missed`: samples whose numbers never came."""

    id: str
    status: dict[str, Any]
    telemetry: Telemetry | None = None
    heard_ns: int = 0  # of the newest message, on this machine's monotonic clock
    missed: int = 0


class FleetClient:
    """Connected from construction on; use as a context manager. Not for two threads."""

    def __init__(self, options: BrokerOptions, leaves: tuple[str, ...] = ("status",)) -> None:
        """Hears these `leaves` of every device: of `status`, `tele` and `evt`. TransientError
        when the broker does not answer."""
        self._clock = SystemClock()
        known = [leaf for leaf in Topics._fields if leaf in leaves]
        # QoS 0 but for events: a broker keeps only so many messages for one client on their way,
        # and with QoS 1 the status of a large fleet is more than that.
        filters = [(f"{ROOT}/+/{leaf}", int(leaf == "evt")) for leaf in known]
        self.devices: dict[str, DeviceState] = {}
        self._last: dict[str, tuple[str, int]] = {}  # id -> run, highest seq
        self._connection = Connection(options, filters, self._clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def listen(self, within_s: float) -> Iterator[tuple[DeviceState, Event | None]]:
        """Every change in this time: the device, and the event if it was one. An event may come
        twice; (boot, seq) tells."""
        deadline_ns = self._clock.now_ns() + round(within_s * NS_PER_S)
        while (heard := self._connection.next(deadline_ns)) is not None:
            parts = heard.topic.split("/")
            if len(parts) != _LEVELS:
                continue
            device = self.devices.setdefault(parts[2], DeviceState(parts[2], {}))
            try:
                event = self._take(device, parts[3], heard.payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # not from a device of this version
            device.heard_ns = heard.stamp_ns
            yield device, event

    def _take(self, device: DeviceState, leaf: str, payload: bytes) -> Event | None:
        match leaf:
            case "status":
                device.status = read_status(payload)
            case "tele":
                self._count(device, msgspec.msgpack.decode(payload, type=Telemetry))
            case "evt":
                return msgspec.msgpack.decode(payload, type=Event)
        return None

    def _count(self, device: DeviceState, sample: Telemetry) -> None:
        """Note the newest sample, and the numbers that did not come; one that follows fills its
        gap."""
        run, highest = self._last.get(device.id, (sample.run, sample.seq - 1))
        if sample.hist:
            if sample.run == run and sample.seq < highest:
                device.missed = max(0, device.missed - 1)
            return
        if sample.run == run:
            device.missed += max(0, sample.seq - highest - 1)
        self._last[device.id] = sample.run, sample.seq
        device.telemetry = sample
