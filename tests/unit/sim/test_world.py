"""The world moves by its clock alone, through real frames, the same way for the same seed."""

import pytest

from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.episodes import shoulder_morning
from edge_agent.sim.faults import Fault, FaultKind
from edge_agent.sim.world import SimulatedSensors, World, WorldPlan
from firmware_bridge.errors import PortLostError, PortUnavailableError
from firmware_bridge.messages import DeviceState
from tests.simulation.rig import memory_bridge

WIRE = ("fan_current", "damper_position")
TICK_NS = 100 * NS_PER_MS
SUPPLY = ENVELOPE.sensor_index["supply_temperature"]
POSITION = ENVELOPE.sensor_index["damper_position"]
ARMED = Command((300, 0, 0, 500), armed=True)


def world(*faults: Fault, seed: int = 1) -> World:
    return World(
        WorldPlan(
            envelope=ENVELOPE,
            feedback=WIRE,
            episode=shoulder_morning(seed),
            faults=faults,
            seed=seed,
        )
    )


def live(
    a_world: World, until_s: float, bridge: SerialBridgePort | None = None
) -> list[list[Reading]]:
    """Tick the ports of a world to `until_s`, wanting ARMED; the readings of each tick."""
    port = bridge or memory_bridge(a_world.cable, a_world.nonce)
    sensors = SimulatedSensors(a_world)
    ticks = []
    now_ns = a_world.clock.now_ns()
    while now_ns < until_s * NS_PER_S:
        now_ns += TICK_NS
        ticks.append([*sensors.poll(now_ns), *port.poll(now_ns)])
        port.apply(now_ns, ARMED)
    return ticks


def of(channel: int, ticks: list[list[Reading]]) -> list[Reading]:
    return [r for readings in ticks for r in readings if r.channel == channel]


def test_sensors_report_once_a_second_with_the_time_of_measurement() -> None:
    readings = of(SUPPLY, live(world(), 5.0))
    assert [r.stamp_ns for r in readings] == [k * NS_PER_S for k in range(1, 6)]
    assert {r.quality for r in readings} == {Quality.GOOD}


def test_the_microcontrollers_sensors_arrive_through_frames_every_tick() -> None:
    a_world = world()
    ticks = live(a_world, 5.0)
    assert len(of(POSITION, ticks)) > 40
    assert a_world.mcu.bad_frames.total() == 0


def test_the_plant_follows_the_pins_and_not_the_command() -> None:
    a_world = world()
    live(a_world, 30.0)
    assert a_world.mcu.state is DeviceState.ARMED
    assert a_world.mcu.outputs == ARMED.counts
    damper = float(a_world.plant.state.positions[0, 0])
    assert damper == pytest.approx(0.3, abs=0.1)


def test_equal_seeds_give_equal_readings_and_others_do_not() -> None:
    first, again, other = (live(world(seed=seed), 20.0) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_nonces_follow_from_the_seed_and_never_repeat_in_a_run() -> None:
    def nonces(seed: int) -> list[int]:
        a_world = world(seed=seed)
        return [a_world.mcu.hello.boot_nonce, *(a_world.nonce() for _ in range(100))]

    assert nonces(3) == nonces(3)
    assert nonces(3) != nonces(4)
    assert len(set(nonces(3))) == 101


def test_a_frozen_sensor_repeats_its_last_value_with_fresh_stamps() -> None:
    fault = Fault(
        kind=FaultKind.SENSOR_FROZEN, start_s=5.0, duration_s=5.0, channel="supply_temperature"
    )
    readings = of(SUPPLY, live(world(fault), 14.0))
    frozen = {r.counts for r in readings if 4 * NS_PER_S <= r.stamp_ns < 10 * NS_PER_S}
    assert len(frozen) == 1
    assert len({r.counts for r in readings}) > 2
    assert len(readings) == 14


def test_a_frozen_sensor_of_the_microcontroller_freezes_on_the_wire() -> None:
    fault = Fault(
        kind=FaultKind.SENSOR_FROZEN, start_s=10.0, duration_s=5.0, channel="damper_position"
    )
    readings = of(POSITION, live(world(fault), 14.9))
    assert len({r.counts for r in readings if r.stamp_ns >= 10 * NS_PER_S}) == 1


def test_a_silent_sensor_says_nothing_and_others_go_on() -> None:
    fault = Fault(
        kind=FaultKind.SENSOR_SILENT, start_s=3.0, duration_s=4.0, channel="supply_temperature"
    )
    ticks = live(world(fault), 10.0)
    assert [r.stamp_ns // NS_PER_S for r in of(SUPPLY, ticks)] == [1, 2, 7, 8, 9, 10]
    assert len(of(SUPPLY + 1, ticks)) == 10


def test_a_pulled_cable_silences_the_link_and_the_dead_man_makes_safe() -> None:
    fault = Fault(kind=FaultKind.SERIAL_UNPLUGGED, start_s=10.0, duration_s=5.0)
    a_world = world(fault)
    port = memory_bridge(a_world.cable, a_world.nonce)
    live(a_world, 9.9, port)
    assert a_world.mcu.outputs != (0, 0, 0, 0)
    away = live(a_world, 14.9, port)
    assert of(POSITION, away) == []
    assert a_world.mcu.outputs == (0, 0, 0, 0)
    back = live(a_world, 20.0, port)
    assert of(POSITION, back)
    assert a_world.mcu.state is DeviceState.ARMED
    assert port.status()["unplugged"] == 1


def test_a_reset_starts_another_boot_with_safe_outputs() -> None:
    a_world = world(Fault(kind=FaultKind.MCU_RESET, start_s=10.0))
    port = memory_bridge(a_world.cable, a_world.nonce)
    live(a_world, 9.9, port)
    before = a_world.mcu
    live(a_world, 10.0, port)
    assert a_world.mcu is not before
    assert a_world.mcu.hello.boot_nonce != before.hello.boot_nonce
    assert a_world.mcu.outputs == (0, 0, 0, 0)
    live(a_world, 15.0, port)
    assert port.status()["lost_reset"] == 1
    assert a_world.mcu.state is DeviceState.ARMED


def test_a_world_with_an_impossible_fault_is_not_built() -> None:
    with pytest.raises(ConfigError, match="freeze or spike"):
        world(Fault(kind=FaultKind.SENSOR_NAN, start_s=1.0, duration_s=1.0, channel="fan_current"))


def test_a_port_that_was_open_when_the_cable_was_pulled_stays_dead() -> None:
    cable = world().cable
    end = cable.open()
    cable.unplug()
    with pytest.raises(PortUnavailableError):
        cable.open()
    cable.plug()
    for use in (end.read, end.flush_output, lambda: end.write(b"x")):
        with pytest.raises(PortLostError):
            use()
    fresh = cable.open()
    assert fresh.write(b"to device")
    assert cable.device_read() == b"to device"
    cable.device_write(b"to host")
    assert fresh.read() == b"to host"


def test_bytes_of_an_earlier_session_never_reach_a_new_one() -> None:
    cable = world().cable
    old = cable.open()
    old.write(b"stale")
    cable.device_write(b"stale")
    assert cable.open().read() == b""
    assert cable.device_read() == b""


def test_output_that_was_flushed_never_reaches_the_device() -> None:
    cable = world().cable
    end = cable.open()
    end.write(b"old command")
    end.flush_output()
    assert cable.device_read() == b""
    end.close()
    with pytest.raises(PortLostError):
        end.read()
