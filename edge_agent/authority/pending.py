"""A command that was accepted and is not finished.

Owns: what the desk keeps of it until its last answer. Must not: judge it.
"""

from dataclasses import dataclass
from typing import Final

from edge_agent.authority.keyring import Key
from edge_agent.authority.operations import ArmArgs, ManualArgs, Operation
from edge_agent.authority.ruling import Admitted
from edge_agent.core.records import Intent

_NS_PER_S: Final = 1_000_000_000
_LEASE_GRACE_NS: Final = 11 * _NS_PER_S  # it begins within the longest ttl, and a tick ends it


@dataclass(slots=True)
class Ticket:
    """Which command an answer is for, and where the gateway keeps it."""

    row: int
    command_id: str
    sig: bytes
    op: str
    kid: str
    key: Key  # as it was


@dataclass(slots=True)
class Pending:
    """An accepted command that is not finished."""

    ticket: Ticket
    operation: Operation
    intent: Intent
    begin_by_ns: int
    end_by_ns: int
    running: bool = False
    given: bool = False  # the agent has had the intent
    cancelled: bool = False

    @property
    def can_be_cancelled(self) -> bool:
        """What was not begun, or can be taken back."""
        return not self.given or self.operation.take_back is not None


def within_ns(admitted: Admitted) -> int:
    """How long the operation may take."""
    if isinstance(admitted.args, ArmArgs):
        return round(admitted.args.within_s * _NS_PER_S)
    if isinstance(admitted.args, ManualArgs):
        return admitted.lease_ns + _LEASE_GRACE_NS
    return admitted.operation.within_ns
