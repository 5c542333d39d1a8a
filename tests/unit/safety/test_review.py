"""What is sound and yet protects nothing is said, once, in words."""

import dataclasses
from typing import Any

import pytest

from edge_agent.safety.checks import require_sound
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Envelope
from edge_agent.safety.review import warnings
from tests.unit.safety.lab import S, actuator, envelope, interlock, sensor


def meant() -> Envelope:
    """The lab's envelope, with a budget that neither always nor never limits."""
    return with_pump()


def with_pump(**changes: Any) -> Envelope:
    base = {"travel_max_counts": 2000, "follow": follow(30)} | changes
    pump = dataclasses.replace(actuator("pump", checked=True), **base)
    valve = dataclasses.replace(actuator("valve"), travel_max_counts=2000, follow=follow(30))
    return dataclasses.replace(envelope(), actuators=(pump, valve))


def follow(most: int) -> Any:
    return dataclasses.replace(actuator("pump").follow, max_difference_counts=most)


def with_safe(**changes: Any) -> Envelope:
    return with_pump(safe=dataclasses.replace(actuator("pump").safe, **changes))


def with_effect(**changes: Any) -> Envelope:
    effect: Any = actuator("pump", checked=True).effect
    return with_pump(effect=dataclasses.replace(effect, **changes))


def with_sensor(**changes: Any) -> Envelope:
    return dataclasses.replace(meant(), sensors=(dataclasses.replace(sensor(), **changes),))


def with_lock(**changes: Any) -> Envelope:
    return dataclasses.replace(meant(), interlocks=(dataclasses.replace(interlock(), **changes),))


def with_rules(**changes: Any) -> Envelope:
    good = meant()
    return dataclasses.replace(good, supervision=dataclasses.replace(good.supervision, **changes))


DOUBTS = {
    "rate up": (with_pump(rate_up_counts_per_s=4000), "pump: rate up never limits"),
    "rate down": (with_pump(rate_down_counts_per_s=4000), "pump: rate down never limits"),
    "rate too low": (with_pump(travel_window_ns=S // 60), "pump: rate up always limits"),
    "travel never": (with_pump(travel_max_counts=9600), "pump: travel never limits"),
    "travel always": (with_pump(travel_max_counts=799), "pump: travel always limits"),
    "ramp": (with_safe(hold_ns=0, ramp_counts_per_s=800), "pump: the safe ramp is a jump"),
    "age over lease": (with_pump(proposal_max_age_ns=S // 2 + 1), "pump: a proposal may be older"),
    "follow": (with_pump(follow=follow(400)), "pump: the comparison with what is applied"),
    "effect high": (
        with_effect(when_at_least=301),
        "no command reaches its effect check's when_at_l",
    ),
    "effect low": (
        with_effect(when_at_most=-101),
        "no command reaches its effect check's when_at_m",
    ),
    "effect there": (with_effect(expect_at_least=0), "is always there (expect_at_least)"),
    "effect gone": (with_effect(expect_at_most=1000), "is always there (expect_at_most)"),
    "effect above": (with_effect(expect_at_least=1001), "outside what is plausible"),
    "effect below": (with_effect(expect_at_most=-1), "outside what is plausible"),
    "wire high": (with_sensor(max_counts=32_768), "level: its plausible range does not fit"),
    "wire low": (with_sensor(min_counts=-32_768), "level: its plausible range does not fit"),
    "step": (with_sensor(max_step_counts=1000), "level: no step within its range"),
    "cold": (
        with_sensor(unit="degC", min_counts=-2741, max_counts=1000),
        "level: its plausible range goes below absolute zero",
    ),
    "lock below": (with_lock(ok_min=-9, ok_max=-1, clear_min=-9, clear_max=-1), "always engaged"),
    "lock above": (
        with_lock(ok_min=1001, ok_max=1009, clear_min=1001, clear_max=1009),
        "always engaged",
    ),
    "lock stays": (with_lock(ok_max=2000, clear_min=1001, clear_max=2000), "dry never clears"),
    "lock stays low": (with_lock(ok_min=-9, ok_max=9, clear_min=-9, clear_max=-1), "never clears"),
    "chatter": (with_lock(clear_min=200), "dry has no hysteresis"),
    "forces nothing": (with_lock(forces=()), "dry forces nothing"),
    "no hold": (with_rules(hold_limit_ns=0), "one missing decision makes everything safe"),
    "early return": (with_rules(return_dwell_ns=S // 2 - 1), "before a lost link would be noticed"),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_a_limit_that_protects_nothing_is_said(case: str) -> None:
    doubtful, words = DOUBTS[case]
    require_sound(doubtful)  # it is allowed
    assert any(words in said for said in warnings(doubtful)), warnings(doubtful)


@pytest.mark.parametrize(
    "good",
    [
        meant(),
        with_pump(rate_up_counts_per_s=3999, travel_max_counts=400_000),
        with_pump(travel_max_counts=9599),
        with_pump(travel_max_counts=800),
        with_safe(hold_ns=0, ramp_counts_per_s=799),
        with_safe(ramp_counts_per_s=800),
        with_pump(proposal_max_age_ns=S // 2),
        with_pump(follow=follow(399)),
        with_effect(when_at_least=300, when_at_most=-100),
        with_effect(expect_at_least=1, expect_at_most=999),
        with_sensor(min_counts=-32_767, max_counts=32_767),
        with_sensor(max_step_counts=999),
        with_sensor(unit="degC", min_counts=-2740),
        with_rules(return_dwell_ns=S // 2),
    ],
    ids=range(14),
)
def test_a_limit_that_can_act_gives_no_warning(good: Envelope) -> None:
    assert [w for w in warnings(good) if "rate up" not in w and "travel" not in w] == []


# Each stands at the last number that gives no such warning.
EDGES = {
    "rate up never": with_pump(rate_up_counts_per_s=3999),
    "rate up always": with_pump(travel_window_ns=S // 50),  # exactly one count
    "when_at_least": with_effect(when_at_least=-100, when_at_most=-101),
    "when_at_most": with_effect(when_at_least=301, when_at_most=300),
    "always engaged": with_lock(ok_min=-9, ok_max=0, clear_min=-9, clear_max=0),
    "never clears": with_lock(ok_min=-9, ok_max=9, clear_min=-9, clear_max=0),
    "outside what is plausible": with_effect(expect_at_least=1000, expect_at_most=0),
}


@pytest.mark.parametrize("words", EDGES)
def test_a_limit_that_can_just_act_gives_no_such_warning(words: str) -> None:
    require_sound(EDGES[words])
    assert not any(words in said for said in warnings(EDGES[words]))


@pytest.mark.parametrize("most", [800, 9599])
def test_a_budget_within_reach_gives_no_warning(most: int) -> None:
    assert warnings(with_pump(travel_max_counts=most)) == []


@pytest.mark.parametrize(
    ("low", "high", "doubts"),
    [
        (0, 1, []),
        (3, 4, []),
        (0, 2, ["level: no step", "interlock dry has no hysteresis"]),
    ],
)
def test_a_switch_needs_neither_hysteresis_nor_a_smaller_step(
    low: int, high: int, doubts: list[str]
) -> None:
    only = with_lock(ok_min=high, ok_max=high, clear_min=high, clear_max=high)
    limits = dataclasses.replace(
        with_sensor(min_counts=low, max_counts=high, max_step_counts=high - low),
        interlocks=only.interlocks,
    )
    found = [words for words in warnings(limits) if "effect" not in words]
    assert len(found) == len(doubts)
    assert all(words.startswith(start) for words, start in zip(found, doubts, strict=True))


def test_the_shipped_device_has_two_known_doubts() -> None:
    assert warnings(ENVELOPE) == [
        "fan_current: no step within its range is too large",
        "damper_position: no step within its range is too large",
    ]
