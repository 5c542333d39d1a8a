"""Which run of the device, and which moment of it, a command was written for.

Owns: the present and the last session. Must not: make random numbers; they are handed in.

`boot` names a run of the control process. `sess` is renewed every few seconds and at each new
connection, and only the last two are good, of one connection: so a command that a broker, a
bridge or a gateway has held back is dead by construction, without any clock but the device's.
"""

from typing import Final, NamedTuple

RENEW_EVERY_NS: Final = 10_000_000_000


class Sessions(NamedTuple):
    """A pure value."""

    boot: str
    current: str
    since_ns: int
    link: int = -1  # number of the connection to the broker, as the gateway counts
    previous: str = ""
    previous_since_ns: int = 0

    def due(self, now_ns: int) -> bool:
        """Whether it is time for a new session."""
        return now_ns - self.since_ns >= RENEW_EVERY_NS

    def renewed(self, session: str, now_ns: int) -> "Sessions":
        """The next session on the same connection; the last one stays good until the next."""
        return Sessions(self.boot, session, now_ns, self.link, self.current, self.since_ns)

    def reconnected(self, session: str, now_ns: int, link: int) -> "Sessions":
        """The first session of another connection: what was sent before is dead."""
        return Sessions(self.boot, session, now_ns, link)

    def issued_ns(self, session: str) -> int:
        """When one of the two was made."""
        return self.since_ns if session == self.current else self.previous_since_ns

    def knows(self, boot: str, session: str) -> bool:
        """Whether a command that names these was written for now."""
        return boot == self.boot and session in (self.current, self.previous) and session != ""
