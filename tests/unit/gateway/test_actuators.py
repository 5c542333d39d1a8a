"""When a command to an actuator behind the broker is said, and when it is too old to be."""

import dataclasses
from typing import Any

import pytest

from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.ipc import Actuate
from edge_agent.gateway.actuators import Actuators, Drive

DRIVE = Drive(
    name="heater",
    topic="cmnd",
    payload="{value}",
    words=None,
    scale=1.0,
    offset=0.0,
    counts_per_unit=10,
    every_ns=200 * NS_PER_MS,
    refresh_ns=NS_PER_S,
    fresh_ns=500 * NS_PER_MS,
)
OTHER = dataclasses.replace(DRIVE, name="fan", topic="fan")


class Broker:
    """Hears what is published, unless it is gone."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.there = True

    def publish(self, topic: str, payload: bytes) -> int | None:
        if not self.there:
            return None
        self.said.append((topic, payload))
        return 1


def _played(*orders: tuple[int, int]) -> list[int]:
    """The ms at which one actuator hears something, while orders (ms, counts) come."""
    actuators, heard = Actuators((DRIVE,)), []
    due = dict(orders)
    for ms in range(0, 3000, 10):
        if ms in due:
            actuators.take(Actuate(ms * NS_PER_MS, (due[ms],)))
        broker = Broker()
        actuators.publish(broker, ms * NS_PER_MS)
        heard += [ms] * len(broker.said)
    return heard


def test_the_same_decision_again_and_again_is_said_as_often_as_the_device_needs() -> None:
    assert _played(*((ms, 5) for ms in range(0, 3000, 10))) == [0, 1000, 2000]


def test_a_change_is_said_at_once_and_at_most_at_the_given_rate() -> None:
    changing = [(ms, ms) for ms in range(0, 1000, 10)]
    assert _played(*changing) == [0, 200, 400, 600, 800, 1000]
    assert _played((0, 5), (400, 6)) == [0, 400]


def test_nothing_is_repeated_without_a_fresh_decision_behind_it() -> None:
    assert _played((0, 5)) == [0]
    assert _played((0, 5), (480, 5)) == [0]  # it would be 520 ms old when it is due
    assert _played((0, 5), (510, 5)) == [0, 1000]


@pytest.mark.parametrize("late_ms", [-1, 501, 10**6])
def test_a_decision_that_is_too_old_or_from_the_future_is_never_said(late_ms: int) -> None:
    actuators, broker = Actuators((DRIVE,)), Broker()
    actuators.take(Actuate(NS_PER_S, (5,)))
    for _ in range(3):
        actuators.publish(broker, NS_PER_S + late_ms * NS_PER_MS)
    assert broker.said == []
    assert actuators.counters() == {"actuator.heater.stale": 1}


def test_of_many_decisions_the_newest_counts_for_every_actuator() -> None:
    actuators, broker = Actuators((DRIVE, OTHER)), Broker()
    for counts in ((5, 7), (10, 20)):
        actuators.take(Actuate(NS_PER_S, counts))
    actuators.publish(broker, NS_PER_S)
    assert broker.said == [("cmnd", b"1"), ("fan", b"2")]


def test_a_decision_for_another_device_changes_nothing() -> None:
    actuators, broker = Actuators((DRIVE,)), Broker()
    actuators.take(Actuate(NS_PER_S, (5,)))
    for counts in ((), (1, 2)):
        actuators.take(Actuate(NS_PER_S, counts))
    actuators.publish(broker, NS_PER_S)
    assert broker.said == [("cmnd", b"0.5")]
    assert actuators.counters()["actuators.malformed"] == 2


def test_without_a_connection_nothing_counts_as_said() -> None:
    actuators, broker = Actuators((DRIVE,)), Broker()
    broker.there = False
    actuators.take(Actuate(0, (5,)))
    actuators.publish(broker, 0)
    broker.there = True
    actuators.publish(broker, 10 * NS_PER_MS)
    assert broker.said == [("cmnd", b"0.5")]
    assert actuators.counters() == {"actuator.heater.unsent": 1, "actuator.heater.published": 1}


def test_a_slow_rate_never_outlasts_the_device_s_own_timer() -> None:
    slow = dataclasses.replace(DRIVE, every_ns=10 * NS_PER_S)
    actuators, broker = Actuators((slow,)), Broker()
    for ms in range(0, 2000, 10):
        actuators.take(Actuate(ms * NS_PER_MS, (ms,)))
        actuators.publish(broker, ms * NS_PER_MS)
    assert len(broker.said) == 2


@pytest.mark.parametrize(
    ("change", "counts", "text"),
    [
        ({}, 425, b"42.5"),
        ({}, -1, b"-0.1"),
        ({"offset": 0.00000001}, 0, b"0"),
        ({"scale": 0.01, "offset": 10.0}, 425, b"3250"),
        ({"scale": 3.0}, 10, b"0.333333"),
        ({"payload": '{"position": {value}}'}, 10, b'{"position": 1}'),
        ({"words": ("OFF", "ON"), "counts_per_unit": 1}, 1, b"ON"),
        ({"words": ("OFF", "ON"), "counts_per_unit": 1}, 0, b"OFF"),
    ],
)
def test_a_command_is_written_as_the_device_reads_it(
    change: dict[str, Any], counts: int, text: bytes
) -> None:
    assert dataclasses.replace(DRIVE, **change).text(counts) == text
