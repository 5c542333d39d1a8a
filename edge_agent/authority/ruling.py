"""What comes of judging a command, and what the judges may know.

Owns: the words between desk and checks. Must not: judge.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from edge_agent.authority.operations import Args, Operation
from edge_agent.authority.sessions import Sessions
from edge_agent.core.records import Intent, Mode, Op, Reason, TickRecord
from edge_agent.safety.limits import Envelope

REJECTED: Final = "rejected"
FAILED: Final = "failed"


class Refused(NamedTuple):
    """The end of a command before it began: `rejected`, or `failed` for an interrupted one."""

    state: str
    why: Mapping[str, Any]


class Admitted(NamedTuple):
    """A command that may be followed, and what it sets."""

    operation: Operation
    args: Args
    op: Op | None
    channel: int = -1
    counts: int = 0
    lease_ns: int = 0
    high_counts: int = 0

    def intent(self, op: Op, source: str, command: str) -> Intent:
        """What the agent is to be told; `source`: who asks, in the command of that id."""
        return Intent(
            op, source, self.channel, self.counts, self.lease_ns, command, self.high_counts
        )


class Situation(NamedTuple):
    """What the checks may know of the device."""

    device: str
    sessions: Sessions
    limits: Envelope
    last: TickRecord | None  # the newest tick, None before the first
    pending: int
    monitor_only: bool  # so configured at the device
    local_only: frozenset[str]  # operations that the device takes from nobody afar

    @property
    def mode(self) -> int:
        """The supervisor's, as of the last tick."""
        return int(Mode.SAFE) if self.last is None else self.last.mode

    @property
    def cause(self) -> Reason | None:
        """Root cause of the present stop."""
        return None if self.last is None else self.last.cause


def rejected(reason: str, **details: Any) -> Refused:
    """A refusal with its reason and the facts beside it."""
    return Refused(REJECTED, {"reason": reason, **details})
