"""The life of commands against a model, over any order of commands, copies, ticks and outages.

The model knows nothing of modes or reasons. It knows what may never happen: a command that is
answered twice, or after its end, or whose intent reaches the agent twice, late, or unaccepted.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.authority.admission import MAX_PENDING
from edge_agent.client.outcome import Outcome
from edge_agent.core.records import Intent, Mode
from tests.unit.authority.office import MS, Office, S, outcome, record

OPS = (
    "arm",
    "disarm",
    "stop",
    "reset",
    "ping",
    "set-goal",
    "manual",
    "mode",
    "cancel",
    "query",
    "unheard-of",
)
LONGEST_NS = 130 * S


class DeskMachine(RuleBasedStateMachine):
    """Commands in, ticks in between."""

    @initialize()
    def begin(self) -> None:
        self.office = Office()
        self.answers: dict[str, list[Outcome]] = {}
        self.sealed: list[tuple[str, bytes]] = []
        self.begin_by_ns: dict[str, int] = {}
        self.given: list[str] = []
        self.last_seq = 0

    def _heard(self, answer: Outcome) -> None:
        assert answer.seq == self.last_seq + 1
        self.last_seq = answer.seq
        earlier = self.answers.setdefault(answer.id, [])
        assert not any(a.final for a in earlier)
        assert answer.st not in {a.st for a in earlier}
        if answer.st == "running":
            assert [a.st for a in earlier] == ["accepted"]
        earlier.append(answer)

    @rule(
        op=st.sampled_from(OPS),
        kid=st.sampled_from(("ops", "halt", "pinger", "signer")),
        age_ms=st.integers(0, 400),
        ttl=st.sampled_from((1, 50, 300, 5000)),
        wrong=st.sampled_from(({}, {}, {}, {"sess": "old"}, {"dev": "ahu-8"}, {"dry": True})),
    )
    def command(self, op: str, kid: str, age_ms: int, ttl: int, wrong: dict[str, Any]) -> None:
        office = self.office
        args: dict[str, object] = {}
        if op in {"cancel", "query"}:
            args = {"id": self.sealed[-1][0] if self.sealed else "none"}
        elif op == "set-goal":
            args = {"channel": "supply_setpoint", "value": 15.0}
        elif op == "manual":
            args = {"channel": "supply_fan", "value": 40.0, "lease_s": 5.0}
        elif op == "mode":
            args = {"control": "monitor"}
        sealed = office.sealed(op, kid, ttl=ttl, args=args, **wrong)
        command_id = f"c{office.counter}"
        stamp_ns = office.now_ns - age_ms * MS
        answer = outcome(office.hand_in(sealed, stamp_ns=stamp_ns))
        assert answer.id == command_id
        self._heard(answer)
        self.sealed.append((command_id, sealed))
        self.begin_by_ns[command_id] = stamp_ns + ttl * MS
        if age_ms > ttl or "sess" in wrong or "dev" in wrong:
            assert answer.st == "rejected"
        if "dry" in wrong:
            assert answer.final

    @precondition(lambda self: self.sealed)
    @rule(data=st.data(), interrupted=st.booleans())
    def copy(self, data: st.DataObject, interrupted: bool) -> None:
        command_id, sealed = data.draw(st.sampled_from(self.sealed))
        answer = self.office.hand_in(sealed, interrupted=interrupted)
        assert outcome(answer) == self.answers[command_id][-1]

    @rule(mode=st.sampled_from(Mode), dt_ms=st.sampled_from((10, 100, 1000, 15_000)))
    def tick(self, mode: Mode, dt_ms: int) -> None:
        office = self.office
        office.now_ns += dt_ms * MS
        before = [p.ticket.command_id for p in office.desk._pending if not p.given]
        intents = office.desk.intents(office.now_ns)
        after = {p.ticket.command_id for p in office.desk._pending if p.given}
        for command_id in before:
            if command_id in after:
                assert command_id not in self.given
                assert office.now_ns <= self.begin_by_ns[command_id]
                assert self.answers[command_id][0].st == "accepted"
                self.given.append(command_id)
        self._settle(mode, intents)

    def _settle(self, mode: int, intents: tuple[Intent, ...]) -> None:
        office = self.office
        for answer in office.desk.settle(record(mode, office.now_ns, intents, None, ({}, False))):
            self._heard(outcome(answer))

    @rule()
    def reconnect(self) -> None:
        desk = self.office.desk
        desk.sessions = desk.sessions.reconnected(f"{self.last_seq}", self.office.now_ns, 1)

    @invariant()
    def every_command_is_answered(self) -> None:
        if hasattr(self, "answers"):
            assert all(self.answers[command_id] for command_id, _ in self.sealed)

    @invariant()
    def what_is_unfinished_is_bounded(self) -> None:
        if hasattr(self, "office"):
            assert len(self.office.desk._pending) <= MAX_PENDING + len(self.sealed)

    def teardown(self) -> None:
        """However it went, a while later every command has its last answer."""
        if not hasattr(self, "office"):
            return
        for _ in range(3):
            self.office.now_ns += LONGEST_NS
            self._settle(Mode.SAFE, self.office.desk.intents(self.office.now_ns))
        assert all(answers[-1].final for answers in self.answers.values())


TestDeskMachine = DeskMachine.TestCase
TestDeskMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
