"""The second opinion finds every kind of command that is outside the envelope."""

import msgspec

from edge_agent.core.records import Mode, Quality, Snapshot, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.inspector import Inspector
from tests.unit.sim.sample_ticks import snapshot, tick


def findings(*ticks: TickRecord) -> list[str]:
    inspector = Inspector(ENVELOPE)
    return [words for t in ticks for words in inspector.check(t)]


def seen(t: TickRecord, view: Snapshot) -> TickRecord:
    return msgspec.structs.replace(t, snapshot=view)


def climb(last: int, per_tick: int = 5) -> list[TickRecord]:
    """An honest start: armed, then the fan rises tick by tick."""
    steps = [tick(k + 1, (0, 0, 0, per_tick * (k + 1))) for k in range(last)]
    return [tick(0, mode=Mode.ARMING), *steps]


def test_an_honest_run_has_no_findings() -> None:
    assert findings(*climb(50)) == []


def test_a_command_out_of_range_is_found() -> None:
    assert "out of range" in findings(*climb(3), tick(4, (-1, 0, 0, 15)))[0]
    assert "out of range" in findings(tick(0, (1001, 0, 0, 0)))[0]


def test_a_move_faster_than_the_rate_is_found_both_ways() -> None:
    assert findings(*climb(3), tick(4, (0, 0, 0, 21))) == []
    assert "too fast" in findings(*climb(3), tick(4, (0, 0, 0, 22)))[0]
    assert "too fast" in findings(*climb(3), tick(4, (0, 0, 0, 8)))[0]


def test_a_long_gap_earns_one_second_of_movement_at_most() -> None:
    late = tick(200, (0, 0, 0, 15 + 52))
    assert "too fast" in findings(*climb(3), late)[0]


def test_any_move_while_holding_is_found() -> None:
    assert findings(*climb(3), tick(4, (0, 0, 0, 15), Mode.HOLDING)) == []
    assert "too fast" in findings(*climb(3), tick(4, (0, 0, 0, 14), Mode.HOLDING))[0]


def test_a_ramp_faster_than_declared_is_found() -> None:
    assert findings(*climb(10), tick(11, (0, 0, 0, 39), Mode.RAMPING)) == []
    assert "too fast" in findings(*climb(10), tick(11, (0, 0, 0, 38), Mode.RAMPING))[0]


def test_anything_but_the_safe_value_is_found_while_not_in_control() -> None:
    for mode in (Mode.SAFE, Mode.ARMING, Mode.TRIPPED):
        assert f"in {mode.name}" in findings(tick(0, (0, 0, 0, 1), mode))[0]


def test_taking_over_from_the_measured_state_is_no_jump() -> None:
    resumed = seen(tick(4, (0, 0, 0, 605)), snapshot((0, 0, 0, 600)))
    held = [tick(k, mode=Mode.RAMPING) for k in range(4)]
    assert findings(*held, resumed) == []
    assert "too fast" in findings(*held, tick(4, (0, 0, 0, 605)))[0]


def test_both_coils_open_is_found() -> None:
    assert "open together" in findings(*climb(3), tick(4, (0, 5, 5, 20)))[0]


def test_a_coil_may_shut_at_once_only_when_the_other_opens() -> None:
    opened = [tick(k, (0, 5 * k, 0, 0)) for k in range(10)]
    assert "too fast" in findings(*opened, tick(10, (0, 0, 0, 0)))[0]
    assert findings(*opened, tick(10, (0, 0, 5, 0))) == []


def test_an_engaged_interlock_that_does_not_force_is_found() -> None:
    still = seen(tick(1, (0, 5, 0, 0)), snapshot(fan_status=0))
    assert "interlock airflow" in findings(tick(0), still)[0]


def test_an_interlock_on_an_untrusted_sensor_counts_as_engaged() -> None:
    mixed = ENVELOPE.sensor_index["mixed_temperature"]
    blind = seen(tick(1, (5, 0, 0, 0)), snapshot(bad=mixed))
    assert "interlock freeze" in findings(tick(0), blind)[0]


def test_an_interlock_is_left_only_inside_its_clear_band() -> None:
    cold = seen(tick(1), snapshot(mixed_temperature=200))
    cool = seen(tick(2, (5, 0, 0, 0)), snapshot(mixed_temperature=400))
    warm = seen(tick(2, (5, 0, 0, 0)), snapshot(mixed_temperature=500))
    assert "interlock freeze" in findings(tick(0), cold, cool)[0]
    assert findings(tick(0), cold, warm) == []


def test_an_interlock_may_move_faster_than_the_rate() -> None:
    opened = [tick(k, (5 * k, 0, 0, 0)) for k in range(20)]
    frozen = seen(tick(20), snapshot(mixed_temperature=200))
    assert findings(*opened, frozen) == []


def test_more_travel_than_its_window_allows_is_found() -> None:
    swings = [tick(k, (5 if k % 2 else 0, 0, 0, 0)) for k in range(2600)]
    found = findings(*swings)
    assert "too much" in found[0]
    assert found[0].startswith("tick 2401:")


def test_an_incomplete_command_is_found() -> None:
    assert findings(tick(0, (0, 0, 0))) == ["3 values for 4 actuators"]


def test_who_only_watches_may_miss_the_word_of_the_hardware_and_no_needed_sensor() -> None:
    sensors, actuators = len(ENVELOPE.sensors), len(ENVELOPE.actuators)
    for channel in (0, sensors):
        qualities = [Quality.GOOD] * (sensors + actuators)
        qualities[channel] = Quality.STALE
        blind = msgspec.structs.replace(snapshot(), qualities=tuple(qualities))
        driving = seen(tick(1), blind)
        watching = msgspec.structs.replace(driving, monitor=True)
        assert any("is bad" in words for words in findings(driving))
        assert any("is bad" in words for words in findings(watching)) is (channel < sensors)
