"""Every contradiction between the numbers of an envelope is refused, by name."""

import dataclasses
import math
from typing import Any

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.safety.checks import INT16, INT32, PRODUCT_MAX, TIME_MAX_NS, require_sound
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import (
    Agreement,
    Envelope,
    Exclusive,
    NoEffectCheck,
    NoSecondSource,
    OnLinkLoss,
)
from tests.unit.safety.lab import S, envelope, interlock


def with_sensor(**changes: Any) -> Envelope:
    good = envelope()
    return dataclasses.replace(good, sensors=(dataclasses.replace(good.sensors[0], **changes),))


def with_pump(**changes: Any) -> Envelope:
    good = envelope(checked=True)
    pump, valve = good.actuators
    return dataclasses.replace(good, actuators=(dataclasses.replace(pump, **changes), valve))


def with_safe(**changes: Any) -> Envelope:
    return with_pump(safe=dataclasses.replace(envelope().actuators[0].safe, **changes))


def with_effect(**changes: Any) -> Envelope:
    effect: Any = envelope(checked=True).actuators[0].effect
    return with_pump(effect=dataclasses.replace(effect, **changes))


def with_lock(**changes: Any) -> Envelope:
    lock = dataclasses.replace(interlock(), **changes)
    return dataclasses.replace(envelope(), interlocks=(lock,))


def with_rules(**changes: Any) -> Envelope:
    good = envelope()
    return dataclasses.replace(good, supervision=dataclasses.replace(good.supervision, **changes))


def with_exclusive(first: str, second: str) -> Envelope:
    pair = Exclusive(first=first, second=second)
    return dataclasses.replace(envelope(locked=False), exclusives=(pair,))


def closed(limits: Envelope, *names: str) -> Envelope:
    """The same with the safe value of `names` closed."""
    actuators = [
        dataclasses.replace(a, safe=dataclasses.replace(a.safe, counts=a.min_counts))
        if a.name in names
        else a
        for a in limits.actuators
    ]
    return dataclasses.replace(limits, actuators=tuple(actuators))


def with_follow(**changes: Any) -> Envelope:
    return with_pump(follow=dataclasses.replace(envelope().actuators[0].follow, **changes))


def with_agreement(
    other: str, unit: str = "percent", most: Any = 20, within_ns: int = S
) -> Envelope:
    """`level` beside a second sensor `twin`, compared with `other`."""
    level = envelope().sensors[0]
    pair = (
        dataclasses.replace(
            level,
            agreement=Agreement(sensor=other, max_difference_counts=most, within_ns=within_ns),
        ),
        dataclasses.replace(level, name="twin", unit=unit),
    )
    return dataclasses.replace(envelope(), sensors=pair)


BAD = {
    "names": (with_pump(name="valve"), "share a name"),
    "name of a sensor": (with_pump(name="level"), "share a name"),
    "no actuator": (
        dataclasses.replace(envelope(locked=False), actuators=()),
        "no actuator",
    ),
    "sensor range": (with_sensor(min_counts=1000), "level: min_counts must be below"),
    "sensor unit": (with_sensor(counts_per_unit=0), "level: counts_per_unit"),
    "sensor step": (with_sensor(max_step_counts=0), "level: counts_per_unit"),
    "sensor age": (with_sensor(max_age_ns=0), "level: counts_per_unit"),
    "sensor stuck": (with_sensor(stuck_after_ns=S), "stuck_after_ns must exceed"),
    "range empty": (with_pump(min_counts=300), "pump: need"),
    "range below the wire": (with_pump(min_counts=-32_768), "pump: need"),
    "range above the wire": (with_pump(max_counts=32_768), "pump: need"),
    "safe below": (with_safe(counts=-101), "safe value is out of range"),
    "safe above": (with_safe(counts=301), "safe value is out of range"),
    "unit": (with_pump(counts_per_unit=0), "pump: rates"),
    "rate up": (with_pump(rate_up_counts_per_s=0), "pump: rates"),
    "rate down": (with_pump(rate_down_counts_per_s=-1), "pump: rates"),
    "travel": (with_pump(travel_max_counts=0), "pump: rates"),
    "travel window": (with_pump(travel_window_ns=0), "pump: rates"),
    "proposal age": (with_pump(proposal_max_age_ns=0), "pump: rates"),
    "feedback age": (with_pump(feedback_max_age_ns=0), "pump: rates"),
    "lease": (with_pump(lease_ns=0), "pump: rates"),
    "safe hold": (with_safe(hold_ns=-1), "pump: rates"),
    "safe ramp": (with_safe(ramp_counts_per_s=0), "pump: rates"),
    "effect sensor": (with_effect(sensor="lever"), "unknown sensor 'lever'"),
    "effect time": (with_effect(within_ns=0), "within_ns > 0"),
    "effect overlap": (with_effect(when_at_most=200), "when_at_most < when_at_least"),
    "link loss hold": (with_pump(on_link_loss=OnLinkLoss.HOLD), "hold is not acted on"),
    "link loss safe": (with_pump(on_link_loss=OnLinkLoss.SAFE), "safe is not acted on"),
    "no reason": (with_pump(effect=NoEffectCheck(reason=" ")), "no reason given"),
    "lock sensor": (with_lock(sensor="lever"), "interlock dry: unknown sensor"),
    "lock clear low": (with_lock(clear_min=199), "clear band must lie inside"),
    "lock clear empty": (with_lock(clear_min=900, clear_max=800), "clear band must lie"),
    "lock clear high": (with_lock(clear_max=1001), "clear band must lie inside"),
    "lock never": (with_lock(ok_min=0), "no value of level can engage it"),
    "lock actuator": (with_lock(forces=(("pumb", 0),)), "unknown actuator 'pumb'"),
    "lock value": (with_lock(forces=(("pump", 301),)), "301 is out of range for pump"),
    "locks disagree": (
        dataclasses.replace(
            envelope(),
            interlocks=(interlock(), dataclasses.replace(interlock(), forces=(("pump", 0),))),
        ),
        "interlocks force pump to both -100 and 0",
    ),
    "exclusive with itself": (with_exclusive("pump", "pump"), "need two known actuators"),
    "exclusive unknown": (with_exclusive("pump", "level"), "need two known actuators"),
    "exclusive safe": (with_exclusive("pump", "valve"), "the safe values open both"),
    "lock opens first": (
        closed(
            dataclasses.replace(
                with_lock(forces=(("pump", 0),)), exclusives=envelope(exclusive=True).exclusives
            ),
            "valve",
        ),
        "opens pump, not closing valve",
    ),
    "lock opens second": (
        closed(
            dataclasses.replace(
                with_lock(forces=(("pump", 0), ("valve", 0))),
                exclusives=envelope(exclusive=True).exclusives,
            ),
            "valve",
        ),
        "opens valve, not closing pump",
    ),
    "deadline k": (with_rules(deadline_misses_to_ramp=0), "k of n"),
    "deadline n": (with_rules(deadline_misses_to_ramp=6), "k of n"),
    "hold": (with_rules(hold_limit_ns=-1), "hold_limit_ns"),
    "return dwell": (with_rules(return_dwell_ns=0), "return_dwell_ns"),
    "trust dwell": (with_rules(trust_dwell_ns=0), "trust_dwell_ns"),
    "dwell": (with_pump(dwell_ns=-1), "pump: dwell"),
    "follow difference": (with_follow(max_difference_counts=-1), "pump: dwell and follow"),
    "follow time": (with_follow(within_ns=0), "pump: dwell and follow"),
    "rate beyond 32 bits": (with_pump(rate_up_counts_per_s=2**31), "pump: rates must fit 32"),
    "ramp beyond 32 bits": (with_safe(ramp_counts_per_s=2**31), "pump: rates must fit 32"),
    "window of a year": (with_pump(travel_window_ns=365 * 86_400 * S), "pump: rates must fit 32"),
    "travel beyond 64 bits": (with_pump(travel_max_counts=2**40), "pump: travel_max_counts *"),
    "travel beyond 32 bits": (
        with_pump(travel_max_counts=2**31, travel_window_ns=S // 4),
        "pump: travel_max_counts must fit",
    ),
    "a forced move beyond 64 bits": (
        with_pump(travel_window_ns=10**15, min_counts=-32_000, max_counts=32_000),
        "pump: twice the range *",
    ),
    "sensor beyond 32 bits": (with_sensor(max_counts=2**31), "level: min_counts must be below"),
    "lock beyond 32 bits": (with_lock(ok_max=2**31), "dry: the ok band must fit"),
    "lock ticks": (with_lock(engage_after_ticks=0), "dry: engage_ and clear_"),
    "clear ticks": (with_lock(clear_after_ticks=0), "dry: engage_ and clear_"),
    "lock ticks beyond 32 bits": (with_lock(engage_after_ticks=2**31), "dry: engage_ and clear_"),
    "clear ticks beyond 32 bits": (with_lock(clear_after_ticks=2**31), "dry: engage_ and clear_"),
    "no second source, no reason": (
        with_sensor(agreement=NoSecondSource(reason="")),
        "level: no agreement and no reason",
    ),
    "agreement alone": (with_agreement("level"), "unknown sensor 'level'"),
    "agreement unknown": (with_agreement("lever"), "unknown sensor 'lever'"),
    "agreement units": (with_agreement("twin", unit="A"), "same unit and resolution"),
    "agreement difference": (with_agreement("twin", most=-1), "max_difference_counts >= 0"),
    "agreement time": (with_agreement("twin", within_ns=0), "within_ns > 0"),
    "NaN agreement": (with_agreement("twin", most=math.nan), "level.agreement: max_diff"),
    "NaN rate": (with_pump(rate_up_counts_per_s=math.nan), "pump: rate_up_counts_per_s must be"),
    "fraction": (with_sensor(max_counts=999.5), "level: max_counts must be a whole number"),
    "missing": (with_pump(lease_ns=None), "pump: lease_ns must be a whole number, not None"),
    "bool": (with_pump(min_counts=True), "pump: min_counts must be a whole number, not True"),
    "NaN safe": (with_safe(counts=math.nan), "pump.safe: counts must be a whole number"),
    "NaN follow": (with_follow(within_ns=math.nan), "pump.follow: within_ns must be"),
    "NaN effect": (with_effect(within_ns=math.nan), "pump.effect: within_ns must be"),
    "NaN lock": (with_lock(ok_min=math.nan), "interlock dry: ok_min must be"),
    "NaN force": (with_lock(forces=(("pump", math.nan),)), "interlock dry: pump must be"),
    "NaN rules": (with_rules(hold_limit_ns=math.nan), "supervision: hold_limit_ns must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_contradiction_is_refused_by_name(case: str) -> None:
    bad, words = BAD[case]
    with pytest.raises(ConfigError) as caught:
        require_sound(bad)
    assert words in caught.value.what
    assert caught.value.where == "envelope of lab"


def test_every_contradiction_is_named_not_only_the_first() -> None:
    bad = dataclasses.replace(with_pump(lease_ns=0), exclusives=with_exclusive("a", "b").exclusives)
    with pytest.raises(ConfigError, match=r"(?s)pump: rates.*exclusive a/b"):
        require_sound(bad)


@pytest.mark.parametrize(
    "good",
    [
        ENVELOPE,
        envelope(),
        envelope(checked=True),
        closed(envelope(exclusive=True), "valve"),
        closed(envelope(exclusive=True), "pump"),
        with_sensor(stuck_after_ns=None),
        with_agreement("twin"),
        with_rules(hold_limit_ns=0),
        closed(
            dataclasses.replace(
                with_lock(forces=(("pump", 50), ("valve", -100))),
                exclusives=envelope(exclusive=True).exclusives,
            ),
            "valve",
        ),
    ],
    ids=range(9),
)
def test_a_sound_envelope_is_accepted(good: Envelope) -> None:
    require_sound(good)


def test_the_bounds_are_those_of_the_wire_and_of_the_twin_in_c() -> None:
    assert (INT16, INT32) == (2**15 - 1, 2**31 - 1)
    assert (TIME_MAX_NS, PRODUCT_MAX) == (10**15, 2**60)


# Each stands at the last number that is still sound.
EDGES = {
    "k of n, one": with_rules(deadline_misses_to_ramp=1),
    "k of n, all": with_rules(deadline_misses_to_ramp=5),
    "return dwell": with_rules(return_dwell_ns=1, trust_dwell_ns=1),
    "sensor range": with_sensor(min_counts=-INT32, max_counts=INT32),
    "sensor": with_sensor(counts_per_unit=1, max_step_counts=1, max_age_ns=1),
    "agreement": with_agreement("twin", most=0, within_ns=1),
    "range": with_pump(min_counts=-INT16, max_counts=INT16),
    "effect": with_effect(within_ns=1),
    "times": with_pump(travel_window_ns=TIME_MAX_NS, dwell_ns=TIME_MAX_NS),
    "speeds": with_pump(rate_up_counts_per_s=INT32, rate_down_counts_per_s=INT32),
    "travel": with_pump(travel_max_counts=INT32, travel_window_ns=S // 4),
    "travel in a window": with_pump(travel_max_counts=2**30, travel_window_ns=2**30),
    "a forced move": with_pump(min_counts=-(2**14), max_counts=2**14, travel_window_ns=2**44),
    "lock ticks": with_lock(engage_after_ticks=INT32, clear_after_ticks=INT32),
    "lock band": with_lock(ok_min=-INT32, sensor="level", ok_max=900, clear_max=900),
    "lock band above": with_lock(ok_max=INT32),
    "force above": with_lock(forces=(("pump", 300),)),
    "force below": with_lock(forces=(("pump", -100),)),
}


@pytest.mark.parametrize("edge", EDGES)
def test_the_last_sound_number_is_accepted(edge: str) -> None:
    require_sound(EDGES[edge])
