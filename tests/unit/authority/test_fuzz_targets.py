"""The targets of `make fuzz-plane`: their seeds reach what they are for, and what must hold does
for them, and for bytes that are cut or none."""

import pytest

from tests.fuzz.plane_targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds_and_holds_for_broken_ones(name: str) -> None:
    target = TARGETS[name]
    assert {seed: why for seed in target.seeds if (why := target.run(seed))} == {}
    assert {seed: target.run(seed) for seed in target.refused} == target.refused
    for seed in (*target.seeds, *target.refused):
        for data in (seed[:-1], seed + b"\0", seed[::-1], b"", b"\x00", b"\xc1"):
            target.run(data)


def test_a_command_that_is_packed_another_way_is_the_same_command() -> None:
    target = TARGETS["wire"]
    (seed, *_) = target.seeds
    assert seed[0] == 0x93
    assert target.run(b"\xdc\x00\x03" + seed[1:]) == ""
