"""The port against real pseudo-terminals; only what no pty can do is played by a stand-in."""

import fcntl
import os
import pty
import select
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.errors import PortLostError, PortUnavailableError, WireValueError
from firmware_bridge.serial_port import Framing, SerialPort

BAUD = 115_200


@pytest.fixture
def cable() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_bytes_pass_both_ways_unchanged_and_nothing_blocks(cable: tuple[int, str]) -> None:
    master, path = cable
    port = SerialPort(path, BAUD)
    every_byte = bytes(range(256))
    assert port.read() == b""
    assert port.write(every_byte)
    assert os.read(master, 1000) == every_byte
    os.write(master, every_byte)
    assert port.read() == every_byte
    port.close()
    port.close()


def test_a_long_queue_is_drained_in_one_read(cable: tuple[int, str]) -> None:
    master, path = cable
    port = SerialPort(path, BAUD)
    sent = 0
    try:
        while True:
            sent += os.write(master, b"x" * 1000)
    except BlockingIOError:
        pass
    received = len(port.read())
    while received < sent and (data := port.read()):
        received += len(data)
    assert received > 4096
    port.flush_output()
    port.close()


def test_the_line_is_raw_and_closing_does_not_reset_the_board(cable: tuple[int, str]) -> None:
    port = SerialPort(cable[1], BAUD)
    iflag, oflag, cflag, lflag, _, speed, _ = termios.tcgetattr(port.fileno())
    assert (iflag, oflag, lflag) == (0, 0, 0)
    assert cflag & termios.HUPCL == 0
    assert speed == termios.B115200
    port.close()


@pytest.mark.parametrize(
    ("framing", "flags"),
    [
        (Framing(), 0),
        (Framing("even"), termios.PARENB),
        (Framing("odd", 2), termios.PARENB | termios.PARODD | termios.CSTOPB),
        (Framing("none", 2), termios.CSTOPB),
    ],
)
def test_parity_and_stop_bits_are_asked_of_the_driver(
    cable: tuple[int, str], monkeypatch: pytest.MonkeyPatch, framing: Framing, flags: int
) -> None:
    """A pseudo-terminal has no parity, so what is asked is looked at, and not what it keeps."""
    asked: list[int] = []
    really_set = termios.tcsetattr

    def note(descriptor: int, when: int, attributes: list[Any]) -> None:
        asked.append(attributes[2])
        really_set(descriptor, when, attributes)

    monkeypatch.setattr(termios, "tcsetattr", note)
    SerialPort(cable[1], BAUD, framing).close()
    assert [flag & (termios.PARENB | termios.PARODD | termios.CSTOPB) for flag in asked] == [flags]


def test_a_second_opener_is_refused_and_a_third_is_not_after_close(cable: tuple[int, str]) -> None:
    first = SerialPort(cable[1], BAUD)
    with pytest.raises(PortUnavailableError):
        SerialPort(cable[1], BAUD)
    first.close()
    SerialPort(cable[1], BAUD).close()


def test_what_was_queued_before_the_open_is_discarded(cable: tuple[int, str]) -> None:
    os.write(cable[0], b"old")
    port = SerialPort(cable[1], BAUD)
    assert port.read() == b""
    port.close()


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_what_is_not_a_tty_is_unavailable(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "port"
    if kind == "file":
        path.touch()
    with pytest.raises(PortUnavailableError, match="port"):
        SerialPort(str(path), BAUD)


@pytest.mark.parametrize("baud", [0, 123_456, -1])
def test_a_baud_rate_without_a_constant_is_our_error(cable: tuple[int, str], baud: int) -> None:
    with pytest.raises(WireValueError):
        SerialPort(cable[1], baud)


@pytest.mark.parametrize("action", ["read", "write", "flush"])
def test_unplugging_is_a_typed_loss(action: str) -> None:
    master, slave = pty.openpty()
    port = SerialPort(os.ttyname(slave), BAUD)
    os.close(slave)
    os.close(master)
    actions = {"read": port.read, "write": lambda: port.write(b"x"), "flush": port.flush_output}
    with pytest.raises(PortLostError):
        actions[action]()
    with pytest.raises(PortLostError):  # and so is everything after it
        port.flush_output()
    with pytest.raises(PortLostError):
        port.read()


def test_a_full_line_finishes_the_message_it_began_and_drops_newer_ones(
    cable: tuple[int, str],
) -> None:
    master, path = cable
    port = SerialPort(path, BAUD)
    message = bytes(range(1, 251)) * 200
    assert port.write(message)  # more than the driver takes
    assert port._unsent
    assert not port.write(b"new")
    assert port.dropped_writes == 1
    received = _drain(master)
    for _ in range(1000):
        if port.write(b"|last"):
            break
        received += _drain(master)
    received += _drain(master)
    assert received == message + b"|last"
    port.close()


def test_a_message_that_finds_no_room_is_dropped_whole(cable: tuple[int, str]) -> None:
    port = SerialPort(cable[1], BAUD)
    _fill(port.fileno())
    assert not port.write(b"new")
    assert port.dropped_writes == 1
    assert port._unsent == b""
    port.flush_output()
    port.close()


def _fill(descriptor: int) -> None:
    """Until there is no room, and none after a moment: a worker of the kernel may make some."""
    while _wrote(descriptor):
        time.sleep(0.02)


def _wrote(descriptor: int) -> int:
    size, written = 4096, 0
    while size:
        try:
            written += os.write(descriptor, b"x" * size)
        except BlockingIOError:
            size //= 2
    return written


def _drain(master: int) -> bytes:
    received = b""
    while select.select([master], [], [], 0.02)[0]:
        received += os.read(master, 65_536)
    return received


def test_a_real_serial_line_is_marked_exclusive_and_has_low_latency_or_not(
    cable: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pty answers these requests, so the kernel's part is played here."""
    asked: list[int] = []
    kept = bytearray(72)

    def ioctl(_: int, request: int, data: bytearray | int = 0) -> int:
        asked.append(request)
        if request == termios.TIOCSSERIAL:
            kept[:] = bytes(data)
        elif request == termios.TIOCGSERIAL:
            assert isinstance(data, bytearray)
            data[:] = kept
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(os, "major", lambda _: 4)
    others, low_latency = 1 << 28 | 1 << 4, 1 << 13
    kept[16:20] = others.to_bytes(4, "little")
    with_it = SerialPort(cable[1], BAUD)
    asks_exclusive = 0x8004_5440
    assert asked[:3] == [asks_exclusive, termios.TIOCEXCL, termios.TIOCGSERIAL]
    assert int.from_bytes(kept[16:20], "little") == others | low_latency
    assert with_it.low_latency == "on"
    with_it.close()
    # It stays with the driver when a port is closed: without it is also a request.
    without = SerialPort(cable[1], BAUD, low_latency=False)
    assert int.from_bytes(kept[16:20], "little") == others
    assert (without.low_latency, without.ask_low_latency(True)) == ("off", "on")
    monkeypatch.setattr(fcntl, "ioctl", _of_a_driver_that_ignores_it)
    assert without.ask_low_latency(True) == without.low_latency == "off"
    without.close()


def _of_a_driver_that_ignores_it(_: int, __: int, data: bytearray) -> int:
    data[:] = bytes(len(data))
    return 0


def test_a_driver_that_knows_no_low_latency_is_told(cable: tuple[int, str]) -> None:
    port = SerialPort(cable[1], BAUD)
    assert port.low_latency == "the driver cannot: Inappropriate ioctl for device"
    port.close()


def test_a_port_that_another_program_claimed_is_busy_for_the_superuser_too(
    cable: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ioctl(_: int, __: int, data: bytearray) -> int:
        data[0] = 1
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(os, "major", lambda _: 4)
    with pytest.raises(PortUnavailableError, match="exclusively"):
        SerialPort(cable[1], BAUD)


def test_the_kernel_answers_the_question_with_that_number(cable: tuple[int, str]) -> None:
    descriptor = os.open(cable[1], os.O_RDWR | os.O_NOCTTY)
    for request, expected in ((termios.TIOCEXCL, 1), (termios.TIOCNXCL, 0)):
        fcntl.ioctl(descriptor, request)
        answer = bytearray(4)
        fcntl.ioctl(descriptor, 0x8004_5440, answer)
        assert answer[0] == expected
    os.close(descriptor)


def test_the_same_path_is_opened_again_after_replugging(tmp_path: Path) -> None:
    """What pyserial's issue 331 is about: the old descriptor is dead, a new one is not."""
    path = tmp_path / "port"
    for _ in range(3):
        master, slave = pty.openpty()
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(slave))
        port = SerialPort(str(path), BAUD)
        os.write(master, b"here")
        assert port.read() == b"here"
        os.close(slave)
        os.close(master)
        with pytest.raises(PortLostError):
            port.read()
        assert port.fileno() == -1
