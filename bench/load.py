"""The load: blocks of paced or free-running ticks, A and B in turn.

Owns: the order and pace of the measurement and the samples of one block. Must not: judge.

While one side is measured, the other gets a frame every 50 ms, because a link that hears
nothing for 100 ms is lost and must shake hands anew. That frame takes the place of one of the
measured side's, so the two never run at the same time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.device import NS_PER_S, BenchDevice
from bench.processes import cpu_ns

KEEP_ALIVE_NS = 50_000_000
FREE_RUNNING = 0


@dataclass
class Side:
    """One competitor: its device, its process, and whoever works for it behind."""

    name: str
    device: BenchDevice
    pid: int
    helper_pid: int | None = None


@dataclass
class Block:
    """What one block of one side at one rate gave."""

    latencies_ns: list[int] = field(default_factory=list)
    lost: int = 0
    elapsed_ns: int = 0
    cpu_ns: int = 0
    helper_cpu_ns: int = 0

    @property
    def ticks(self) -> int:
        return len(self.latencies_ns) + self.lost

    def percentile_ns(self, percent: float) -> int:
        """Nearest rank; 0 of an empty block."""
        ordered = sorted(self.latencies_ns)
        return ordered[int((len(ordered) - 1) * percent / 100)] if ordered else 0


@dataclass(frozen=True)
class Plan:
    """How much to measure: seconds of one block per rate (Hz; 0 is free running)."""

    blocks: int
    seconds: Mapping[int, float]
    starts: int


def run_plan(
    plan: Plan, sides: tuple[Side, Side], after_rate: Callable[[int], None]
) -> dict[tuple[str, int], list[Block]]:
    """All blocks, by side and rate; the side that goes first alternates."""
    results: dict[tuple[str, int], list[Block]] = {}
    for rate_hz, seconds in plan.seconds.items():
        for number in range(plan.blocks):
            order = sides if number % 2 == 0 else sides[::-1]
            for i, side in enumerate(order):
                block = run_block(side, order[1 - i], rate_hz, seconds)
                results.setdefault((side.name, rate_hz), []).append(block)
        after_rate(rate_hz)
    return results


def run_block(side: Side, idle: Side, rate_hz: int, seconds: float) -> Block:
    """Pace frames to `side` on absolute deadlines; slots that passed are skipped."""
    block = Block()
    period_ns = NS_PER_S // rate_hz if rate_hz else 0
    cpu_before = cpu_ns(side.pid)
    helper_before = cpu_ns(side.helper_pid) if side.helper_pid else 0
    start_ns = time.monotonic_ns()
    end_ns = start_ns + int(seconds * NS_PER_S)
    next_ns = start_ns + period_ns
    keep_alive_ns = start_ns + KEEP_ALIVE_NS // 2
    kept_alive_ns = 0
    while next_ns < end_ns:
        if next_ns >= keep_alive_ns:
            began_ns = time.monotonic_ns()
            idle.device.exchange(next_ns)
            kept_alive_ns += time.monotonic_ns() - began_ns
            keep_alive_ns = next_ns + KEEP_ALIVE_NS - period_ns // 2
        else:
            latency_ns = side.device.exchange(next_ns)
            if latency_ns is None:
                block.lost += 1
            else:
                block.latencies_ns.append(latency_ns)
        now_ns = time.monotonic_ns()
        next_ns = max(next_ns, now_ns - period_ns // 2) + period_ns if rate_hz else now_ns
    block.elapsed_ns = time.monotonic_ns() - start_ns - (0 if rate_hz else kept_alive_ns)
    block.cpu_ns = cpu_ns(side.pid) - cpu_before
    block.helper_cpu_ns = cpu_ns(side.helper_pid) - helper_before if side.helper_pid else 0
    return block


def settle(sides: tuple[Side, Side], seconds: float) -> None:
    """Let both run at 50 Hz until filters are full and the agent has become ACTIVE."""
    end_ns = time.monotonic_ns() + int(seconds * NS_PER_S)
    next_ns = time.monotonic_ns()
    while next_ns < end_ns:
        for side in sides:
            next_ns += NS_PER_S // 100
            side.device.exchange(next_ns)
