"""The same histories through the Python envelope and its twin in C: every number must agree.

As a program: `python -m tests.firmware.differential --steps 10000000 --processes 2`; exit 0
only when so many steps ran without one difference.
"""

import argparse
import sys
import tempfile
import time
from array import array
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from edge_agent.core.records import Snapshot, Verdict
from edge_agent.safety import envelope as law
from edge_agent.safety.envelope import EnvelopeState, Order
from edge_agent.safety.header import render
from edge_agent.safety.limits import Envelope
from tests.firmware import histories, toolchain
from tests.firmware.toolchain import Twin
from tests.firmware.twin_devices import ENVELOPES

BATCH = 160  # histories: 40,960 rows, some seconds of work
# Of a hundred batches so many are for each device: the cheap ones carry the bulk.
SHARES = {"air-handler": 35, "uneven": 45, "wide": 3, "extreme": 12, "bare": 5}


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
    parts = [tuple(numbers[1 + k * n : 1 + (k + 1) * n]) for k in range(5)]
    rest = numbers[1 + 5 * n :]
    return EnvelopeState(numbers[0], *parts, tuple(rest[:locks]), rest[locks])


def difference(envelope: Envelope, twin: Twin, rows: histories.Rows) -> str:
    """The first row to which the two answer differently, in words; empty when none does."""
    law_says = of_law(envelope, rows)
    twin_says = array("q")
    twin_says.frombytes(toolchain.run(twin, rows.tobytes()))
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


def _batch(folder: Path, device: str, seed: int) -> str:
    path = folder / device
    twin = Twin(path, path / "libenvelope.so", path / "driver")
    return difference(ENVELOPES[device], twin, histories.rows(ENVELOPES[device], BATCH, seed))


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


def main() -> int:
    """Run the comparison and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows = BATCH * histories.HISTORY
    plan = _plan(-(-args.steps // rows))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(args.processes) as pool:
        folder = Path(name)
        for device, envelope in ENVELOPES.items():
            toolchain.build(folder / device, render(envelope))
        seeds = range(args.seed * 10**9, args.seed * 10**9 + len(plan))
        for found in pool.map(_batch, repeat(folder), plan, seeds):
            if found:
                print(found, file=sys.stderr)
                return 1
    seconds = time.monotonic() - began
    counts = ", ".join(f"{name} {plan.count(name) * rows:,}" for name in SHARES)
    print(f"{len(plan) * rows:,} rows, 0 differences, {seconds:.0f} s ({counts})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
