"""Reasons read as sentences with their figure and its limit."""

import pytest

from edge_agent.core.records import Reason, Rule
from edge_agent.decision.words import explain_reason
from edge_agent.safety.devices.air_handler import ENVELOPE

S = 1_000_000_000
MIXED = ENVELOPE.sensor_index["mixed_temperature"]
FIRST = len(ENVELOPE.sensors)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            Reason(Rule.STALE_INPUT, MIXED, 151 * S),
            "mixed_temperature is stale: 151.0 s old (limit 150.0 s)",
        ),
        (Reason(Rule.MISSING_INPUT, 0), "supply_temperature has never been seen"),
        (
            Reason(Rule.INVALID_INPUT, 0, 1234),
            "supply_temperature is invalid, jumped or stuck (last good value 12.34 degC)",
        ),
        (
            Reason(Rule.ABOVE_MAX, FIRST, 1234),
            "outdoor_damper wanted 123.4 %, above its limit 100.0 %",
        ),
        (
            Reason(Rule.BELOW_MIN, FIRST, -5),
            "outdoor_damper wanted -0.5 %, below its limit 0.0 %",
        ),
        (
            Reason(Rule.RATE_UP, FIRST + 1, 900),
            "cooling_valve rises to 90.0 % no faster than 5.0 %/s",
        ),
        (
            Reason(Rule.RATE_DOWN, FIRST + 1, 0),
            "cooling_valve falls to 0.0 % no faster than 5.0 %/s",
        ),
        (
            Reason(Rule.TRAVEL, FIRST, 1000),
            "outdoor_damper may not reach 100.0 % yet: it moves at most 1200.0 % in 600 s",
        ),
        (
            Reason(Rule.EXCLUSIVE, FIRST + 1, 1),
            "cooling_valve stays shut while heating_valve is open",
        ),
        (
            Reason(Rule.INTERLOCK, MIXED, 250),
            (
                "interlock freeze: mixed_temperature is 2.50 degC,"
                " forces outdoor_damper to 0.0 %, cooling_valve to 0.0 %"
            ),
        ),
        (
            Reason(Rule.LATE, FIRST, 250_000_000),
            "the proposal took 250.0 ms, outdoor_damper allows 200.0 ms",
        ),
        (
            Reason(Rule.LINK_LOST, FIRST, S // 2),
            "the hardware does not obey on outdoor_damper (last word 0.5 s ago)",
        ),
        (
            Reason(Rule.NOT_FINITE, FIRST),
            "the model's value for outdoor_damper is not a finite number",
        ),
        (
            Reason(Rule.WRONG_SHAPE),
            "the model did not give 4 values, one per actuator",
        ),
        (Reason(Rule.WRONG_SHAPE, FIRST), "the model's value for outdoor_damper is not a number"),
        (
            Reason(Rule.DWELL, FIRST, 2_500_000_000),
            "outdoor_damper was changed too lately: it rests another 2.5 s",
        ),
        (
            Reason(Rule.NOT_FOLLOWED, FIRST, 123),
            "outdoor_damper does not follow: the hardware applies 12.3 %",
        ),
        (
            Reason(Rule.SOURCES_DISAGREE, 0, 250),
            "supply_temperature and another should agree: 2.50 degC apart",
        ),
        (Reason(Rule.NOT_EVALUATED), "a check was not evaluated, which counts as failed"),
        (Reason(Rule.TOO_MANY_MISSES, -1, 3), "3 of the last ticks missed their deadline"),
        (
            Reason(Rule.DEADLINE_MISSED, -1, 350_000_000),
            "a deadline was missed: 350.0 ms since the last tick",
        ),
        (Reason(99, 3, 7), "rule 99 on channel 3 (number 7)"),
    ],
)
def test_a_reason_reads_as_a_sentence(reason: Reason, words: str) -> None:
    assert explain_reason(reason, ENVELOPE) == words


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("channel", [-1, 0, FIRST, 999])
def test_every_rule_has_words_for_every_channel(rule: Rule, channel: int) -> None:
    words = explain_reason(Reason(rule, channel, -(10**12)), ENVELOPE)
    assert words
    assert not words.startswith("rule ")
