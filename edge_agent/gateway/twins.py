"""Another device with our identity, as a cloned memory card has it.

Owns: the signs of one, and when they are enough. Must not: act; the carrier leaves the plane.

A broker gives one name to the newer of two connections, so two devices with one name throw each
other out, and each finds the other's status when it is back. One foreign status at the start of a
run is no sign: the run before may have died and left it. One at each of several connections is.
"""

from typing import Final

import msgspec

from edge_agent.authority.body import Status
from edge_agent.core.clock import NS_PER_S

SIGNS: Final = 3
WITHIN_NS: Final = 120 * NS_PER_S


class Twins:
    """Reads our own status topic. `run` names this run of the gateway."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._signs: dict[int, int] = {}  # connection -> when; one sign each
        self.seen = ""  # why it is certain

    def hear(self, payload: bytes, connection: int, now_ns: int) -> None:
        """One message on our status topic."""
        try:
            run = msgspec.msgpack.decode(payload, type=Status).run
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # whoever that is, it is no device
        if not run or run == self._run:
            return
        self._signs.setdefault(connection, now_ns)
        self._signs = {c: t for c, t in self._signs.items() if now_ns - t <= WITHIN_NS}
        if len(self._signs) >= SIGNS:
            self.seen = "another device has this identity"
