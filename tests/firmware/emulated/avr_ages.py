"""How old a command is when it reaches the pin, over a line of 115200 baud at 100 Hz.

    python -m tests.firmware.emulated.avr_ages --seconds 20

Owns: the measurement. A command's age runs from the host's decision to the write of the
emulated ATmega's PWM register. The damper is asked for a new value every 20 ms, so only the
commands that change it are measured.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.firmware.emulated.avr_board import AvrBoard
from tests.firmware.emulated.host import Host
from tests.firmware.emulated.images import avr_emulator, avr_firmware

PERIOD_NS: Final = 10_000_000


def drive(host: Host, seconds: float) -> dict[int, int]:
    """A 100 Hz loop on absolute deadlines; when each value was first decided, in ns."""
    decided_ns: dict[int, int] = {}
    host.reach("armed")
    start_ns = time.monotonic_ns()
    for tick in range(int(seconds * 100)):
        host.port.poll(time.monotonic_ns())
        counts = 1 + tick // 2
        decided_ns.setdefault(counts, time.monotonic_ns())
        host.round((counts, 0, 0, 0))
        left_ns = start_ns + (tick + 1) * PERIOD_NS - time.monotonic_ns()
        time.sleep(max(0, left_ns) / 1e9)
    return decided_ns


def ages_ms(board: AvrBoard, host: Host, seconds: float) -> list[float]:
    """The age of each new value when it reached the pin, sorted. A busy machine may trip the
    dead man; what follows is the device's own ramp and nobody's command, so it is left out."""
    before = len(board.writes())
    decided_ns = drive(host, seconds)
    reached_ns: dict[int, int] = {}
    for write in board.writes()[before:]:
        if write.duty == 0 and reached_ns.get(1):
            break
        reached_ns.setdefault(write.duty, write.at_ns)
    return sorted(
        (reached_ns[counts + counts // 43] - at_ns) / 1e6  # as the firmware scales it
        for counts, at_ns in decided_ns.items()
        if counts + counts // 43 in reached_ns
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        board = AvrBoard(avr_emulator(folder), avr_firmware(folder), folder)
        host = Host(board.cable.host_path)
        ages = ages_ms(board, host, seconds)
        print(f"{len(ages)} of {int(seconds * 50)} values; {host.port.status()}")
        host.close()
        board.close()
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        print(f"{name}: {ages[min(len(ages) - 1, int(share * len(ages)))]:.2f} ms")


if __name__ == "__main__":
    _main()
