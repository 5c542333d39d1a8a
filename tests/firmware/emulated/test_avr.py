"""Firmware of an ATmega2560 under simavr, where every byte takes its time on the line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.emulated.avr_ages import ages_ms
from tests.firmware.emulated.avr_board import AvrBoard
from tests.firmware.emulated.host import Host
from tests.firmware.emulated.images import arduino_sketch, avr_emulator, avr_firmware

pytestmark = pytest.mark.xdist_group("emulated")

LINE_MS = 17 * 10 / 115.2  # the shortest SET: 17 bytes of ten bits


def test_the_arduino_sketch_arms_and_says_what_its_outputs_do(tmp_path: Path) -> None:
    sketch = arduino_sketch(tmp_path)
    board = AvrBoard(avr_emulator(tmp_path), sketch, tmp_path)
    host = Host(board.cable.host_path)
    try:
        host.reach("armed")
        host.run(lambda: host.status("device_state") == "ARMED", (5, 0, 0, 0))
        host.run(lambda: host.status("device_state") == "SAFE", armed=False)
        assert host.status("safe_reason") in {"REQUESTED", "DEAD_MAN"}
    finally:
        host.close()
        board.close()


@pytest.fixture
def mega(tmp_path: Path) -> Iterator[AvrBoard]:
    made = AvrBoard(avr_emulator(tmp_path), avr_firmware(tmp_path), tmp_path)
    yield made
    made.close()


def test_a_100_hz_loop_drives_a_pin_and_no_command_outruns_the_line(mega: AvrBoard) -> None:
    host = Host(mega.cable.host_path)
    try:
        ages: list[float] = []
        for _ in range(5):  # a starved machine trips the dead man before there are enough
            ages = ages_ms(mega, host, 1.5)
            host.run(lambda: mega.writes()[-1].duty == 0, armed=False)
            if len(ages) >= 5:
                break
        assert host.status("frames") != 0
    finally:
        host.close()
    assert len(ages) >= 5
    assert ages[0] >= LINE_MS
    assert ages[len(ages) // 2] < 50  # the limit of a command's age
