"""`edge-agent bridge` against the simulated microcontroller behind a real pseudo-terminal."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent import app_bridge
from edge_agent.app_bridge import CountedLine, matches, reported_sensors
from edge_agent.cli import main
from edge_agent.core.clock import SystemClock
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE, PortError
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import Hello, Kind, schema_hash
from firmware_bridge.port_list import PortEntry
from firmware_bridge.serial_port import SerialPort

FEEDBACK = ["fan_current", "damper_position"]
MCU = [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
AGENT = [sys.executable, "-m", "edge_agent"]


class Device:
    """The simulated microcontroller as a process of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = folder / "tty"
        self.process = subprocess.Popen(
            [*MCU, "--link", str(self.port), "--control", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for(self.port)

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, object]:
        out, _ = self.process.communicate("quit\n", timeout=10)
        return dict(json.loads(out))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["bridge", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_info_says_what_the_firmware_is_and_which_device_it_fits(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "info", device.port)
    assert code == EXIT_OK
    assert "fits air-handler   envelope yes, channels yes" in out
    code, out, _ = run(capsys, "info", device.port, "--json")
    document = json.loads(out)
    assert code == EXIT_OK
    assert document["envelope_hash"] == ENVELOPE.sha256()[:8]
    assert document["reset_reason"] == "power_on"
    assert document["devices"][0]["sensors"] == FEEDBACK
    assert device.end()["safe_reason"] == "BOOT"


def test_monitor_prints_a_line_a_period_and_never_arms(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "monitor", device.port, "--duration", 0.6, "--every", 0.3)
    assert code == EXIT_OK
    lines = out.splitlines()
    assert len(lines) == 2
    assert "link ready device SAFE (BOOT)" in lines[1]
    assert "damper_position" in lines[1]
    assert "supply_fan [0 percent]" in lines[1]
    code, out, _ = run(capsys, "monitor", device.port, "--duration", 0.3, "--json")
    document = json.loads(out)
    assert 30 < document["frames_per_s"] < 70
    assert document["telemetry_age_ms"] < 100
    assert document["values"]["fan_current"]["unit"] == "A"
    report = device.end()
    assert report["state"] == "SAFE"
    assert report["outputs"] == list(ENVELOPE.safe_counts)


def test_monitor_goes_on_through_a_reset_and_a_pulled_cable(device: Device) -> None:
    command = [*AGENT, "bridge", "monitor", str(device.port), "--every", "0.1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        lines = map(json.loads, monitor.stdout)
        assert any(line["state"] == "ready" for line in lines)
        device.tell("reset")
        assert any(line["state"] == "ready" and line["lost_reset"] == 1 for line in lines)
        device.tell("unplug")
        assert any(line["state"] == "closed" and line["fault"] for line in lines)
        device.tell("replug")
        assert any(line["state"] == "ready" and line["reconnects"] == 1 for line in lines)
        monitor.send_signal(signal.SIGINT)
        monitor.communicate(timeout=10)
    assert monitor.returncode == EXIT_OK


def test_on_a_terminal_the_monitor_renews_one_page(device: Device) -> None:
    master, slave = pty.openpty()
    command = [*AGENT, "bridge", "monitor", str(device.port), "--duration", "0.4"]
    subprocess.run(command, stdout=slave, check=True, timeout=20)
    os.close(slave)
    page = os.read(master, 65_536).decode()
    os.close(master)
    assert page.startswith("\x1b[H\x1b[2J")
    assert f"air-handler on {device.port}" in page


def test_bench_measures_round_trips_and_telemetry(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "bench", device.port, "--duration", 0.4, "--json")
    document = json.loads(out)
    assert code == EXIT_OK
    assert document["round_trips"] > 50
    assert 0 < document["p50_us"] <= document["p99_us"] <= document["max_us"]
    assert (document["bad_frames"], document["telemetry_frames_missed"]) == (0, 0)
    assert 30 < document["telemetry_frames_per_s"] < 70
    assert document["low_latency"].startswith("the driver cannot: ")
    assert not [name for name in document if name.endswith("without_low_latency")]
    code, out, _ = run(capsys, "bench", device.port, "--duration", 0.1)
    assert out.splitlines()[1].startswith("round trips ")


def test_bench_says_what_low_latency_buys_where_the_driver_leaves_the_choice(
    device: Device, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pty's driver does not: it is played, and what was asked of it is kept."""
    asked: list[bool] = []

    def ask(port: SerialPort, wanted: bool) -> str:
        asked.append(wanted)
        port.low_latency = "on" if wanted else "off"
        return port.low_latency

    monkeypatch.setattr(SerialPort, "ask_low_latency", ask)
    code, out, _ = run(capsys, "bench", device.port, "--duration", 0.2, "--json")
    document = json.loads(out)
    assert (code, document["low_latency"]) == (EXIT_OK, "on")
    assert 0 < document["p50_us_without_low_latency"] <= document["max_us_without_low_latency"]
    assert asked == [True, False, True]


@pytest.fixture
def cable() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_a_port_that_is_absent_no_port_or_busy_is_said_with_the_fix(
    tmp_path: Path, cable: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "info", tmp_path / "absent")
    assert code == EXIT_TRANSIENT
    assert "lists the ports" in err
    (tmp_path / "file").touch()
    assert "give a serial port" in run(capsys, "info", tmp_path / "file")[2]
    owner = SerialPort(cable[1], 115_200)
    for verb in ("info", "monitor", "bench"):
        code, _, err = run(capsys, verb, cable[1])
        assert code == EXIT_TRANSIENT
        assert "another program has it open" in err
    owner.close()


def test_a_port_without_permission_names_the_group(
    cable: tuple[int, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may own every file, so the kernel's answer is played."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", cable[1])

    monkeypatch.setattr(os, "open", refuse)
    code, _, err = run(capsys, "info", cable[1])
    assert code == EXIT_TRANSIENT
    assert "dialout" in err


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        (b"", "nothing answered in 0.3 s"),
        (b"\x55\xf8\0garbage" * 20, "another --baud"),
        (encode_frame(Frame(Kind.IDENT, 0, 0, (1,)), 0) * 2, "transmit is wired to receive"),
    ],
)
def test_a_port_where_nobody_answers_says_what_was_heard(
    cable: tuple[int, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    heard: bytes,
    words: str,
) -> None:
    master, path = cable
    real = SerialPort.write

    def write(port: SerialPort, data: bytes) -> bool:
        if heard and data:
            os.write(master, heard)
        return real(port, data)

    monkeypatch.setattr(SerialPort, "write", write)
    code, _, err = run(capsys, "info", path, "--wait", 0.3)
    assert code == EXIT_TRANSIENT
    assert words in err


def test_a_cable_pulled_during_the_question_is_said() -> None:
    master, slave = pty.openpty()
    line = CountedLine(os.ttyname(slave), 115_200)
    os.close(slave)
    os.close(master)
    with pytest.raises(PortError, match=r"hung up|Input/output"):
        app_bridge.identify(line, SystemClock(), 1.0)


def hello(**changes: int) -> Hello:
    actuators = tuple(a.name for a in ENVELOPE.actuators)
    fields = {
        "protocol_version": 1,
        "firmware_version": 7,
        "schema_hash": schema_hash(actuators, ("fan_current", "damper_position")),
        "envelope_hash": int(ENVELOPE.sha256()[:8], 16),
        "boot_nonce": 9,
        "reset_reason": 1,
        "deadman_ms": 100,
    }
    return Hello(**{**fields, **changes})


def test_firmware_for_another_envelope_is_told_apart_from_other_channels() -> None:
    (match,) = matches(hello())
    assert match.complete
    (match,) = matches(hello(envelope_hash=1))
    assert (match.envelope_matches, match.sensors) == (False, ("fan_current", "damper_position"))
    (match,) = matches(hello(schema_hash=1))
    assert (match.envelope_matches, match.sensors) == (True, None)
    actuators = tuple(a.name for a in ENVELOPE.actuators)
    swapped = ("damper_position", "fan_current")
    wanted = schema_hash(actuators, swapped)
    assert reported_sensors(ENVELOPE, wanted) == swapped


def test_firmware_that_fits_nothing_is_shown_and_not_monitored(
    cable: tuple[int, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_bridge, "identify", lambda *_: hello(envelope_hash=1))
    code, out, _ = run(capsys, "info", cable[1])
    assert code == EXIT_CONFIG
    assert "envelope NO, channels yes" in out
    assert "reset reason       watchdog" in out
    code, _, err = run(capsys, "monitor", cable[1])
    assert code == EXIT_CONFIG
    assert "no device that is installed here" in err


def test_info_without_a_port_lists_ports_and_opens_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [PortEntry("/dev/ttyACM0", "/dev/serial/by-id/usb-board", "a board")]
    monkeypatch.setattr(app_bridge, "ports", lambda: entries)
    code, out, err = run(capsys, "info")
    assert code == EXIT_OK
    assert out.splitlines()[0] == "/dev/ttyACM0     a board"
    assert "usb-board" in out
    assert "asks who is there" in err
    assert json.loads(run(capsys, "info", "--json")[1])[0]["path"] == "/dev/ttyACM0"
    entries.clear()
    assert "no serial port found" in run(capsys, "info")[2]


@pytest.mark.parametrize(
    "words",
    [
        ("monitor", "--every", "0"),
        ("monitor", "--duration", "nan"),
        ("bench", "--duration", "-1"),
        ("info", "--baud", "12345"),
    ],
)
def test_an_impossible_option_is_wrong_usage(
    device: Device, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, _, err = run(capsys, words[0], device.port, *words[1:])
    assert code == EXIT_USAGE
    assert words[1] in err


@pytest.mark.parametrize(
    ("verb", "taught"),
    [
        ("info", ("hashes", "dead man", "opens none", "Exit 78")),
        ("monitor", ("stays SAFE", "Ctrl-C", "unplugging", "--every")),
        ("bench", ("round-trip", "not armed", "--duration")),
    ],
)
def test_the_help_of_every_verb_teaches(
    verb: str, taught: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bridge", verb, "--help"])
    assert stop.value.code == EXIT_OK
    text = " ".join(capsys.readouterr().out.split())
    for words in taught:
        assert words in text
