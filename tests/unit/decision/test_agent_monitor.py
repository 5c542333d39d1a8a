"""Monitor mode: everything is decided and recorded, nothing is driven; who can change it, when."""

from collections.abc import Sequence

import pytest

from edge_agent.core.records import Command, Mode, Op, Proposal, Reading, Reason, Rule, TickRecord
from edge_agent.decision.agent import Options
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import envelope

MONITOR = Options(monitor=True)
SAFE = Command(envelope().safe_counts, armed=False)


class Watched(Bench):
    """A bench whose hardware is not armed and says so: its word is not GOOD."""

    def tick_unarmed(self, *ops: int) -> TickRecord:
        self.now_ns += PERIOD
        readings = [Reading(0, 500, self.now_ns, 0)]
        readings += [Reading(c, 20, self.now_ns, 3) for c in (1, 2)]
        return self.agent.step(self.now_ns, readings, self.intents(ops))

    def live(self, ticks: int) -> Sequence[TickRecord]:
        return [self.tick_unarmed() for _ in range(ticks)]


def test_the_verdict_is_worked_out_and_the_hardware_stays_unarmed_and_safe() -> None:
    bench = Watched(options=MONITOR)
    assert bench.tick_unarmed(Op.ARM).mode == Mode.ARMING
    sent = []
    for _ in range(60):
        record = bench.tick_unarmed()
        sent.append(bench.agent.command)
    assert record.mode == Mode.ACTIVE
    assert record.verdict.command == (50, 30)
    assert record.monitor
    assert set(sent) == {SAFE}


def test_a_fault_is_judged_as_it_would_be_and_still_nothing_is_driven() -> None:
    bench = Watched(options=MONITOR)
    bench.tick_unarmed(Op.ARM)
    bench.live(60)
    bench.policy.answer = Proposal((float("nan"), 3.0))
    records = bench.live(60)
    assert records[0].mode == Mode.HOLDING
    assert records[-1].mode == Mode.RAMPING
    assert records[-1].verdict.command == (20, 20)
    assert bench.agent.command == SAFE


@pytest.mark.parametrize("op", [*Op, 0, 5, 99])
def test_no_wish_from_outside_arms_it(op: int) -> None:
    bench = Watched(options=MONITOR)
    bench.tick_unarmed(Op.ARM)
    bench.live(5)
    bench.tick_unarmed(op)
    assert bench.agent.command == SAFE


def test_it_is_chosen_once_and_has_no_switch() -> None:
    agent = Bench(options=MONITOR).agent
    assert not [name for name in vars(type(agent)) if "monitor" in name and name[0] != "_"]
    with pytest.raises(AttributeError):
        MONITOR.monitor = False  # type: ignore[misc]  # the point of the test


def test_the_checks_compare_with_what_is_really_sent() -> None:
    """The verdict opens the pump, which would show; what is sent keeps it at its safe value."""
    bench = Bench(Proposal((30.0, 3.0)), envelope(checked=True), options=MONITOR)
    bench.tick(Op.ARM)
    for k in range(1500):
        bench.level = 300 + k % 2
        record = bench.tick()
    assert record.verdict.command[0] > 200  # would be expected to show within 5 s
    assert record.mode == Mode.ACTIVE
    bench.applied = (300, 300)  # somebody else is in charge of the hardware
    assert bench.ticks(50)[-1].mode == Mode.ACTIVE


def test_enforcing_is_the_default_and_says_so_in_every_record() -> None:
    bench = Bench().armed()
    assert bench.agent.command.armed
    assert not bench.tick().monitor


def test_a_lost_link_is_a_fault_only_where_something_is_driven() -> None:
    bench = Watched()
    bench.tick_unarmed(Op.ARM)
    record = bench.tick_unarmed()
    assert (record.mode, record.cause) == (Mode.ARMING, Reason(Rule.LINK_LOST, 1, 0))


def test_a_person_changes_over_to_monitor_and_back_while_the_device_is_safe() -> None:
    bench = Bench()
    assert bench.tick(Op.MONITOR).monitor
    bench.armed()
    assert bench.agent.command == SAFE
    bench.tick(Op.DISARM)
    while bench.tick().mode != Mode.SAFE:
        pass
    assert not bench.tick(Op.ENFORCE).monitor
    bench.armed()
    bench.ticks(20)
    assert bench.agent.command.armed
    assert bench.agent.command != SAFE


@pytest.mark.parametrize(("first", "then"), [(Op.ENFORCE, Op.MONITOR), (Op.MONITOR, Op.ENFORCE)])
def test_nothing_changes_over_while_it_is_armed(first: Op, then: Op) -> None:
    bench = Bench()
    before = bench.tick(first).monitor
    bench.armed()
    assert bench.tick(then).monitor == before
    assert bench.agent.mode == Mode.ACTIVE


def test_a_monitor_that_the_agent_was_made_with_is_never_lifted() -> None:
    bench = Watched(options=MONITOR)
    assert bench.tick_unarmed(Op.ENFORCE).monitor
    bench.tick_unarmed(Op.ARM)
    bench.live(60)
    assert bench.agent.command == SAFE
