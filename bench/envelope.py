"""What one step of the envelope costs, by the number of actuators.

    python bench/envelope.py [--steps N] [--json]

A device is made of copies of the air handler's actuators, with its sensors and interlocks. Its
wishes stand still, wander inside the limits, or swing between extremes every third step, so
that range, speed and travel all act. Owns: that device and the stop watch.
"""

import argparse
import dataclasses
import json
import sys
import time
from statistics import median

from edge_agent.core.records import Mode, Snapshot
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Envelope

SIZES = (4, 8, 16)
PERIOD_NS = 20_000_000
SENSORS = (1500, 1200, 800, 2200, 1400, 1, 1, 500, 300)  # a calm air handler, in counts
_ACTIVE = int(Mode.ACTIVE)


def device(actuators: int) -> Envelope:
    """The air handler with its actuators repeated; the first four keep their names."""
    pool = ENVELOPE.actuators
    copies = tuple(
        dataclasses.replace(pool[i % len(pool)], name=f"{pool[i % len(pool)].name}_{i}")
        for i in range(len(pool), actuators)
    )
    return dataclasses.replace(ENVELOPE, actuators=pool + copies)


def wish(manner: str, step: int, actuators: int) -> tuple[int, ...]:
    """Counts per actuator. The third, the heating valve, stays shut: cooling may then move."""
    if manner == "still":
        value = 400
    elif manner == "wandering":
        value = 500 if (step // 100) % 2 else 400
    else:
        value = 1001 if (step // 3) % 2 else -5
    return (value, value, 0, *(value,) * (actuators - 3))


def measure(actuators: int, manner: str, steps: int) -> dict[str, float]:
    """p50 and p99 of a step, microseconds."""
    limits = device(actuators)
    state = envelope_step.initial(limits, 0)
    n = len(SENSORS) + actuators
    snapshot = Snapshot((*SENSORS, *(0,) * actuators), (0,) * n, (0,) * n)
    watch = time.perf_counter_ns
    took_ns = []
    for step in range(1, steps + 1):
        order = envelope_step.Order(_ACTIVE, wish(manner, step, actuators))
        start_ns = watch()
        state, _ = envelope_step.step(limits, state, order, snapshot, step * PERIOD_NS)
        took_ns.append(watch() - start_ns)
    took_ns.sort()
    return {"p50_us": median(took_ns) / 1000, "p99_us": took_ns[steps * 99 // 100] / 1000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=20_000, metavar="N")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        {"actuators": n, "wishes": manner, **measure(n, manner, arguments.steps)}
        for n in SIZES
        for manner in ("still", "wandering", "extreme")
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'actuators':>9}  {'wishes':<10}{'p50, us':>9}{'p99, us':>9}")
    for row in rows:
        print(f"{row['actuators']:>9}  {row['wishes']:<10}{row['p50_us']:9.1f}{row['p99_us']:9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
