"""How long a silent host's outputs stay driven, by the board's clock and by the host's.

    python -m tests.firmware.emulated.dead_man --runs 100

Owns: the measurement. The board's figure is exact and asserted by a test; the host's includes
telemetry's 20 ms period, the cable and how busy this machine is, so it is reported.
"""

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.firmware.emulated.board import Board
from tests.firmware.emulated.host import PERIOD_S, SAFE, Host
from tests.firmware.emulated.images import Image, lm3s_image

DRIVEN = (9, 0, 0, 9)
_LIMIT_S = 20.0


class Silence(NamedTuple):
    """One time that a host fell silent."""

    board_ticks: int  # from the last driven write to the safe one
    host_ms: float  # from the last SET to the telemetry that says SAFE


class _Run:
    """One board and its host, from arming to SAFE and again; never waits."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.board = Board(image, folder)
        self.host = Host(self.board.cable.host_path)
        self.silences: list[Silence] = []
        self._driven = 0
        self._last_s = 0.0

    def round(self) -> None:
        """Drive for five rounds, then only listen until the board is SAFE."""
        if self._driven < 5:
            self.host.round(DRIVEN)
            self._driven += self.board.outputs() != SAFE
            self._last_s = time.monotonic()
            return
        self.host.port.poll(time.monotonic_ns())
        if self.host.status("device_state") != "SAFE":
            return
        host_ms = (time.monotonic() - self._last_s) * 1e3
        writes = self.board.writes()  # an arming that was starved may have tripped once more
        last = max(k for k, write in enumerate(writes) if write.outputs != SAFE)
        driven, safe = writes[last], writes[last + 1]
        self.silences.append(Silence(safe.tick - driven.tick, host_ms))
        self._driven = 0

    def close(self) -> None:
        self.host.close()
        self.board.close()


def measure(image: Image, folder: Path, boards: int, runs: int) -> list[Silence]:
    """`runs` silences of each of so many boards, all at the same time."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(boards):
            made.append(_Run(image, folder / str(number)))
            stack.callback(made[-1].close)
        deadline = time.monotonic() + _LIMIT_S * runs
        while any(len(run.silences) < runs for run in made):
            assert time.monotonic() < deadline, [len(run.silences) for run in made]
            for run in made:
                if len(run.silences) < runs:
                    run.round()
            time.sleep(PERIOD_S)
        return [silence for run in made for silence in run.silences]


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        image = lm3s_image(Path(folder))
        silences = measure(image, Path(folder), 1, runs)
    host_ms = sorted(silence.host_ms for silence in silences)
    print(f"board ticks: {sorted({silence.board_ticks for silence in silences})}")
    for name, at in (("min", 0), ("p50", runs // 2), ("p99", runs * 99 // 100), ("max", runs - 1)):
        print(f"host {name}: {host_ms[at]:.1f} ms")


if __name__ == "__main__":
    _main()
