"""Copies of answers for whoever asked by MQTT 5, on the topic and with the mark that they gave.

Owns: which command came with such a wish, and whether the wish is one that may be granted. Must
not: be relied upon: a copy is sent once, if there is a connection, and forgotten with the process.
What is kept until the broker has it is the answer on `resp`.

The wish is not signed. Whoever stands between may change it, so it may only lead below the
device's own `resp`, where nothing else is said and nobody takes orders.
"""

from collections.abc import Sequence
from typing import Final

from edge_agent.authority.topics import is_id
from edge_agent.core.command_ipc import Answer
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.journal import UNFINISHED_MAX, Kept
from edge_agent.gateway.session import Received, ReplyTo

CORRELATION_BYTES_MAX: Final = 64


class Replies:
    """Bounded: the oldest wish goes first. `cmd` and `resp`: the device's own topics; what comes on
    another one, as the stop for all, wishes for nothing."""

    def __init__(self, cmd: str, resp: str) -> None:
        self._cmd = cmd
        self._below = f"{resp}/"
        self._wishes: dict[int, ReplyTo] = {}  # row of the journal -> wish
        self.refused = 0

    def expect(self, arrived: Sequence[Received], kept: Sequence[Kept]) -> None:
        """Note the wishes of new commands; one that may not be granted is counted, and the command
        is none the worse for it."""
        ours = [m for m in arrived if m.topic == self._cmd]
        wishes = {m.payload: m.reply_to for m in ours if m.reply_to is not None}
        for row in kept:
            wish = wishes.get(row.sealed)
            if wish is None:
                continue
            if not self._may(wish):
                self.refused += 1
                continue
            self._wishes[row.row] = wish
            if len(self._wishes) > UNFINISHED_MAX:
                del self._wishes[next(iter(self._wishes))]

    def copy(self, link: MqttLink, answer: Answer) -> None:
        """Send this answer to whoever wished for it."""
        wish = self._wishes.pop(answer.row, None)
        if wish is None:
            return
        if not answer.final:
            self._wishes[answer.row] = wish
        if answer.body:
            link.publish(wish.topic, answer.body, qos=1, correlation=wish.correlation)

    def _may(self, wish: ReplyTo) -> bool:
        name = wish.topic.removeprefix(self._below)
        below = name != wish.topic and is_id(name)
        return below and len(wish.correlation) <= CORRELATION_BYTES_MAX
