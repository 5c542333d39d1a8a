"""The same histories through the Python envelope and its twin in C: every number must agree.

As a program: `python -m tests.firmware.differential --steps 10000000`; exit 0 only when
so many steps ran without one difference.
"""

import argparse
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Snapshot, Verdict
from edge_agent.safety import envelope as law
from edge_agent.safety.envelope import EnvelopeState, Order
from edge_agent.safety.header import render
from edge_agent.safety.limits import Envelope
from tests.firmware import histories, toolchain
from tests.firmware.toolchain import ARM64, HERE, Machine, Twin
from tests.firmware.twin_devices import ENVELOPES

BATCH = 40  # histories: 20,480 rows, about half a second of work
# Of a hundred batches so many are for each device.
SHARES: Mapping[str, int] = MappingProxyType(
    {"air-handler": 25, "uneven": 45, "wide": 3, "extreme": 17, "bare": 10}
)


class Answer(NamedTuple):
    """What the law says to some rows: all numbers, and where each row's begin."""

    numbers: "array[int]"
    starts: list[int]


def of_law(envelope: Envelope, rows: histories.Rows) -> Answer:
    """The numbers that the driver writes for `rows`, from the Python envelope."""
    actuators, sensors = len(envelope.actuators), len(envelope.sensors)
    end = 4 + actuators
    wishes = map(tuple, rows[:, 4:end].tolist())
    values = map(tuple, rows[:, end : end + sensors].tolist())
    qualities = map(tuple, rows[:, end + sensors : end + 2 * sensors].tolist())
    out: list[int] = []
    starts: list[int] = []
    state = law.initial(envelope, 0)
    for head, wish, seen, quality, row in zip(
        rows[:, :4].tolist(), wishes, values, qualities, rows, strict=True
    ):
        op, now_ns, mode, has_wish = head
        starts.append(len(out))
        if op == histories.STEP:
            order = Order(mode, wish if has_wish else None)
            state, verdict = law.step(envelope, state, order, Snapshot(seen, (), quality), now_ns)
            _put(out, state)
            _put_verdict(out, verdict)
            continue
        if op == histories.INIT:
            state = law.initial(envelope, now_ns)
        elif op == histories.RESTART:
            state = law.restart_from(envelope, state, tuple(row[1 : 1 + actuators].tolist()))
        else:
            state = _loaded(envelope, row[1:].tolist())
        _put(out, state)
    return Answer(array("q", out), starts)


def _put(out: list[int], state: EnvelopeState) -> None:
    out.append(state[0])
    for part in state[1:7]:
        out += part
    out.append(state[7])


def _put_verdict(out: list[int], verdict: Verdict) -> None:
    out += verdict.command
    out.append(len(verdict.reasons))
    for reason in verdict.reasons:
        out += (reason.rule, reason.channel, reason.number)


def _loaded(envelope: Envelope, numbers: list[int]) -> EnvelopeState:
    n, locks = len(envelope.actuators), len(envelope.interlocks)
    last, up, down, travel, rest = (tuple(numbers[1 + k * n : 1 + (k + 1) * n]) for k in range(5))
    end = 1 + 5 * n + locks
    engaged = tuple(numbers[1 + 5 * n : end])
    return EnvelopeState(numbers[0], last, up, down, travel, rest, engaged, numbers[end])


def of_twin(twin: Twin, rows: histories.Rows) -> "array[int]":
    """The numbers that the twin in C answers to `rows`."""
    numbers = array("q")
    numbers.frombytes(toolchain.run(twin, rows.tobytes()))
    return numbers


def difference(envelope: Envelope, twin: Twin, rows: histories.Rows) -> str:
    """The first row to which the two answer differently, in words; empty when none does."""
    law_says = of_law(envelope, rows)
    twin_says = of_twin(twin, rows)
    if law_says.numbers == twin_says:
        return ""
    pairs = zip(law_says.numbers, twin_says, strict=False)
    at = next((k for k, (a, b) in enumerate(pairs) if a != b), len(twin_says))
    row = max(r for r, start in enumerate(law_says.starts) if start <= at)
    begin, end = (*law_says.starts, len(law_says.numbers))[row : row + 2]
    return (
        f"{envelope.device}: row {row} {rows[row].tolist()}, number {at - begin}:"
        f" Python {law_says.numbers[begin:end].tolist()}, C {twin_says[begin:end].tolist()}"
    )


def _batch(twin: Twin, device: str, seed: int) -> tuple[int, str]:
    """How many steps a batch holds, and the first difference."""
    rows = histories.rows(ENVELOPES[device], BATCH, seed)
    steps = int((rows[:, 0] == histories.STEP).sum())
    return steps, difference(ENVELOPES[device], twin, rows)


def _plan(batches: int) -> list[str]:
    """A device for each batch, in the given shares at every length."""
    due = dict.fromkeys(SHARES, 0)
    plan = []
    for _ in range(batches):
        for device, share in SHARES.items():
            due[device] += share
        device = max(due, key=lambda name: due[name])
        due[device] -= sum(SHARES.values())
        plan.append(device)
    return plan


def compare(steps: int, processes: int, seed: int, machine: Machine = HERE) -> str:
    """Run at least `steps` of them on all devices; AssertionError with the first difference."""
    # Of all rows 2 in 1000 set a memory and 5 restart.
    plan = _plan(steps * 101 // (100 * BATCH * histories.HISTORY) + 2)
    seeds = range(seed * 10**9, seed * 10**9 + len(plan))
    done = dict.fromkeys(SHARES, 0)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes) as pool:
        twins = {
            device: toolchain.build(Path(folder) / device, render(envelope), machine=machine)
            for device, envelope in ENVELOPES.items()
        }
        results = pool.map(_batch, (twins[device] for device in plan), plan, seeds)
        for device, (count, found) in zip(plan, results, strict=True):
            assert not found, found
            done[device] += count
    total = sum(done.values())
    assert total >= steps, f"only {total} steps"
    shares = ", ".join(f"{device} {count:,}" for device, count in done.items())
    return f"{total:,} steps, 0 differences ({shares})"


def main() -> int:
    """Run the comparison and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arm64", action="store_true", help="build the C for it, and emulate it")
    args = parser.parse_args()
    began = time.monotonic()
    try:
        machine = ARM64 if args.arm64 else HERE
        line = compare(args.steps, args.processes, args.seed, machine)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{line} in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
