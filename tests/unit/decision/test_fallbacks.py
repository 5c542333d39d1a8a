"""The plain controllers: they start where the outputs stand, push the right way, and gently."""

import pytest

from edge_agent.core.records import Proposal
from edge_agent.decision.fallbacks import Fallback, fallback_of
from edge_agent.safety import gate
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.safety.lab import envelope

SETPOINT = 18.0


def values(
    supply: float = SETPOINT,
    *,
    mixed: float = 16.0,
    outdoor: float = 10.0,
    status: float = 1.0,
    occupancy: float = 1.0,
) -> list[float]:
    return [supply, mixed, outdoor, 22.0, SETPOINT, status, occupancy, 5.0, 30.0]


def started(commands: tuple[float, ...], seen: list[float]) -> Fallback:
    fallback = fallback_of(ENVELOPE)
    assert fallback is not None
    fallback.start(seen, commands)
    return fallback


def after(fallback: Fallback, seen: list[float], seconds: int) -> tuple[float, ...]:
    for _ in range(seconds):
        wish = fallback.decide(seen, 1.0)
    return wish


def test_a_device_without_a_fallback_has_none() -> None:
    assert fallback_of(envelope()) is None


@pytest.mark.parametrize(
    ("commands", "outdoor"),
    [
        ((30.0, 0.0, 40.0, 60.0), 5.0),
        ((65.0, 0.0, 0.0, 60.0), 10.0),
        ((100.0, 55.0, 0.0, 60.0), 10.0),
        ((30.0, 55.0, 0.0, 60.0), 30.0),
    ],
)
def test_taking_over_makes_no_jump(commands: tuple[float, ...], outdoor: float) -> None:
    seen = values(outdoor=outdoor)
    assert started(commands, seen).decide(seen, 0.1) == pytest.approx(commands)


def test_too_cold_heats_and_never_cools() -> None:
    seen = values(SETPOINT - 3.0)
    damper, cooling, heating, fan = after(started((30.0, 0.0, 0.0, 60.0), seen), seen, 300)
    assert (damper, cooling, fan) == pytest.approx((30.0, 0.0, 60.0))
    assert heating > 20.0


def test_too_warm_uses_outdoor_air_first_and_then_the_chiller() -> None:
    seen = values(SETPOINT + 3.0)
    fallback = started((30.0, 0.0, 0.0, 60.0), seen)
    damper, cooling, heating, _ = after(fallback, seen, 300)
    assert damper > 50.0
    assert (cooling, heating) == (0.0, 0.0)
    damper, cooling, _, _ = after(fallback, seen, 3000)
    assert damper == pytest.approx(100.0)
    assert cooling > 20.0


def test_warm_outdoor_air_is_kept_at_its_minimum_while_the_chiller_works() -> None:
    seen = values(SETPOINT + 3.0, outdoor=30.0, mixed=26.0)
    damper, cooling, _, _ = after(started((30.0, 0.0, 0.0, 60.0), seen), seen, 600)
    assert damper == pytest.approx(30.0)
    assert cooling > 20.0
    cold = values(SETPOINT - 3.0, outdoor=30.0, mixed=26.0)
    _, cooling, heating, _ = after(started((30.0, 5.0, 0.0, 60.0), cold), cold, 900)
    assert cooling == 0.0
    assert heating > 0.0


def test_cold_mixed_air_shuts_the_damper_before_the_freeze_interlock_must() -> None:
    seen = values(mixed=4.0, outdoor=-10.0)
    assert after(started((30.0, 0.0, 0.0, 60.0), seen), seen, 10)[0] == 0.0


def test_nobody_there_means_everything_off_and_a_fresh_start_later() -> None:
    seen = values(SETPOINT - 3.0, occupancy=0.0)
    fallback = started((30.0, 0.0, 50.0, 60.0), seen)
    assert fallback.decide(seen, 1.0) == (0.0, 0.0, 0.0, 0.0)
    assert fallback.decide(values(), 1.0)[2] < 5.0


def test_without_flow_the_coils_stay_shut_and_the_fan_is_asked_to_start() -> None:
    seen = values(SETPOINT - 3.0, status=0.0)
    wish = after(started((30.0, 0.0, 50.0, 0.0), seen), seen, 60)
    assert wish == pytest.approx((30.0, 0.0, 0.0, 60.0))


@pytest.mark.parametrize("supply", [-20.0, 80.0])
def test_the_worst_that_the_sensors_may_say_stays_in_range(supply: float) -> None:
    seen = values(supply)
    fallback = started((30.0, 0.0, 0.0, 60.0), seen)
    for _ in range(3600):
        counts, problems = gate.admit(Proposal(fallback.decide(seen, 1.0)), ENVELOPE)
        assert counts is not None
        assert not problems
        assert all(0 <= n <= 1000 for n in counts)
