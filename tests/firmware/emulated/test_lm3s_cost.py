"""The core stays small and quick on a Cortex-M3: the figures of cost.json are the gate."""

import json
import struct
from pathlib import Path

import pytest

from tests.firmware.emulated.board import Board
from tests.firmware.emulated.cost import FRAMES, RECORD, frames_header, instructions, measure
from tests.firmware.emulated.host import Host

FLASH_MAX_BYTES = 4096
RAM_MAX_BYTES = 2048
STACK_MAX_BYTES = 768
GROWTH = 1.02


def test_flash_memory_and_instructions_stay_within_their_limits(tmp_path: Path) -> None:
    recorded, now = json.loads(RECORD.read_text(encoding="utf-8")), measure(tmp_path)
    assert now["gcc"] == recorded["gcc"], "another compiler: record anew, with the reason"
    assert now["sizes"]["flash_bytes"] <= FLASH_MAX_BYTES
    for variant, was in ((now, recorded), (now["keyed"], recorded["keyed"])):
        sizes, counts = variant["sizes"], variant["instructions"]
        assert 0 < sizes["flash_bytes"] <= was["sizes"]["flash_bytes"] * GROWTH
        assert 0 < sizes["ram_bytes"] <= RAM_MAX_BYTES
        for kind, count in was["instructions"].items():
            assert counts[kind] <= count * GROWTH, (kind, counts[kind], count)


def test_two_runs_count_the_same_instructions(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    counts, again = instructions(first), instructions(second)
    assert all(abs(counts[kind] - again[kind]) <= 20 / FRAMES for kind in counts)


def test_the_bench_sends_a_different_command_in_every_frame() -> None:
    rows = [line for line in frames_header().splitlines() if line.startswith("    {")]
    assert len(set(rows)) == FRAMES


@pytest.mark.xdist_group("emulated")
def test_the_stack_never_grows_deep(board: Board, host: Host) -> None:
    host.reach("armed")
    host.drive((1000, 1000, 1000, 1000), 0.3)
    host.drive((0, 0, 0, 0), 0.1, armed=False)
    stack = board.stack()
    painted = next(k for k, (w,) in enumerate(struct.iter_unpack("<I", stack)) if w != 0xA5A5A5A5)
    assert 0 < len(stack) - 4 * painted <= STACK_MAX_BYTES
