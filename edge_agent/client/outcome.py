"""What a device answered, as a value and in a sentence.

Owns: the sentence for each state and reason. Must not: guess: what is not known is said so.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

FINAL: Final = frozenset({"done", "rejected", "failed", "cancelled"})
_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "wrong_device": "the command is for another device",
        "retained": "the command was retained by the broker; publish without the retain flag",
        "stale_session": "the device has restarted or reconnected since, or the command came late;"
        " read its status and send a new one",
        "expired": "the command came too late to be followed",
        "replayed": "a command with this id or counter was seen already",
        "not_authorized": "this key may not ask for that",
        "unknown_op": "the device does not know this operation",
        "bad_args": "the arguments do not fit the operation",
        "envelope": "outside of what the device's envelope allows",
        "local_control": "the device is configured otherwise, and that comes first",
        "wrong_state": "not possible in the mode that the device is in",
        "held": "somebody else holds this actuator; wait for the end of the lease, or cancel that"
        " command",
        "interlock": "an interlock holds this actuator somewhere else",
        "ended": "it was held until the device went out of control, which ends every lease",
        "busy": "too many commands are unfinished; wait for their answers",
        "interrupted": "the device stopped while it was at it; it is not tried again",
        "not_taken": "the device could not do it",
        "timeout": "not done in time; what had begun was taken back",
    }
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `at` is the device's monotonic clock in ns."""

    id: str
    st: str
    boot: str
    seq: int
    at: int
    why: dict[str, Any] = {}  # msgspec copies mutable defaults
    data: dict[str, Any] = {}

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.st in FINAL

    @property
    def reason(self) -> str:
        """The word for why not; empty when there is none."""
        return str(self.why.get("reason", ""))

    def sentence(self) -> str:
        """For a person."""
        facts = self.why or self.data
        words = [f"{name} {_plain(value)}" for name, value in facts.items() if name != "reason"]
        meaning = _SENTENCES.get(self.reason, self.reason)
        text = f"{self.st}: {meaning}" if meaning else self.st
        return f"{text} ({', '.join(words)})" if words else text


def _plain(value: object) -> str:
    return str(value.get("text", value)) if isinstance(value, Mapping) else str(value)
