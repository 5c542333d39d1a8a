"""What several files of the gateway's unit tests stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.gateway.carrier_bench import Bench, S


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A carrier, its played broker and its control process."""
    made = Bench(tmp_path)
    yield made
    made.carrier.close(S)
    made.relay.close()
