"""One build of the firmware for all tests, one fresh board for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.emulated.board import Board
from tests.firmware.emulated.host import Host
from tests.firmware.emulated.images import Image, lm3s_image
from tests.firmware.emulated.lockstep import Lockstep


@pytest.fixture(scope="session")
def lm3s(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The Cortex-M3 firmware of the air handler, dead man 100 ms."""
    return lm3s_image(tmp_path_factory.mktemp("lm3s"), COUNTERS="1")


@pytest.fixture
def board(lm3s: Image, tmp_path: Path) -> Iterator[Board]:
    made = Board(lm3s, tmp_path / "board")
    yield made
    made.close()


@pytest.fixture
def host(board: Board) -> Iterator[Host]:
    made = Host(board.cable.host_path)
    yield made
    made.close()


@pytest.fixture
def lockstep(lm3s: Image, tmp_path: Path) -> Iterator[Lockstep]:
    """A board that only goes on when its host waits: what takes time here takes none there."""
    made = Lockstep(lm3s, tmp_path / "lockstep")
    yield made
    made.close()


@pytest.fixture
def stepped(lockstep: Lockstep) -> Iterator[Host]:
    """The host of that board, by the board's clock."""
    made = Host("lockstep", pace=lockstep)
    yield made
    made.close()
