"""What became of the last commands: answers to give again, never to act on twice.

Owns: the last answers by command id, and the highest counter of each key. Must not: grow: the
oldest finished commands go first. A command that was forgotten is still refused, by its
counter.
"""

from typing import Final, NamedTuple

KEPT: Final = 512


class Remembered(NamedTuple):
    """The last answer to one command."""

    sig: bytes
    state: str
    body: bytes  # the encoded reply
    final: bool


class Memory:
    """Bounded; the order is that of admission."""

    def __init__(self) -> None:
        self._commands: dict[str, Remembered] = {}
        self._counters: dict[str, int] = {}

    def find(self, command_id: str) -> Remembered | None:
        """What is known of this command."""
        return self._commands.get(command_id)

    def keep(self, command_id: str, remembered: Remembered) -> None:
        """The newest answer replaces the last."""
        self._commands[command_id] = remembered
        if len(self._commands) > KEPT:
            done = next((key for key, row in self._commands.items() if row.final), None)
            if done is not None:
                del self._commands[done]

    def counter(self, kid: str) -> int:
        """The highest counter that the key has used, -1 before the first."""
        return self._counters.get(kid, -1)

    def is_new(self, kid: str, counter: int) -> bool:
        """Take the counter note of a key; False when it is not above all before."""
        if counter <= self.counter(kid):
            return False
        self._counters[kid] = counter
        return True
