"""Enemies on every side: nothing gets through the real envelope, and they find a broken one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.core.records import Rule
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Envelope, Motion, NoEffectCheck
from edge_agent.sim.attack import Score, attack, rules_expected, score_document, score_text

TICKS = 9_000  # a bout of every kind


def play(limits: Envelope = ENVELOPE, ticks: int = TICKS, seed: int = 1) -> Score:
    return attack(limits, ticks, seed, lambda score: None)


@pytest.fixture(scope="module")
def honest() -> Score:
    return play()


def test_no_command_leaves_the_envelope_and_every_rule_acts(honest: Score) -> None:
    assert honest.examples == []
    assert honest.missing == ()
    assert honest.held
    assert honest.ticks >= TICKS


def test_the_attack_comes_close_to_the_limits(honest: Score) -> None:
    assert 800 <= honest.most_travel_permille <= 1000
    assert honest.most_excess_permille == 1000


def test_the_same_seed_is_the_same_attack() -> None:
    assert play(ticks=500) == play(ticks=500)
    assert play(ticks=500) != play(ticks=500, seed=2)


def test_a_device_with_dwell_must_show_that_it_acts() -> None:
    valve, *others = ENVELOPE.actuators
    rested = dataclasses.replace(valve, dwell_ns=5_000_000_000, effect=NoEffectCheck(reason="none"))
    limits = dataclasses.replace(ENVELOPE, actuators=(rested, *others))
    score = play(limits)
    assert Rule.DWELL in rules_expected(limits)
    assert score.held
    assert score.rules[Rule.DWELL] > 0


def test_an_attack_in_which_a_rule_never_acts_proves_nothing() -> None:
    score = play(ticks=1)
    assert score.violations == 0
    assert "NOT_FINITE" in score.missing
    assert not score.held
    assert "NEVER ACTED      NOT_FINITE" in score_text(score, "air-handler")


def _too_fast(envelope: Envelope, state: Any, wanted: Any, *_: Any) -> list[int]:
    return [min(max(n, 0), 1000) for n in wanted]


WEAKENED: dict[str, tuple[str, Callable[..., Any], str]] = {
    "interlocks": ("interlocks.force", lambda *_: [], "interlock"),
    "exclusion": ("_exclude", lambda *_: None, "open together"),
    "speed": ("_follow", _too_fast, "too fast"),
    "ramp": ("_ramp", lambda envelope, *_: list(envelope.safe_counts), "too fast"),
}


@pytest.mark.parametrize("part", WEAKENED)
def test_an_envelope_without_one_of_its_parts_is_found_out(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, instead, words = WEAKENED[part]
    monkeypatch.setattr(f"edge_agent.safety.envelope.{name}", instead)
    score = play(ticks=4_000)
    assert score.violations > 0
    assert not score.held
    assert any(words in example for example in score.examples)


def test_an_envelope_without_travel_or_range_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = envelope_step._booked

    def free_travel(motions: Any, state: Any, command: Any, dt_ns: int) -> Any:
        ups, downs, _, rests = real(motions, state, command, dt_ns)
        return ups, downs, tuple(Motion(*m).travel_full for m in motions), rests

    monkeypatch.setattr("edge_agent.safety.envelope._booked", free_travel)
    assert any("too much" in words for words in play(ticks=TICKS * 2).examples)


def test_the_score_reads_as_text_and_as_a_document(honest: Score) -> None:
    words = score_text(honest, "air-handler")
    assert "air-handler: the envelope held" in words
    assert "violations       0" in words
    document = score_document(honest)
    assert document["held"] is True
    assert document["ticks"] == honest.ticks
    failed = dataclasses.replace(honest, violations=1, examples=["tick 1: out of range"])
    assert "DID NOT HOLD" in score_text(failed, "air-handler")
    assert "VIOLATION        tick 1: out of range" in score_text(failed, "air-handler")
