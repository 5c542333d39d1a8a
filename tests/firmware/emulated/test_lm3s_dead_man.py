"""The dead man of the emulated firmware, a hundred times."""

from pathlib import Path

import pytest

from tests.firmware.emulated.dead_man import DRIVEN, measure
from tests.firmware.emulated.host import SAFE, Host
from tests.firmware.emulated.images import Image
from tests.firmware.emulated.lockstep import MS, Lockstep

pytestmark = pytest.mark.xdist_group("emulated")

DEADMAN_TICKS = 100
SEEN_AFTER_MS = 50  # at most so much later does the host know
SILENCES = 15


def test_the_dead_man_takes_exactly_its_time_in_100_of_100_runs(
    lm3s: Image, tmp_path: Path
) -> None:
    silences = measure(lm3s, tmp_path, boards=5, runs=20)
    assert [silence.board_ticks for silence in silences] == [DEADMAN_TICKS] * 100


def test_the_host_sees_the_dead_man_at_most_50_ms_after_it(
    lockstep: Lockstep, stepped: Host
) -> None:
    """By the board's clock at both ends, so that it is the link that is judged, not how busy this
    machine is; dead_man.py as a program says what this machine's clock shows."""
    for turn in range(SILENCES):
        stepped.run(lambda: lockstep.board.outputs() == (2, 0, 0, 2), (2, 0, 0, 2))
        stepped.drive(DRIVEN, 0.02 + turn * 0.001)
        last_ns = lockstep.now_ns()
        stepped.round(DRIVEN)
        while stepped.status("device_state") != "SAFE":
            stepped.port.poll(lockstep.now_ns())
            lockstep.wait()
            assert lockstep.now_ns() < last_ns + 1000 * MS
        seen_ms = (lockstep.now_ns() - last_ns) // MS
        writes = lockstep.board.writes()
        last = max(k for k, write in enumerate(writes) if write.outputs != SAFE)
        assert writes[last + 1].tick - writes[last].tick == DEADMAN_TICKS
        assert DEADMAN_TICKS < seen_ms <= DEADMAN_TICKS + SEEN_AFTER_MS
