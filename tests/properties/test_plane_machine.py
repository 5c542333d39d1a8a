"""Desk and agent together against a model of who holds what: any order of people and ticks.

The model is a table of leases and a list of what was accepted. It says for every command whether
it is refused and why, for every tick what is held, and for every last word that it is the only
one and true.
"""

from typing import Any, NamedTuple

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.authority.admission import MAX_PENDING
from edge_agent.authority.keyring import Keyring
from edge_agent.client.outcome import Outcome
from edge_agent.core.records import Mode, Proposal, Reading, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.properties.world import ACTUATORS, GOOD_COUNTS, SENSORS, Scripted, agent
from tests.unit.authority.office import KEYRING, MS, Office, S, outcome

DRIVEN = (Mode.ACTIVE, Mode.HOLDING)
CALM = Proposal((50.0, 0.0, 30.0, 60.0))
FINAL = {"done", "failed", "cancelled"}
NEXT = {"accepted": FINAL | {"running"}, "running": FINAL}
WITHOUT_OPS = Keyring(2, {kid: key for kid, key in KEYRING.keys.items() if kid != "ops"})


class Hold(NamedTuple):
    """One accepted `manual`, or a lease of it."""

    command: str
    channel: int
    source: str
    counts: int
    lease_ns: int
    time_ns: int  # begins by then; of a lease: ends then


class PlaneMachine(RuleBasedStateMachine):
    """Commands in, ticks of a real agent in between."""

    @initialize()
    def begin(self) -> None:
        self.office = Office()
        self.policy = Scripted()
        self.policy.next = CALM
        self.agent = agent(self.policy)
        self.keyring = KEYRING
        self.last: TickRecord | None = None
        self.leases: dict[int, Hold] = {}
        self.waiting: list[Hold] = []
        self.releases: set[str] = set()
        self.cancelled: set[str] = set()
        self.holds: dict[str, Hold] = {}
        self.states: dict[str, str] = {}
        self._tick(100)
        self._ask("arm", "ops")
        self.calm(3)
        assert self.mode == Mode.ACTIVE  # where there is most to go wrong
        self._ask("arm", "ops")
        self.calm(10)
        assert self.mode == Mode.ACTIVE

    @property
    def mode(self) -> int:
        assert self.last is not None
        return self.last.mode

    def _ask(self, op: str, kid: str, **changes: Any) -> Outcome | None:
        """The first answer; None when the key is not known any more."""
        sealed = self.office.sealed(op, kid, **changes)
        answer = self.office.hand_in(sealed)
        if kid not in self.keyring.keys:
            assert answer.body == b""
            return None
        found = outcome(answer)
        self.states[found.id] = found.st
        return found

    @rule(
        kid=st.sampled_from(("ops", "signer")),
        by=st.sampled_from(("alice", "bob")),
        actuator=st.sampled_from((0, 0, 0, ACTUATORS - 1)),
        value=st.sampled_from((0.0, 30.0, 40.0, 100.0, 100.1, -1.0)),
        lease_s=st.sampled_from((0.1, 1.0, 60.0, 60.0)),
        ttl=st.sampled_from((1, 500, 500, 500)),
    )
    def manual(
        self, kid: str, by: str, actuator: int, value: float, lease_s: float, ttl: int
    ) -> None:
        name, channel = ENVELOPE.actuators[actuator].name, SENSORS + actuator
        args = {"channel": name, "value": value, "lease_s": lease_s}
        busy = len(self.office.desk._pending) >= MAX_PENDING
        answer = self._ask("manual", kid, args=args, by=by, ttl=ttl)
        if answer is None:
            return
        source = f"plane:{kid}:{by}"
        assert self.last is not None
        held = next((m for m in self.last.manual if m.channel == channel), None)
        if self.mode != Mode.ACTIVE:
            assert answer.reason == "wrong_state"
        elif busy:
            assert answer.reason == "busy"
        elif self.last.monitor:
            assert (answer.reason, answer.why["control"]) == ("wrong_state", "monitor")
        elif not 0.0 <= value <= 100.0:
            assert answer.reason == "envelope"
        elif held is not None and held.source != source:
            assert (answer.reason, answer.why["id"]) == ("held", held.command)
        else:
            assert answer.st == "accepted"
            begin_by_ns = self.office.now_ns + ttl * MS
            hold = Hold(
                answer.id, channel, source, round(value * 10), round(lease_s * S), begin_by_ns
            )
            self.waiting.append(hold)
            self.holds[answer.id] = hold

    @rule(
        op=st.sampled_from(("arm", "arm", "arm", "disarm", "stop", "reset", "reset")),
        kid=st.sampled_from(("ops", "signer")),
    )
    def change_mode(self, op: str, kid: str) -> None:
        self._ask(op, kid)

    @rule(control=st.sampled_from(("monitor", "enforce")))
    def change_control(self, control: str) -> None:
        self._ask("mode", "signer", args={"control": control})

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        command = data.draw(st.sampled_from(sorted(self.holds)))
        answer = self._ask("cancel", "signer", args={"id": command})
        assert answer is not None
        unfinished = self.states[command] in NEXT
        assert answer.data["cancelled"] == unfinished
        if unfinished:
            self._end_early(command)

    @rule()
    def change_keyring(self) -> None:
        """`ops` is withdrawn, or comes back: its leases end, its pending wishes are not given."""
        withdrawn = self.keyring is KEYRING
        self.keyring = WITHOUT_OPS if withdrawn else KEYRING
        self.office.desk.replace_keyring(self.keyring)
        for command, hold in self.holds.items() if withdrawn else ():
            if hold.source.startswith("plane:ops:") and self.states[command] in NEXT:
                self._end_early(command)

    def _end_early(self, command: str) -> None:
        self.cancelled.add(command)
        self.waiting = [hold for hold in self.waiting if hold.command != command]

    @rule(
        dt_ms=st.sampled_from((100, 100, 100, 150)),
        failing=st.sampled_from((False, False, False, True)),
    )
    def tick(self, dt_ms: int, failing: bool) -> None:
        self.policy.next = Proposal(None) if failing else CALM
        self._tick(dt_ms)

    @rule(ticks=st.sampled_from((1, 1, 2, 3, 40)))
    def calm(self, ticks: int) -> None:
        self.policy.next = CALM
        for _ in range(ticks):
            self._tick(100)

    def _tick(self, dt_ms: int) -> None:
        office = self.office
        office.now_ns += dt_ms * MS
        intents = office.desk.intents(office.now_ns)
        usual = (*GOOD_COUNTS, *self.agent.command.counts)
        readings = [Reading(c, counts, office.now_ns, 0) for c, counts in enumerate(usual)]
        self._expect(office.now_ns)
        self.last = self.agent.step(office.now_ns, readings, intents)
        if self.last.mode not in DRIVEN:
            self.leases.clear()
        held = {m.channel: (m.command, m.source, m.counts, m.left_ns) for m in self.last.manual}
        assert held == {
            c: (x.command, x.source, x.counts, x.time_ns - office.now_ns)
            for c, x in self.leases.items()
        }
        for answer in office.desk.settle(self.last):
            self._hear(outcome(answer))

    def _expect(self, now_ns: int) -> None:
        """What the model holds in the tick that begins."""
        self.leases = {
            c: x
            for c, x in self.leases.items()
            if now_ns < x.time_ns and x.command not in self.releases
        }
        self.releases.clear()
        begins = self.last is not None and self.last.mode == Mode.ACTIVE and not self.last.monitor
        for hold in self.waiting:
            present = self.leases.get(hold.channel)
            free = present is None or present.source == hold.source
            if begins and free and now_ns <= hold.time_ns:
                self.leases[hold.channel] = hold._replace(time_ns=now_ns + hold.lease_ns)
        self.waiting.clear()

    def _hear(self, answer: Outcome) -> None:
        assert answer.st in NEXT[self.states[answer.id]]
        running = self.states[answer.id] == "running"
        self.states[answer.id] = answer.st
        if answer.id not in self.holds:
            return
        event(f"a hold is {answer.st} {answer.reason}")
        lives = any(x.command == answer.id for x in self.leases.values())
        match answer.st:
            case "running":
                assert lives
            case "done":
                assert running
                assert not lives
            case "cancelled":
                assert answer.id in self.cancelled
                self.releases.add(answer.id)
            case "failed" if answer.reason == "ended":
                assert running
                assert self.mode not in DRIVEN
            case "failed":
                assert answer.reason in {"expired", "not_taken"}
                assert not lives

    @invariant()
    def what_is_held_is_told(self) -> None:
        if hasattr(self, "leases"):
            for hold in self.leases.values():
                assert self.states[hold.command] == "running" or hold.command in self.releases

    def teardown(self) -> None:
        """Whatever went before, a stop ends all of it."""
        if not hasattr(self, "leases"):
            return
        self._ask("stop", "halt")
        self._tick(100)
        assert self.mode == Mode.TRIPPED
        assert not self.last or self.last.manual == ()
        self._tick(100)
        unfinished = [name for name in self.holds if self.states[name] in NEXT]
        assert unfinished == []


TestPlaneMachine = PlaneMachine.TestCase
TestPlaneMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
