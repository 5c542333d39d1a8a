"""The loop: order of a tick, pacing on absolute deadlines, and the way out."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from edge_agent.app_commands import NoCommands
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock
from edge_agent.core.records import Command, Mode, Proposal, Reading, TickRecord
from edge_agent.decision.agent import Agent
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.loop import CONFIRM_WITHIN_NS, STOP_WITHIN_NS, Operator, Parts, run
from edge_agent.safety.devices import find
from edge_agent.service.status import TickStats
from edge_agent.service.warming import Warming

ENVELOPE = find("air-handler")
SENSORS = [s.name for s in ENVELOPE.sensors]
ACTUATORS = [a.name for a in ENVELOPE.actuators]
PERIOD_NS = 100 * NS_PER_MS
MEASURED = (2000, 1800, 1500, 2200, 1300, 1, 1, 300, 300)


class FixedPolicy:
    """Always wants the same."""

    def propose(self, features: object) -> Proposal:
        return Proposal((30.0, 20.0, 0.0, 50.0))


class ObedientHardware:
    """A port whose hardware applies every command at once; each act is written down."""

    def __init__(self, clock: ManualClock, log: list[str]) -> None:
        self._clock = clock
        self._log = log
        self.command = Command((0, 0, 0, 0), armed=False)
        self.answers = True
        self.work_ns = 0

    def poll(self, now_ns: int) -> list[Reading]:
        self._log.append("poll")
        self._clock.advance_ns(self.work_ns)
        readings = [Reading(i, n, now_ns, 0) for i, n in enumerate(MEASURED)]
        if self.answers:
            first = len(MEASURED)
            readings += [
                Reading(first + i, n, now_ns, 0) for i, n in enumerate(self.command.counts)
            ]
        return readings

    def apply(self, now_ns: int, command: Command) -> None:
        self._log.append("apply")
        self.command = command

    def fileno(self) -> int | None:
        return None

    def status(self) -> dict[str, int | str]:
        return {}

    def close(self) -> None:
        self._log.append("close")


class StopAfter:
    """A sink that keeps every tick and asks for a stop after some."""

    def __init__(self, stop: Callable[[], None], ticks: int, log: list[str]) -> None:
        self._stop = stop
        self._ticks = ticks
        self._log = log
        self.seen: list[TickRecord] = []

    def publish(self, tick: TickRecord) -> None:
        self._log.append("tell")
        self.seen.append(tick)
        if len(self.seen) >= self._ticks:
            self._stop()


class Bench:
    """A whole loop on a manual clock."""

    def __init__(self, *, arm: bool, ticks: int, again: bool = False) -> None:
        self.log: list[str] = []
        self.clock = ManualClock(NS_PER_S)
        self.hardware = ObedientHardware(self.clock, self.log)
        self.operator = Operator(ENVELOPE, arm)
        stop = self.operator.request_again if again else self.operator.request_stop
        self.sink = StopAfter(stop, ticks, self.log)
        self.stats = TickStats(PERIOD_NS)
        features = Features(
            [FeatureSpec(kind=FeatureKind.VALUE, channel="supply_temperature")], SENSORS, ACTUATORS
        )
        agent = Agent(ENVELOPE, FixedPolicy(), features, PERIOD_NS)
        self.parts = Parts(
            agent, (self.hardware,), (self.sink,), self.clock, PERIOD_NS, False, NoCommands()
        )

    def run(self) -> list[TickRecord]:
        run(self.parts, self.operator, self.stats)
        return self.sink.seen


def test_a_tick_reads_then_acts_then_tells() -> None:
    bench = Bench(arm=False, ticks=1)
    bench.run()
    assert bench.log[:3] == ["poll", "apply", "tell"]


def test_nothing_moves_without_an_arm() -> None:
    ticks = Bench(arm=False, ticks=50).run()
    assert {t.mode for t in ticks} == {Mode.SAFE}
    assert {t.verdict.command for t in ticks} == {(0, 0, 0, 0)}


def test_an_armed_loop_follows_the_policy_and_ends_safe_and_confirmed() -> None:
    bench = Bench(arm=True, ticks=200)
    ticks = bench.run()
    assert ticks[150].mode == Mode.ACTIVE
    assert ticks[150].verdict.command == (300, 200, 0, 500)
    assert ticks[-1].mode == Mode.SAFE
    assert ticks[-1].verdict.command == (0, 0, 0, 0)
    assert bench.operator.confirmed


def test_a_stop_ramps_and_does_not_jump() -> None:
    bench = Bench(arm=True, ticks=200)
    fans = [t.verdict.command[3] for t in bench.run()[199:]]
    steps = [before - after for before, after in itertools.pairwise(fans)]
    assert max(steps) <= ENVELOPE.actuators[3].safe.ramp_counts_per_s * PERIOD_NS // NS_PER_S + 1


def test_silent_hardware_is_not_called_confirmed() -> None:
    bench = Bench(arm=False, ticks=5)
    bench.hardware.answers = False
    ticks = bench.run()
    assert not bench.operator.confirmed
    assert ticks[-1].now_ns - ticks[4].now_ns <= CONFIRM_WITHIN_NS + 2 * PERIOD_NS


def test_a_stop_ends_even_if_the_device_never_gets_safe() -> None:
    operator = Operator(ENVELOPE, arm=False)
    bench = Bench(arm=True, ticks=50)
    active = bench.run()[40]
    operator.request_stop()
    assert not operator.finished(active)
    late = msgspec.structs.replace(active, now_ns=active.now_ns + STOP_WITHIN_NS + 1)
    assert operator.finished(late)


def test_deadlines_are_absolute_and_missed_ones_are_skipped() -> None:
    bench = Bench(arm=False, ticks=6)
    bench.hardware.work_ns = 30 * NS_PER_MS
    times = [t.now_ns for t in bench.run()]
    gaps = {b - a for a, b in itertools.pairwise(times)}
    assert gaps == {PERIOD_NS}

    bench = Bench(arm=False, ticks=6)
    bench.hardware.work_ns = 250 * NS_PER_MS
    times = [t.now_ns for t in bench.run()]
    gaps = {b - a for a, b in itertools.pairwise(times)}
    assert gaps == {250 * NS_PER_MS}  # no burst of ticks to make up for the lost ones
    assert bench.stats.missed_deadlines > 0


def test_a_warming_run_comes_before_the_tick_and_changes_nothing_in_it() -> None:
    plain = Bench(arm=True, ticks=50)
    warmed = Bench(arm=True, ticks=50)

    def warm() -> None:
        warmed.log.append("warm")
        warmed.clock.advance_ns(NS_PER_MS)

    lead_ns = 5 * NS_PER_MS
    warmed.parts = replace(warmed.parts, warming=Warming(warm, lead_ns, warmed.clock))
    assert warmed.run() == plain.run()
    # The first deadline is the start itself, which nothing can come before.
    assert warmed.log[:7] == ["poll", "apply", "tell", "warm", "poll", "apply", "tell"]
    assert warmed.log.count("warm") == warmed.log.count("poll") - 1
    assert warmed.stats.summary()["lateness_max_us"] == 0


def test_a_late_tick_is_counted_as_a_missed_deadline() -> None:
    stats = TickStats(PERIOD_NS)
    stats.add(PERIOD_NS, 10)
    stats.add(PERIOD_NS + 1, 10)
    assert stats.summary()["missed_deadlines"] == 1


@pytest.mark.parametrize("telemetry_first", [True, False])
def test_telemetry_wakes_the_loop_before_its_deadline(telemetry_first: bool) -> None:
    read_end, write_end = os.pipe()
    clock = SystemClock()
    log: list[str] = []
    hardware = ObedientHardware(ManualClock(), log)
    hardware.fileno = lambda: read_end  # type: ignore[method-assign]
    operator = Operator(ENVELOPE, arm=False, stop_requested=True)
    bench = Bench(arm=False, ticks=1)
    parts = Parts(bench.parts.agent, (hardware,), (), clock, 2 * NS_PER_S, True, NoCommands())
    if telemetry_first:
        os.write(write_end, b"x")
    start_ns = clock.now_ns()
    run(parts, operator, TickStats(2 * NS_PER_S))
    # The first deadline is now; the stop is confirmed by the second tick at the latest.
    assert clock.now_ns() - start_ns < 4 * NS_PER_S
    os.close(read_end)
    os.close(write_end)


@pytest.mark.parametrize("arm", [True, False])
def test_what_was_driving_before_the_stop_is_known_after_it(arm: bool) -> None:
    bench = Bench(arm=arm, ticks=50)
    last = bench.run()[-1]
    assert last.mode == Mode.SAFE
    assert bench.operator.driving is arm
    assert not bench.operator.again


def test_another_run_begins_after_a_stop_that_asked_for_one() -> None:
    bench = Bench(arm=True, ticks=50, again=True)
    assert bench.run()[-1].mode == Mode.SAFE
    assert bench.operator.again
    assert bench.operator.confirmed


def test_a_stop_outweighs_another_run_whichever_comes_first() -> None:
    first, last = Operator(ENVELOPE, arm=False), Operator(ENVELOPE, arm=False)
    first.request_stop()
    first.request_again()
    last.request_again()
    last.request_again()
    assert last.again
    last.request_stop()
    assert not first.again
    assert not last.again
