"""The dead man of the emulated firmware, a hundred times."""

from pathlib import Path

import pytest

from tests.firmware.emulated.dead_man import measure
from tests.firmware.emulated.images import Image

pytestmark = pytest.mark.xdist_group("emulated")


def test_the_dead_man_takes_exactly_its_time_in_100_of_100_runs(
    lm3s: Image, tmp_path: Path
) -> None:
    silences = measure(lm3s, tmp_path, boards=5, runs=20)
    assert [silence.board_ticks for silence in silences] == [100] * 100
