"""The targets of `make fuzz-plane` hold for their own seeds, and for bytes that are cut or none."""

import pytest

from tests.fuzz.plane_targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        for data in (seed, seed[:-1], seed + b"\0", seed[::-1], b"", b"\x00", b"\xc1"):
            target.run(data)
