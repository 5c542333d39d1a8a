"""Faults that were found in other control software, each as a test that ours does not have it.

The name in brackets says where it was seen.
"""

import ast
from pathlib import Path

import pytest

from edge_agent.core.records import Mode, Op, Proposal, Reason, Rule
from edge_agent.decision.agent import Options
from edge_agent.safety import gate
from edge_agent.safety.envelope import Order, step
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import T0, S, envelope, snapshot, state

NAN = float("nan")
LIMITS = envelope()
PACKAGE = Path(__file__).parents[3] / "edge_agent"


def under_way() -> Bench:
    """In control at (50, 30) counts."""
    bench = Bench().armed()
    bench.ticks(20)
    assert bench.agent.command.counts == (50, 30)
    return bench


@pytest.mark.parametrize("values", [(NAN, 0.0), (0.0, NAN), (NAN, NAN)])
def test_nan_does_not_pass_a_clamp_as_full_actuation(values: tuple[float, float]) -> None:
    """(LeRobot) The usual clamp makes it the upper limit, so it must be refused before."""
    assert max(-10.0, min(30.0, NAN)) == 30.0
    assert gate.admit(Proposal(values), LIMITS)[0] is None


def test_nan_does_not_become_the_action_zero() -> None:
    """(Tether) Cast to an integer it is often zero, which is a position like any other."""
    bench = under_way()
    bench.policy.answer = Proposal((NAN, NAN))
    records = bench.ticks(20)
    assert {r.verdict.command for r in records} == {(50, 30)}
    assert {r.mode for r in records} == {Mode.HOLDING}


def test_an_old_state_is_not_shown_to_the_model_as_if_it_were_new() -> None:
    """(physicalai) When no new sample comes, the last one is not used again for ever."""
    bench = under_way()
    bench.level = None
    bench.ticks(10)  # one second: as old as it may be
    asked = len(bench.policy.asked)
    records = bench.ticks(30)
    assert len(bench.policy.asked) == asked
    assert records[0].mode == Mode.HOLDING
    assert records[-1].mode == Mode.RAMPING


@pytest.mark.parametrize("dt_ns", [0, -1, -S, -(10**18)])
@pytest.mark.parametrize("wish", [-(2**62), -100, 300, 2**62])
def test_no_time_means_no_movement_and_not_no_limit(dt_ns: int, wish: int) -> None:
    """(ros2_control) A limiter that returns early for dt <= 0 passes everything on."""
    start = state(LIMITS, last=(100, 100))
    _, verdict = step(LIMITS, start, Order(Mode.ACTIVE, (wish, wish)), snapshot(), T0 + dt_ns)
    assert verdict.command == (100, 100)
    assert verdict.reasons[0].rule == Rule.CLOCK_FAULT


@pytest.mark.parametrize("mode", [*Mode, -1, 6, 250])
def test_no_mode_is_without_a_check_of_magnitude(mode: int) -> None:
    """(opendbc, Honda) Each mode had its own checks, and one had none. Ours has one for all."""
    for wish in (-(2**62), -101, 301, 2**62):
        for last in (-100, 20, 300):
            for dt_ns in (0, 1, S, 10**15):
                start = state(LIMITS, last=(last, last))
                order = Order(mode, (wish, wish))
                _, verdict = step(LIMITS, start, order, snapshot(), T0 + dt_ns)
                assert all(-100 <= counts <= 300 for counts in verdict.command)


def test_a_stop_that_the_hardware_does_not_hear_is_said_again_for_ever() -> None:
    """(DAM) An error while stopping was caught and forgotten, and the machine went on."""
    bench = under_way()
    bench.applied = ()  # the link dies in the tick of the stop
    record = bench.tick(Op.STOP)
    assert record.cause == Reason(Rule.STOP_REQUESTED)
    for _ in range(100):
        record = bench.tick(Op.ARM)
        assert record.mode == Mode.TRIPPED
        assert record.cause == Reason(Rule.STOP_REQUESTED)
        assert not bench.agent.command.armed
        assert bench.agent.command.counts == (20, 20)


def test_no_limit_can_be_off_because_it_is_only_a_simulation() -> None:
    """(Klipper, verify_heater) A check that is skipped in a simulation is never tried.

    The decision knows neither simulation nor debugging: no name in it could tell it.
    """
    for room in ("safety", "decision"):
        for file in (PACKAGE / room).rglob("*.py"):
            names = {n.id for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Name)}
            assert not [n for n in names if "simul" in n.lower() or "debug" in n.lower()], file
    assert set(Options._fields) == {"fallback", "monitor", "latched"}


def test_a_slow_loop_is_found_by_its_deadline_and_not_by_its_average() -> None:
    """(openpilot) A mean over a hundred periods let a single stall of ten of them pass."""
    bench = under_way()
    bench.ticks(100)
    assert bench.tick(dt_ns=10 * PERIOD).mode == Mode.HOLDING
