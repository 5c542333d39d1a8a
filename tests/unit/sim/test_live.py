"""The simulated world beside a real clock."""

from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.episodes import shoulder_morning
from edge_agent.sim.live import CATCH_UP_MAX_NS, LiveSensors
from edge_agent.sim.world import World, WorldPlan

BOOT_NS = 987_654_321_012_345  # a machine that has been up for eleven days


def world() -> World:
    return World(
        WorldPlan(
            envelope=ENVELOPE,
            feedback=("fan_current", "damper_position"),
            episode=shoulder_morning(1),
        )
    )


def test_samples_carry_the_machines_time_and_are_never_from_the_future() -> None:
    live = LiveSensors(world())
    seen: list[Reading] = []
    for k in range(400):
        now_ns = BOOT_NS + k * 13 * NS_PER_MS
        readings = live.poll(now_ns)
        assert all(now_ns - NS_PER_S < r.stamp_ns <= now_ns for r in readings)
        seen += readings
    assert {r.channel for r in seen} == set(range(7))
    assert {r.quality for r in seen} == {Quality.GOOD}
    assert len(seen) == 7 * 5  # each once a second


def test_a_machine_that_slept_skips_that_time_of_the_world() -> None:
    inner = world()
    live = LiveSensors(inner)
    live.poll(BOOT_NS)
    live.poll(BOOT_NS + NS_PER_S)
    live.poll(BOOT_NS + 3600 * NS_PER_S)
    assert inner.clock.now_ns() == NS_PER_S + CATCH_UP_MAX_NS
    assert live.status() == {"hardware": "simulated", "readings": 14, "skipped_s": 3598}
    (first, *_) = live.poll(BOOT_NS + 3601 * NS_PER_S)
    assert first.stamp_ns == BOOT_NS + 3601 * NS_PER_S


def test_a_clock_that_goes_back_moves_nothing() -> None:
    inner = world()
    live = LiveSensors(inner)
    live.poll(BOOT_NS + NS_PER_S)
    live.poll(BOOT_NS + 2 * NS_PER_S)
    assert not live.poll(BOOT_NS)
    assert inner.clock.now_ns() == NS_PER_S


def test_it_moves_nothing_and_cannot_be_waited_for() -> None:
    live = LiveSensors(world())
    live.apply(BOOT_NS, Command((0, 0, 0, 0), armed=True))
    assert live.fileno() is None
    live.close()
