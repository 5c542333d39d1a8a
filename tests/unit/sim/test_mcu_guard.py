"""The device's own limits, leases and interlocks, seen through the wire."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Interlock
from edge_agent.sim.mcu import McuSettings
from firmware_bridge.messages import DeviceState, SafeReason
from tests.unit.sim.spoken_device import MS, Device, with_actuator


@pytest.mark.parametrize("wanted", [0, 7])
def test_a_move_towards_the_safe_value_is_never_slowed(wanted: int) -> None:
    """An interlock that shuts a valve must reach the pin, not a ramp of the device's own."""
    device = Device()
    device.arm()
    device.climb(30)
    assert device.set(wanted, 0, 0, 0) == (wanted, 0, 0, 0)
    assert device.wait(20)[-1].values[4] == 0


def test_a_move_through_the_safe_value_is_slowed_beyond_it() -> None:
    device = Device(envelope=with_actuator(0, min_counts=-1000))
    device.arm()
    device.climb(30)
    (reached, *_) = device.set(-500, 0, 0, 0)
    assert -10 <= reached <= 0


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(-(2**15), 2**15 - 1)), max_size=30))
def test_no_sequence_of_commands_leaves_range_or_rate(moves: list[tuple[int, int]]) -> None:
    device = Device()
    device.arm()
    before, travelled, elapsed_ms = 0, 0, 60 + 30
    for wait_ms, wanted in moves:
        device.wait(wait_ms)
        (reached, *_) = device.set(wanted, 0, 0, 0)
        assert 0 <= reached <= 1000
        travelled += max(0, reached - before)
        before = reached
        elapsed_ms += wait_ms
        assert travelled * 1000 <= 60 * elapsed_ms + 1000


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_a_command_inside_the_host_envelope_is_never_changed(late_ms: list[int]) -> None:
    """However unevenly the line delays, as long as no command is too old."""
    device = Device()
    device.arm()
    sent_ms, wanted = device.now_ns // MS, 0
    for late in late_ms:
        sent_ms += 100
        wanted += 5  # the host's 50 counts a second
        device.wait(max(0, sent_ms + late - device.now_ns // MS))
        assert device.set(wanted, 0, 0, 0)[0] == wanted
    assert device.mcu.counters.sets_clamped == 0


def test_an_output_whose_own_lease_ends_is_safe_before_the_dead_man() -> None:
    device = Device(McuSettings(deadman_ms=500), with_actuator(0, lease_ns=200 * MS))
    device.arm()
    device.climb(20)
    device.wait(100)
    device.set(20, 0, 0, 5)
    device.wait(199)
    assert device.mcu.outputs == (20, 0, 0, 5)
    device.wait(1)
    assert device.mcu.outputs == (0, 0, 0, 5)
    assert device.mcu.state is DeviceState.ARMED
    device.wait(300)
    assert device.mcu.outputs == (0, 0, 0, 0)
    assert device.mcu.safe_reason is SafeReason.DEAD_MAN


def test_after_its_lease_an_output_starts_again_from_the_safe_value() -> None:
    device = Device(McuSettings(deadman_ms=500), with_actuator(0, lease_ns=200 * MS))
    device.arm()
    device.climb(60)
    device.wait(300)
    assert device.set(60, 0, 0, 0)[0] < 30


def test_an_output_rests_between_two_moves_away_from_safe() -> None:
    device = Device(envelope=with_actuator(0, dwell_ns=1_000 * MS))
    device.arm()
    for _ in range(10):  # it may have moved just before the boot
        device.wait(100)
        device.set(0, 0, 0, 0)
    assert device.set(2, 0, 0, 0)[0] == 2
    device.wait(100)
    assert device.set(0, 0, 0, 0)[0] == 0  # safe at once
    for _ in range(7):
        device.wait(100)
        assert device.set(2, 0, 0, 0)[0] == 0
    device.wait(200)
    assert device.set(2, 0, 0, 0)[0] == 2  # a fifth earlier than the host would


def test_the_rest_of_an_output_goes_on_while_the_device_is_safe() -> None:
    device = Device(envelope=with_actuator(0, dwell_ns=10_000 * MS))
    device.wait(9_000)
    device.arm()
    assert device.set(1, 0, 0, 0)[0] == 1


def test_an_interlock_on_the_devices_own_sensor_needs_no_host() -> None:
    lock = Interlock(
        name="stalled",
        sensor="fan_current",
        ok_min=0,
        ok_max=500,
        clear_min=0,
        clear_max=400,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("outdoor_damper", 0),),
        trips=False,
    )
    device = Device(envelope=dataclasses.replace(ENVELOPE, interlocks=(lock,)))
    device.arm()
    assert device.set(1, 0, 0, 1) == (0, 0, 0, 1)  # never measured: not to be believed
    device.mcu.set_sensors((100, 0))
    device.wait(20)
    assert device.set(1, 0, 0, 1) == (1, 0, 0, 1)
    device.mcu.set_sensors((501, 0))
    assert device.set(2, 0, 0, 1) == (0, 0, 0, 1)
