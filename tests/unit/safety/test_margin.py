"""What the microcontroller guards: the host's limits and a margin, never less and never absent."""

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.safety.checks import INT32, PRODUCT_MAX
from edge_agent.safety.limits import ActuatorLimits
from edge_agent.safety.margin import DEADMAN_MAX_MS, deadman_ms, guarded, leases_ms
from tests.unit.safety.lab import envelope

PUMP = envelope().actuators[0]


def wider(**changes: Any) -> ActuatorLimits:
    """The first actuator with `changes`, as the microcontroller holds it."""
    host = envelope()
    changed = replace(host, actuators=(replace(PUMP, **changes), *host.actuators[1:]))
    return guarded(changed, ()).actuators[0]


def test_rates_and_travel_are_a_fifth_wider_rounded_up() -> None:
    held = wider(rate_up_counts_per_s=101, rate_down_counts_per_s=50, travel_max_counts=1001)
    assert held.rate_up_counts_per_s == 122
    assert held.rate_down_counts_per_s == 60
    assert held.travel_max_counts == 1202


def test_a_dwell_is_a_fifth_shorter() -> None:
    assert wider(dwell_ns=10_000_000_001).dwell_ns == 8_000_000_000


def test_range_and_safe_value_are_the_hosts_own() -> None:
    held = wider()
    assert (held.min_counts, held.max_counts) == (PUMP.min_counts, PUMP.max_counts)
    assert held.safe == PUMP.safe


def test_a_wider_limit_still_fits_what_the_twin_computes_with() -> None:
    held = wider(
        rate_up_counts_per_s=INT32,
        rate_down_counts_per_s=INT32,
        travel_max_counts=INT32,
        travel_window_ns=PRODUCT_MAX // INT32,
    )
    assert (held.rate_up_counts_per_s, held.rate_down_counts_per_s) == (INT32, INT32)
    assert held.travel_max_counts * held.travel_window_ns <= PRODUCT_MAX
    assert held.travel_max_counts == INT32


def test_a_long_window_leaves_no_room_for_more_travel() -> None:
    held = wider(travel_max_counts=1000, travel_window_ns=PRODUCT_MAX // 1000)
    assert held.travel_max_counts == 1000


def test_only_interlocks_that_it_can_see_are_its_own() -> None:
    host = envelope()
    seen = host.interlocks[0].sensor
    device = guarded(host, (seen,))
    assert [sensor.name for sensor in device.sensors] == [seen]
    assert all(lock.sensor == seen for lock in device.interlocks)
    assert device.interlocks
    assert guarded(host, ()).interlocks == ()


@pytest.mark.parametrize(
    ("lease_ns", "lease_ms"),
    [
        (1_000_000, 1),
        (1_999_999, 1),
        (499_000_000, 499),
        (500_000_000, 500),
        (501_000_000, 500),
    ],
)
def test_a_lease_is_whole_milliseconds_and_the_dead_man_the_shortest(
    lease_ns: int, lease_ms: int
) -> None:
    host = envelope()
    others = (replace(a, lease_ns=10_000_000_000) for a in host.actuators[1:])
    changed = replace(host, actuators=(replace(PUMP, lease_ns=lease_ns), *others))
    assert leases_ms(changed)[0] == lease_ms
    assert leases_ms(changed)[1:] == (DEADMAN_MAX_MS,) * (len(host.actuators) - 1)
    assert deadman_ms(changed) == lease_ms
