"""The Pico's linked image in an emulator, driven by the real host: `make pico EMULATE=1`.

No part of `make test`: neither the Pico SDK nor the emulator nor the boot ROM is in Debian.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge.messages import ResetReason
from tests.firmware.emulated.cable import Pty
from tests.firmware.emulated.host import SAFE, Host
from tests.firmware.emulated.images import Image, image, key_in, make
from tests.firmware.emulated.rp2040_board import (
    HIGH,
    LOW,
    MS,
    PERIOD_NS,
    PINS,
    Pico,
    parts,
    wanted,
)
from tests.firmware.toolchain import ROOT

DRIVEN = (9, 0, 0, 12)
DEADMAN_MS = 100
WATCHDOG_MS = 250
SLACK_MS = 2  # of a board's tick and a period of its PWM, each 1 ms
STARTS = 4
UF2_BLOCK, UF2_AT, UF2_DATA = 512, 32, 256


@pytest.fixture(scope="session")
def built() -> Image:
    """The image that `make pico` has built; without what it takes to run it, one message."""
    try:
        parts()
        elf = wanted("PICO_IMAGE", "build/firmware/pico/air_handler.elf, of `make pico`")
        return image(elf, "arm-none-eabi-nm")
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture
def pico(built: Image) -> Iterator[Pico]:
    made = Pico(built)
    yield made
    made.end()


@pytest.fixture
def host(pico: Pico) -> Host:
    return Host("pico", pace=pico)


def live_until(pico: Pico, claim: Callable[[], bool], limit_ms: int = 2000) -> None:
    end_ns = pico.now_ns() + limit_ms * MS
    while not claim():
        assert pico.now_ns() < end_ns
        pico.live(MS)


def test_the_outputs_are_low_from_boot_until_a_host_arms(pico: Pico, host: Host) -> None:
    host.reach("ready", (500, 0, 0, 500), armed=False)
    host.drive((500, 0, 0, 500), 0.1, armed=False)
    assert (host.status("device_state"), host.status("safe_reason")) == ("SAFE", "BOOT")
    assert pico.outputs() == SAFE
    assert pico.last_high_ns() == 0
    assert host.hello().reset_reason == ResetReason.UNKNOWN
    assert host.hello().deadman_ms == DEADMAN_MS
    assert abs(pico.baud / 115_200 - 1) < 0.01


def test_a_host_arms_drives_and_disarms_and_reads_both_converters(pico: Pico, host: Host) -> None:
    pico.live(0, sensors=[819, 2048])
    host.reach("armed")
    host.run(lambda: pico.outputs() == DRIVEN, DRIVEN)
    host.drive(DRIVEN, 0.1)
    telemetry = host.port._telemetry
    assert telemetry is not None
    assert telemetry.applied == DRIVEN
    assert telemetry.sensors == (819 * 5000 // 4095, 2048 * 1000 // 4095)
    host.run(lambda: host.status("device_state") == "SAFE", DRIVEN, armed=False)
    assert host.status("safe_reason") == "REQUESTED"
    pico.live(2 * PERIOD_NS)
    assert pico.outputs() == SAFE
    assert host.status("bad_frames") == host.status("device_bad_frames") == pico.lost == 0


@pytest.mark.parametrize("place", range(1, 4))
def test_each_output_has_its_own_pin(pico: Pico, host: Host, place: int) -> None:
    counts = tuple(6 * (k in {place, 3}) for k in range(4))  # the fan runs beside each valve
    host.reach("armed")
    host.run(lambda: pico.outputs() == counts, counts)


def test_a_silent_host_leaves_the_pins_low_in_time(pico: Pico, host: Host) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.3)
    fell_silent_ns = pico.now_ns()  # the last command was sent one round before
    pico.live((DEADMAN_MS - SLACK_MS - 5) * MS)
    assert pico.outputs() != SAFE
    live_until(pico, lambda: pico.outputs() == SAFE)
    assert pico.last_high_ns() - fell_silent_ns <= DEADMAN_MS * MS
    host.run(lambda: host.status("safe_reason") == "DEAD_MAN", armed=False)


def test_a_hung_main_loop_ends_in_low_pins_and_then_in_a_reset(pico: Pico, host: Host) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.3)
    before = host.hello().boot_nonce
    hung_ns = pico.now_ns()
    pico.hang_in("eb1_main_progress")
    live_until(pico, lambda: len(pico.starts) > 1)
    assert pico.last_high_ns() - hung_ns <= (DEADMAN_MS + SLACK_MS) * MS
    assert abs((pico.starts[1] - hung_ns) / MS - WATCHDOG_MS) <= SLACK_MS
    pico.heal("eb1_main_progress")
    host.run(lambda: host.status("sessions") == 2, armed=False)
    assert host.hello().reset_reason == ResetReason.WATCHDOG
    assert host.hello().boot_nonce != before
    host.reach("armed")
    host.run(lambda: pico.outputs() == DRIVEN, DRIVEN)


def test_a_hang_with_interrupts_off_ends_in_a_reset_and_low_pins(pico: Pico, host: Host) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.3)
    hung_ns = pico.now_ns()
    pico.hang_in("port_unlock")
    live_until(pico, lambda: len(pico.starts) > 1)
    assert pico.starts[1] - hung_ns <= (WATCHDOG_MS + SLACK_MS) * MS
    at_reset = [edge.level for edge in pico.edges if edge.at_ns == pico.starts[1]]
    assert len(at_reset) == len(PINS)
    assert not {LOW, HIGH} & set(at_reset)  # inputs, until the image makes them outputs
    pico.live(2 * PERIOD_NS)
    assert pico.outputs() == SAFE
    assert pico.last_high_ns() <= pico.starts[1]


def test_every_start_has_another_nonce(built: Image) -> None:
    nonces = set[int]()
    for _ in range(STARTS):
        pico = Pico(built)
        try:
            host = Host("pico", pace=pico)
            host.reach("ready", armed=False)
            nonces.add(host.hello().boot_nonce)
        finally:
            pico.end()
    assert len(nonces) == STARTS


@pytest.fixture
def tty(pico: Pico) -> Iterator[Pty]:
    """A serial port of this machine that the board is behind, living as fast as it can."""
    line = Pty()
    done = threading.Event()

    def carry() -> None:
        while not done.is_set():
            pico.live(MS)
            with contextlib.suppress(BlockingIOError):  # nobody reads, and it is full
                os.write(line.ours, pico.read())
            with contextlib.suppress(BlockingIOError):  # nothing was written
                pico.write(os.read(line.ours, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    yield line
    done.set()
    thread.join()
    line.close()


def bridge(*words: str) -> str:
    command = [sys.executable, "-m", "edge_agent", "bridge", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60)
    return done.stdout


def test_info_and_monitor_answer_as_a_maker_sees_them(tty: Pty) -> None:
    info = json.loads(bridge("info", tty.path, "--wait", "10", "--json"))
    assert info["dead_man_ms"] == DEADMAN_MS
    assert info["devices"][0] == {
        "device": "air-handler",
        "envelope_matches": True,
        "schema_matches": True,
        "sensors": ["fan_current", "damper_position"],
    }
    heard = json.loads(bridge("monitor", tty.path, "--every", "2", "--duration", "2", "--json"))
    assert heard["device_state"] == "SAFE"


def test_an_image_with_a_key_obeys_who_has_it_alone(tmp_path: Path) -> None:
    digits = "00112233445566778899aabbccddeeff" * 2
    key_file = str(key_in(tmp_path, digits))
    make("pico", tmp_path, KEY_FILE=key_file, PICO_SDK_PATH=os.environ["PICO_SDK_PATH"])
    pico = Pico(image(tmp_path / "pico/air_handler.elf", "arm-none-eabi-nm"))
    try:
        stranger = Host("pico", pace=pico)
        stranger.drive(DRIVEN, 0.3)
        assert stranger.status("sessions") == 0
        owner = Host("pico", pace=pico, key=bytes.fromhex(digits))
        owner.reach("armed")
        owner.run(lambda: pico.outputs() == DRIVEN, DRIVEN)
    finally:
        pico.end()


@pytest.mark.skipif("PICO_NO_PICOTOOL" in os.environ, reason="asked for without a .uf2")
def test_what_is_copied_to_a_board_is_what_ran_here(built: Image) -> None:
    uf2 = built.elf.with_suffix(".uf2")
    blocks = uf2.read_bytes()
    data = b"".join(
        blocks[at + UF2_AT : at + UF2_AT + UF2_DATA] for at in range(0, len(blocks), UF2_BLOCK)
    )
    assert data.rstrip(b"\0") == built.elf.with_suffix(".bin").read_bytes().rstrip(b"\0")
