"""What the tests of ports share."""

from collections.abc import Iterator

import pytest

from tests.unit.ports.board import Board


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.unplug()
