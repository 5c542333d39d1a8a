"""Gaps in the numbers of telemetry are counted, and those that follow late fill them."""

from edge_agent.authority.documents import Telemetry
from edge_agent.client.fleet import DeviceState, FleetClient


def _sample(seq: int, *, run: str = "r1", hist: bool = False) -> Telemetry:
    return Telemetry(
        boot="b", run=run, seq=seq, at=0, utc_ms=0, tick=seq, mode="SAFE", decides="nobody",
        driven=True, values={}, command={}, hist=hist,
    )  # fmt: skip


def _missed(*samples: Telemetry) -> int:
    fleet = FleetClient.__new__(FleetClient)  # without a connection
    fleet._last = {}
    device = DeviceState("a", {})
    for sample in samples:
        fleet._count(device, sample)
    return device.missed


def test_numbers_without_a_gap_miss_nothing() -> None:
    assert _missed(_sample(7), _sample(8), _sample(9)) == 0


def test_a_gap_is_counted() -> None:
    assert _missed(_sample(7), _sample(11)) == 3


def test_what_follows_late_fills_the_gap() -> None:
    late = [_sample(n, hist=True) for n in (8, 9, 10)]
    assert _missed(_sample(7), _sample(11), *late) == 0
    assert _missed(_sample(7), _sample(11), *late[:2]) == 1


def test_a_new_run_of_the_gateway_is_no_gap() -> None:
    assert _missed(_sample(7), _sample(1, run="r2"), _sample(2, run="r2")) == 0
    assert _missed(_sample(7), _sample(1, run="r2"), _sample(8, hist=True)) == 0
