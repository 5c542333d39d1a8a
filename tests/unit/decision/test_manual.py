"""A person holds an actuator: when it begins, what still judges it, and everything that ends it."""

from collections.abc import Sequence

import msgspec
import pytest

from edge_agent.core.records import Intent, Manual, Mode, Op, Proposal, Reason, Rule, TickRecord
from edge_agent.decision.agent import Options
from edge_agent.decision.manual import MAX_LEASE_NS
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import S, envelope

PUMP, VALVE = 1, 2  # channels
WISH = (50, 30)  # what the policy wants, counts


class Handed(Bench):
    """A bench to which whole intents can be handed."""

    next: tuple[Intent, ...] = ()

    def intents(self, ops: Sequence[int]) -> list[Intent]:
        handed, self.next = self.next, ()
        return [*(Intent(op) for op in ops), *handed]

    def hold(self, counts: int = 100, **changes: object) -> TickRecord:
        """One tick with a command to hold the pump; changed as a test wants it."""
        good: dict[str, object] = {
            "op": Op.MANUAL,
            "source": "plane:alice",
            "channel": PUMP,
            "counts": counts,
            "lease_ns": 2 * S,
            "command": "c1",
        }
        self.next = (Intent(**(good | changes)),)  # type: ignore[arg-type]
        return self.tick()


def under_way(answer: Proposal | None = None) -> Handed:
    bench = Handed(answer)
    bench.armed()
    bench.ticks(20)
    assert bench.agent.command.counts == WISH
    return bench


def held(record: TickRecord) -> list[tuple[int, int]]:
    return [(m.channel, m.counts) for m in record.manual]


def test_the_value_is_reached_at_the_envelopes_speed_and_the_policy_keeps_the_rest() -> None:
    bench = under_way()
    first = bench.hold(100)
    assert first.verdict.command == (56, 30)  # 50 counts/s up, and the one count it had saved
    assert Reason(Rule.RATE_UP, PUMP, 100) in first.verdict.reasons
    bench.policy.answer = Proposal((5.0, 4.0))
    last = bench.ticks(12)[-1]
    assert last.verdict.command == (100, 40)
    assert last.proposal.values == (5.0, 4.0)  # the record tells both wishes


def test_the_record_says_who_holds_what_by_which_command_and_for_how_long() -> None:
    bench = under_way()
    assert bench.hold().manual == (Manual(PUMP, 100, "plane:alice", "c1", 2 * S),)
    later = bench.tick()
    assert later.manual[0].left_ns == 2 * S - PERIOD
    assert later.verdict.reasons[0] == Reason(Rule.BY_HAND, PUMP, 2 * S - PERIOD)


def test_the_lease_ends_by_itself_and_the_policy_has_it_back_at_the_envelopes_speed() -> None:
    bench = under_way()
    bench.hold(70)
    records = bench.ticks(20)
    assert [held(r) for r in records[:19]] == [[(PUMP, 70)]] * 19
    assert held(records[19]) == []  # 2 s after it began
    assert records[18].verdict.command[0] == 70
    assert records[19].verdict.command[0] == 61  # 80 counts/s down, and one saved
    assert bench.ticks(10)[-1].verdict.command == WISH


def test_a_late_tick_does_not_stretch_a_lease() -> None:
    bench = under_way()
    bench.hold(100)
    assert bench.tick(dt_ns=2 * S).manual == ()


def test_a_clock_that_stands_does_not_stretch_a_lease() -> None:
    bench = under_way()
    assert bench.hold(100, lease_ns=2 * PERIOD).manual[0].left_ns == 2 * PERIOD
    assert bench.tick(dt_ns=0).manual[0].left_ns == 2 * PERIOD
    assert bench.tick().manual[0].left_ns == PERIOD
    assert bench.tick().manual == ()


def test_a_clock_that_goes_back_ends_it() -> None:
    bench = under_way()
    bench.hold(100)
    record = bench.tick(dt_ns=-PERIOD // 2)
    assert (record.mode, record.manual) == (Mode.RAMPING, ())  # nothing is known to be fresh


def test_a_renewal_takes_the_place_of_the_lease() -> None:
    bench = under_way()
    bench.hold(100)
    bench.ticks(15)
    again = bench.hold(120, command="c2")
    assert again.manual == (Manual(PUMP, 120, "plane:alice", "c2", 2 * S),)


@pytest.mark.parametrize("source", ["plane:bob", "plane:alice:x", "local"])
def test_another_hand_gets_it_only_after_the_lease(source: str) -> None:
    bench = under_way()
    bench.hold(100)
    assert bench.hold(200, source=source, command="c2").manual[0].command == "c1"
    assert bench.hold(90, source=source, command="c3", channel=VALVE).manual[1].command == "c3"
    bench.ticks(18)
    assert bench.hold(200, source=source, command="c4").manual[0].command == "c4"


def test_a_release_ends_the_lease_of_its_command_only() -> None:
    bench = under_way()
    bench.hold(100)
    bench.next = (Intent(Op.RELEASE, "x", PUMP, command="c0"),)
    assert held(bench.tick()) == [(PUMP, 100)]
    bench.next = (Intent(Op.RELEASE, "x", PUMP, command="c1"),)
    assert bench.tick().manual == ()


@pytest.mark.parametrize(
    "change",
    [
        {"channel": 0},  # a sensor
        {"channel": -1},
        {"channel": 3},
        {"channel": -2},
        {"counts": -101},
        {"counts": 301},
        {"counts": 2**62},
        {"lease_ns": 0},
        {"lease_ns": -1},
        {"lease_ns": MAX_LEASE_NS + 1},
    ],
    ids=str,
)
def test_what_cannot_be_held_is_not_whoever_let_it_through(change: dict[str, object]) -> None:
    bench = under_way()
    record = bench.hold(**{"counts": 100, **change})  # type: ignore[arg-type]
    assert record.manual == ()
    assert record.verdict.command == WISH


@pytest.mark.parametrize("op", [Op.STOP, Op.DISARM])
def test_a_stop_and_a_disarm_overtake_and_end_it(op: Op) -> None:
    bench = under_way()
    bench.hold(100)
    assert bench.tick(op).manual == ()
    fresh = under_way()
    fresh.next = (Intent(Op.MANUAL, "a", PUMP, 100, S, "c1"), Intent(op))
    assert fresh.tick().manual == ()  # in the same tick too


def test_a_trip_ends_it_and_nothing_is_held_after_the_next_arm() -> None:
    bench = under_way()
    bench.hold(100, lease_ns=MAX_LEASE_NS)
    bench.tick(Op.STOP)
    bench.tick(Op.RESET)
    bench.armed()
    assert bench.tick().manual == ()


@pytest.mark.parametrize("before", ["boot", "arming"])
def test_it_does_not_begin_unless_the_device_is_active(before: str) -> None:
    bench = Handed()
    if before == "arming":
        bench.level = None
        bench.tick(Op.ARM)
    assert bench.hold(100, lease_ns=MAX_LEASE_NS).manual == ()
    bench.level = 500
    assert all(r.manual == () for r in bench.ticks(5))


def test_without_a_usable_proposal_nothing_moves_by_hand_either_and_the_lease_runs_on() -> None:
    bench = under_way()
    bench.hold(100)
    bench.policy.answer = Proposal((float("nan"), 3.0))
    record = bench.tick()
    assert (record.mode, record.verdict.command) == (Mode.HOLDING, (56, 30))
    assert held(record) == [(PUMP, 100)]
    assert bench.hold(50, command="c2").manual[0].command == "c1"  # none begins meanwhile
    bench.next = (Intent(Op.RELEASE, "x", PUMP, command="c1"),)
    assert bench.tick().manual == ()  # but one can be let go


def test_a_policy_that_fails_on_the_held_actuator_has_failed() -> None:
    bench = under_way()
    bench.hold(100)
    bench.policy.answer = Proposal((float("inf"), 3.0))
    assert bench.tick().mode == Mode.HOLDING


def test_the_fallback_goes_on_with_the_others() -> None:
    class Wants:
        def start(self, values: Sequence[float], commands: Sequence[float]) -> None: ...

        def decide(self, values: Sequence[float], dt_s: float) -> tuple[float, ...]:
            return 5.0, 2.0

    bench = Handed(Proposal(None), options=Options(fallback=Wants()))
    bench.armed()
    bench.hold(100, lease_ns=MAX_LEASE_NS)
    record = bench.ticks(20)[-1]
    assert record.fallback == (5.0, 2.0)
    assert record.verdict.command == (100, 20)


def test_an_effect_that_does_not_show_trips_as_with_the_model() -> None:
    bench = Handed(limits=envelope(checked=True))
    bench.armed()
    bench.hold(-10, lease_ns=MAX_LEASE_NS)
    records = []
    for i in range(120):  # the level does not fall, as it must with the pump at rest
        bench.level = 480 + i % 2
        records.append(bench.tick())
    last = records[-1]
    assert last.cause is not None
    assert (last.cause.rule, last.mode, last.manual) == (Rule.EFFECT_MISSING, Mode.TRIPPED, ())


def test_an_interlock_forces_what_a_person_holds() -> None:
    bench = under_way()
    bench.hold(100, lease_ns=MAX_LEASE_NS)
    bench.ticks(15)
    bench.level = 150  # too great a step to be believed: the interlock sees nothing
    record = bench.tick()
    assert (record.verdict.command, held(record)) == ((-100, 30), [(PUMP, 100)])
    record = bench.tick()  # and now it sees that it is dry
    assert (record.mode, record.verdict.command[0], held(record)) == (Mode.TRIPPED, -100, [])


def test_in_monitor_nothing_is_held() -> None:
    bench = Handed(options=Options(monitor=True))
    bench.armed()
    bench.tick()
    assert bench.hold(100).manual == ()


def test_a_recorded_run_is_played_again_bit_for_bit() -> None:
    live = Handed()
    records = [live.tick(Op.ARM), *live.ticks(10)]
    records += [live.hold(100), *live.ticks(5), live.hold(120, command="c2", lease_ns=S)]
    records += [live.hold(200, source="plane:bob", command="c3"), *live.ticks(15)]
    records += [live.tick(Op.DISARM), *live.ticks(5)]
    again = Handed()
    for record in records:
        read = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=TickRecord)
        again.policy.answer = read.proposal
        repeated = again.agent.step(read.now_ns, read.readings, read.intents)
        assert msgspec.msgpack.encode(repeated) == msgspec.msgpack.encode(record)
    assert any(r.manual for r in records)
