"""A fault on the line costs the frames it touched and no other; damage is never a frame.

The share of every run; the whole count is `make link-faults`.
"""

import pytest

from firmware_bridge import frames
from tests.unit.firmware_bridge.line_faults import DAMAGES, FAULTS, Fault, deceive, strike


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_untouched_frame_is_lost_and_none_is_invented(fault: Fault) -> None:
    assert strike(fault, 4_000, seed=2) == (4_000, 0, 0)


def test_no_damaged_frame_is_accepted() -> None:
    deceit = deceive(100_000, seed=2)
    assert deceit.accepted == 0
    assert deceit.refused.crc > 50_000, "the damage must reach the last check"
    assert min(deceit.refused.cobs, deceit.refused.too_short) > 100


@pytest.mark.parametrize(
    ("name", "value"), [("crc32", lambda _data, _salt: frames.CRC_RESIDUE), ("RAW_MIN", 1000)]
)
def test_the_count_sees_a_decoder_that_is_broken(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(frames, name, value)
    broken = sum(strike(fault, 200, seed=2).collateral for fault in FAULTS)
    assert broken + deceive(len(DAMAGES) * 100, seed=2).accepted > 100
