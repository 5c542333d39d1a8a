"""The page that a reviewer signs: every limit is on it, in words and units, and it fits."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import (
    Agreement,
    Envelope,
    Interlock,
    OnLinkLoss,
    SafeAction,
)
from edge_agent.safety.table import WIDTH, amount, duration, interlock_words, page, safe_words
from tests.unit.safety.lab import S, actuator, envelope, interlock, sensor

LINES_MAX = 75  # of A4 upright


def text(limits: Envelope) -> str:
    return " ".join(page(limits).split())


def test_the_page_of_the_shipped_device_fits_on_a4() -> None:
    lines = page(ENVELOPE).splitlines()
    assert max(map(len, lines)) <= WIDTH == 100
    assert len(lines) <= LINES_MAX


def test_the_page_names_device_version_hash_and_asks_for_a_signature() -> None:
    words = text(ENVELOPE)
    assert f"air-handler, version {ENVELOPE.version}" in words
    assert ENVELOPE.sha256() in words
    assert "a hardware stop that a person can reach is required" in words
    assert all(word in words for word in ("Reviewed by", "Date", "Signature"))


@pytest.mark.parametrize(
    "words",
    [
        "outdoor_damper 0 to 100 % 5 %/s, 20 s 5 %/s, 20 s 1200 %/10 min none hold 2 s, 20 %/s to",
        "outdoor_damper 0.2 s 0.5 s 0.5 s goes on 5 % after 2 s",
        "supply_temperature -20 to 80 degC 20 degC 150 s 30 min no",
        "fan_status 0 to 1 1 150 s may stand still no",
        "freeze: mixed_temperature below 3 degC, or not trusted: outdoor_damper to 0 %,",
        "released when at least 5 degC",
        "overheat: supply_temperature above 60 degC, or not trusted: heating_valve to 0 %;",
        "released when at most 50 degC; if seen, it trips and a person must reset it",
        "heating_valve and cooling_valve are never open together: cooling_valve yields",
        "supply_fan at 30 % or more: fan_current reaches 0.2 A; at 5 % or less: fan_current",
        "fan_current falls to 2 A; within 60 s",
        "not checked for cooling_valve, heating_valve: a coil shows",
        "no second source for every sensor: no quantity",
        "after 2 s, or 3 missed deadlines in 20 ticks, they are made safe",
        "in order for 5 s, the model after 60 s",
    ],
)
def test_the_page_says(words: str) -> None:
    assert words in text(ENVELOPE)


def _whole() -> Envelope:
    """The lab's envelope with every kind of part in it."""
    compared = Agreement(sensor="twin", max_difference_counts=30, within_ns=3 * S)
    lock = dataclasses.replace(
        interlock(), ok_max=900, clear_max=800, engage_after_ticks=2, clear_after_ticks=3
    )
    return dataclasses.replace(
        envelope(exclusive=True, checked=True),
        sensors=(dataclasses.replace(sensor(), agreement=compared), sensor("twin")),
        interlocks=(lock,),
    )


def _varied(part: Any) -> Iterator[tuple[str, Any]]:
    """A part with each of its numbers changed in turn; parts of it are varied too."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if type(value) is int:
            more = 10 * S if field.name.endswith("_ns") else 7
            yield field.name, dataclasses.replace(part, **{field.name: value + more})
        elif type(value) is bool:
            yield field.name, dataclasses.replace(part, **{field.name: not value})
        elif dataclasses.is_dataclass(value):
            for name, changed in _varied(value):
                yield f"{field.name}.{name}", dataclasses.replace(part, **{field.name: changed})
        elif field.name in {"sensors", "actuators", "interlocks"}:
            for name, changed in _varied(value[0]):
                whole = (changed, *value[1:])
                yield f"{field.name}.{name}", dataclasses.replace(part, **{field.name: whole})


CHANGES = dict(_varied(_whole()))


@pytest.mark.parametrize("label", CHANGES)
def test_a_change_of_any_limit_changes_the_page_beyond_its_hash(label: str) -> None:
    assert _without_hash(page(CHANGES[label])) != _without_hash(page(_whole()))


def test_every_number_of_an_envelope_was_changed_once() -> None:
    assert len(CHANGES) == 1 + 9 + 11 + 3 + 5 + 2 + 7 + 5  # version, sensor, actuator, ...


def test_the_page_of_a_small_device_letter_by_letter() -> None:
    """Headings, columns and the line to sign: what a change of a limit does not touch."""
    stored = (Path(__file__).parents[2] / "data/lab_page.txt").read_text(encoding="utf-8")
    assert _without_hash(page(_whole())) + "\n" == stored


def _without_hash(words: str) -> str:
    return "\n".join(line for line in words.splitlines() if not line.startswith("sha256"))


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0 ms"),
        (20_000_000, "20 ms"),
        (99_999_900, "99.9999 ms"),
        (S // 10, "0.1 s"),
        (S // 2, "0.5 s"),
        (90 * S, "90 s"),
        (540 * S, "540 s"),
        (600 * S, "10 min"),
    ],
)
def test_a_time_reads_as_a_person_says_it(ns: int, words: str) -> None:
    assert duration(ns) == words


@pytest.mark.parametrize(
    ("counts", "words"), [(0, "0 %"), (-5, "-0.5 %"), (1000, "100 %"), (123, "12.3 %")]
)
def test_an_amount_has_no_more_digits_than_it_needs(counts: int, words: str) -> None:
    assert amount(counts, actuator("pump")) == words


def test_an_amount_too_small_to_be_shown_has_no_sign() -> None:
    fine = dataclasses.replace(actuator("pump"), counts_per_unit=10_000_000)
    assert amount(-1, fine) == "0 %"


def test_a_safe_action_without_hold_says_only_its_ramp() -> None:
    a = dataclasses.replace(
        actuator("pump"), safe=SafeAction(counts=-100, hold_ns=0, ramp_counts_per_s=5)
    )
    assert safe_words(a) == "0.5 %/s to -10 %"


def test_an_interlock_with_two_sides_and_delays_reads_in_full() -> None:
    lock = Interlock(
        name="band",
        sensor="level",
        ok_min=200,
        ok_max=900,
        clear_min=300,
        clear_max=800,
        engage_after_ticks=2,
        clear_after_ticks=3,
        forces=(("pump", -100), ("valve", 20)),
        trips=False,
    )
    assert interlock_words(lock, envelope()) == (
        "band: level below 20 % or above 90 % for 2 ticks, or not trusted: pump to -10 %, valve to"
        " 2 %; released when at least 30 % and at most 80 % for 3 ticks"
    )


def test_an_interlock_that_any_value_clears_says_so() -> None:
    lock = dataclasses.replace(interlock(), ok_min=0, clear_min=0, ok_max=900, clear_max=1000)
    assert "released when it can be trusted" in interlock_words(lock, envelope())


def test_a_device_without_relations_says_none() -> None:
    assert "INTERLOCKS: act at once, faster than any limit above none" in text(
        envelope(locked=False)
    )


def test_a_device_with_exclusives_alone_does_not_say_none() -> None:
    words = text(envelope(locked=False, exclusive=True))
    assert "any limit above - pump and valve" in words
    assert "already open EFFECT" in words


def test_an_interlock_that_waits_two_ticks_says_so() -> None:
    lock = dataclasses.replace(interlock(), engage_after_ticks=1, clear_after_ticks=2)
    words = interlock_words(lock, envelope())
    assert words.count(" ticks") == 1
    assert "for 2 ticks" in words


@pytest.mark.parametrize(
    ("rule", "words"), [(OnLinkLoss.HOLD, "stands still"), (OnLinkLoss.SAFE, "made safe")]
)
def test_every_link_loss_rule_has_its_words(rule: OnLinkLoss, words: str) -> None:
    pump, valve = envelope().actuators
    limits = dataclasses.replace(
        envelope(), actuators=(dataclasses.replace(pump, on_link_loss=rule), valve)
    )
    assert words in text(limits)
