"""Devices that exist to compare the two envelopes: each reaches what the others cannot.

`air-handler` is the real one; `uneven` has dwell, slow interlocks that share an actuator and
chained exclusives; `wide` has sixteen actuators; `extreme` stands at the edge of every bound of
`safety/checks.py`, where C would overflow first; `bare` has nothing but one actuator, which
holds for a nanosecond.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from edge_agent.safety.checks import INT16, INT32, PRODUCT_MAX, TIME_MAX_NS
from edge_agent.safety.devices.air_handler import ENVELOPE as AIR_HANDLER
from edge_agent.safety.limits import Envelope, Exclusive, SafeAction
from tests.unit.safety import lab

S = lab.S


def _uneven() -> Envelope:
    """Three actuators with different limits in every field."""
    base = lab.envelope()
    pump, valve = base.actuators
    heater = replace(
        lab.actuator("heater"),
        min_counts=0,
        max_counts=3,
        rate_up_counts_per_s=1,
        rate_down_counts_per_s=3,
        travel_max_counts=5,
        travel_window_ns=7 * S,
        dwell_ns=S // 3,
        safe=SafeAction(counts=0, hold_ns=0, ramp_counts_per_s=2),
    )
    valve = replace(
        valve, travel_max_counts=777, safe=replace(valve.safe, counts=-100, hold_ns=S // 2)
    )
    dry = base.interlocks[0]
    full = replace(
        dry,
        name="full",
        ok_min=-5,
        ok_max=900,
        clear_min=0,
        clear_max=850,
        engage_after_ticks=3,
        clear_after_ticks=2,
        forces=(("heater", 0), ("valve", -100)),
    )
    hot = replace(dry, name="hot", sensor="heat", forces=(("heater", 0), ("pump", -100)))
    watch = replace(dry, name="watch", ok_max=999, clear_max=999, forces=())
    return replace(
        base,
        device="uneven",
        sensors=(lab.sensor(), lab.sensor("heat")),
        actuators=(replace(pump, dwell_ns=S), valve, heater),
        interlocks=(dry, watch, full, hot),
        exclusives=(
            Exclusive(first="pump", second="valve"),
            Exclusive(first="heater", second="valve"),
        ),
    )


def _wide() -> Envelope:
    """Sixteen actuators, sixteen sensors, an interlock each, the real device's proportions."""
    base = lab.envelope()
    numbers = range(16)
    return replace(
        base,
        device="wide",
        sensors=tuple(lab.sensor(f"level{i}") for i in numbers),
        actuators=tuple(
            replace(
                lab.actuator(f"valve{i}"),
                rate_up_counts_per_s=10 + 7 * i,
                travel_max_counts=100 + i,
                dwell_ns=i % 3 * S,
            )
            for i in numbers
        ),
        interlocks=tuple(
            replace(
                base.interlocks[0],
                name=f"dry{i}",
                sensor=f"level{i}",
                engage_after_ticks=1 + i % 4,
                clear_after_ticks=1 + i % 5,
                forces=((f"valve{i}", -100), (f"valve{(i + 1) % 16}", -100)),
            )
            for i in numbers
        ),
    )


def _extreme() -> Envelope:
    """Every number as large as an envelope may hold."""
    base = lab.envelope()
    edge = replace(
        lab.actuator("edge"),
        min_counts=-INT16,
        max_counts=INT16,
        rate_up_counts_per_s=INT32,
        rate_down_counts_per_s=INT32,
        travel_max_counts=INT32,
        travel_window_ns=PRODUCT_MAX // INT32,
        dwell_ns=TIME_MAX_NS,
        safe=SafeAction(counts=INT16, hold_ns=TIME_MAX_NS, ramp_counts_per_s=INT32),
    )
    slow = replace(
        edge,
        name="slow",
        travel_max_counts=4 * INT16,
        travel_window_ns=PRODUCT_MAX // (4 * INT16),  # a forced move over the whole range
        dwell_ns=0,
        safe=SafeAction(counts=-INT16, hold_ns=0, ramp_counts_per_s=INT32),
    )
    lock = replace(
        base.interlocks[0],
        ok_min=-INT32,
        ok_max=INT32 - 1,
        clear_min=-INT32,
        clear_max=-INT32,
        engage_after_ticks=INT32,
        clear_after_ticks=INT32,
        forces=(("slow", INT16), ("edge", -INT16)),
    )
    level = replace(lab.sensor(), min_counts=-INT32, max_counts=INT32)
    return replace(
        base, device="extreme", sensors=(level,), actuators=(edge, slow), interlocks=(lock,)
    )


def _bare() -> Envelope:
    """No sensor, no interlock, no exclusive, and almost no standing still before the ramp."""
    base = lab.envelope(locked=False)
    pump = base.actuators[0]
    pump = replace(pump, safe=replace(pump.safe, hold_ns=1))
    return replace(base, device="bare", sensors=(), actuators=(pump,))


ENVELOPES: Mapping[str, Envelope] = MappingProxyType(
    {e.device: e for e in (AIR_HANDLER, _uneven(), _wide(), _extreme(), _bare())}
)
