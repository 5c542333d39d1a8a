"""A desk on a bench: keys, a clock in the hand, and an agent that is only a mode."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent.authority import desk
from edge_agent.authority.desk import Desk
from edge_agent.authority.ed25519 import public_of
from edge_agent.authority.keyring import Key, Keyring
from edge_agent.authority.seal import seal
from edge_agent.authority.sessions import Sessions
from edge_agent.authority.topics import topics_of
from edge_agent.client.outcome import Outcome
from edge_agent.core.command_ipc import Answer, Carried
from edge_agent.core.records import (
    Intent,
    Manual,
    Mode,
    Op,
    Proposal,
    Reason,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.safety.devices.air_handler import ENVELOPE

MS = 1_000_000
S = 1_000 * MS
T0 = 1_000 * S
TOPIC = topics_of("ahu-7").cmd
SECRETS = {
    kid: hashlib.sha256(kid.encode()).digest() for kid in ("ops", "halt", "pinger", "signer")
}
KEYRING = Keyring(
    1,
    {
        "ops": Key(SECRETS["ops"], frozenset({"cmd"}), frozenset()),
        "halt": Key(SECRETS["halt"], frozenset({"stop"}), frozenset()),
        "pinger": Key(SECRETS["pinger"], frozenset({"cmd"}), frozenset({"ping"})),
        "signer": Key(public_of(SECRETS["signer"]), frozenset({"cmd"}), frozenset(), "ed25519"),
    },
)
BOOT, SESSION = "b" * 16, "5" * 16
# What is shown of a machine at which no interlock is engaged.
CALM = {ENVELOPE.sensor_index[name]: 2000 for name in ("mixed_temperature", "supply_temperature")}
CALM[ENVELOPE.sensor_index["fan_status"]] = 1


class Office:
    """Sends, ticks, and keeps every answer."""

    def __init__(self, *, monitor_only: bool = False, local_only: tuple[str, ...] = ()) -> None:
        place = desk.Office("ahu-7", KEYRING, ENVELOPE, monitor_only, frozenset(local_only))
        self.desk = Desk(place, Sessions(BOOT, SESSION, T0))
        self.monitor = False  # what the next records say
        self.now_ns = T0
        self.counter = 0
        self.row = 0
        self.answers: list[Answer] = []
        self.shown: dict[int, int] = {}  # channel -> counts in the next records
        self.manual: tuple[Manual, ...] = ()  # what they say is held

    def body(self, op: str, /, **changes: Any) -> dict[str, Any]:
        """A good body, and whatever is to be wrong with it."""
        self.counter += 1
        sessions = self.desk.sessions
        good = {
            "id": f"c{self.counter}",
            "dev": "ahu-7",
            "op": op,
            "boot": sessions.boot,
            "sess": sessions.current,
            "ctr": self.counter,
            "ttl": 1000,
            "by": "alice",
        }
        return {k: v for k, v in (good | changes).items() if v is not None}

    def sealed(self, op: str, kid: str = "ops", /, topic: str = TOPIC, **changes: Any) -> bytes:
        body = msgspec.msgpack.encode(self.body(op, **changes))
        algorithm = KEYRING.keys[kid].algorithm
        return seal(SECRETS[kid], kid, topic, body, algorithm)

    def hand_in(self, sealed: bytes, **changes: Any) -> Answer:
        """One message, as a gateway carries it."""
        self.row += 1
        values: dict[str, Any] = {
            "row": self.row,
            "topic": TOPIC,
            "sealed": sealed,
            "retained": False,
            "interrupted": False,
            "stamp_ns": self.now_ns,
        }
        answer = self.desk.receive(Carried(**(values | changes)), self.now_ns)
        self.answers.append(answer)
        return answer

    def ask(self, op: str, kid: str = "ops", /, **changes: Any) -> Outcome:
        """One good or bad command; its first answer."""
        return outcome(self.hand_in(self.sealed(op, kid, **changes)))

    def tick(
        self, mode: int = Mode.SAFE, cause: Reason | None = None, dt_ns: int = 100 * MS
    ) -> tuple[list[Op], list[Outcome]]:
        """One tick that ends in `mode`: what the agent was asked, and what was answered."""
        self.now_ns += dt_ns
        intents = self.desk.intents(self.now_ns)
        tick = record(mode, self.now_ns, intents, cause, (self.shown, self.monitor))
        answers = self.desk.settle(msgspec.structs.replace(tick, manual=self.manual))
        self.answers += answers
        return [Op(i.op) for i in intents], [outcome(a) for a in answers]

    def count(self, name: str) -> int:
        return self.desk.counters().get(name, 0)


def outcome(answer: Answer) -> Outcome:
    """What the plane reads."""
    found = msgspec.msgpack.decode(answer.body, type=Outcome)
    assert found.final == answer.final
    return found


def record(
    mode: int,
    now_ns: int,
    intents: tuple[Intent, ...],
    cause: Reason | None,
    shown: tuple[Mapping[int, int], bool],
) -> TickRecord:
    channels = len(ENVELOPE.channel_names)
    return TickRecord(
        tick=1,
        now_ns=now_ns,
        readings=(),
        intents=intents,
        snapshot=Snapshot(
            tuple(shown[0].get(c, 0) for c in range(channels)),
            (0,) * channels,
            (0,) * channels,
        ),
        features=(),
        proposal=Proposal(None),
        verdict=Verdict((0,) * len(ENVELOPE.actuators)),
        mode=mode,
        cause=cause,
        monitor=shown[1],
    )
