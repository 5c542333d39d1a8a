"""`edge-agent safe` against the simulated microcontroller: what it claims is what the pins do."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgpack
import msgspec
import pytest

from edge_agent.app_safe import make_safe
from edge_agent.cli import main
from edge_agent.config import load
from edge_agent.core.clock import SystemClock
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE
from edge_agent.core.records import Command
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.serial_port import SerialPort

FEEDBACK = ("fan_current", "damper_position")
DEADMAN_MS = 500  # the longest there is: whoever is sooner was asked
MCU = (
    *(sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"),
    *("--control", "--deadman-ms", str(DEADMAN_MS)),
)
OPEN = (100, 100, 0, 100)


class Bench:
    """A board on its port, with a log of its pins, and a configuration that names it."""

    def __init__(self, folder: Path) -> None:
        self.link, self.pins = folder / "tty", folder / "pins.log"
        self.config = folder / "agent.toml"
        self.process = subprocess.Popen(
            [*MCU, "--link", str(self.link), "--log", str(self.pins)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        until(self.link.is_symlink)
        self.configure()

    def configure(self, port: Path | None = None, sensors: tuple[str, ...] = FEEDBACK) -> None:
        lines = ['device = "air-handler"\nmode = "real"\n']
        lines += [f'[serial]\nport = "{port or self.link}"\nsensors = {json.dumps(sensors)}\n']
        lines += ["[mqtt]\n"]
        for sensor in ENVELOPE.sensors:
            if sensor.name not in FEEDBACK:
                unit = "bool" if sensor.unit == "bool" else "degC"
                lines += ["[[mqtt.sensor]]\n", f'channel = "{sensor.name}"\nunit = "{unit}"\n']
                lines += [f'topic = "{sensor.name}"\n']
        self.config.write_text("".join(lines), encoding="utf-8")

    def safe(self, *words: str) -> int:
        return main(["safe", "--config", str(self.config), *words])

    def outputs(self) -> list[list[int]]:
        with self.pins.open("rb") as stream:
            return [record[1] for record in msgpack.Unpacker(stream)]

    def end(self) -> dict[str, object]:
        out, _ = self.process.communicate("quit\n", timeout=10)
        return dict(json.loads(out))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def leave_armed(bench: Bench) -> None:
    """A control process that vanished in mid-move."""
    nonces = iter(range(1, 1000))
    opener = partial(SerialPort, str(bench.link), 115200)
    port = SerialBridgePort("port", opener, ENVELOPE, FEEDBACK, lambda: next(nonces))

    def moves() -> bool:
        port.poll(time.monotonic_ns())
        port.apply(time.monotonic_ns(), Command(OPEN, armed=True))
        return bool(bench.outputs()) and max(bench.outputs()[-1]) > 0

    until(moves)
    port.close()


def test_an_armed_device_is_made_safe_at_once_and_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_armed(bench)
    assert bench.safe() == EXIT_OK
    assert bench.outputs()[-1] == [0, 0, 0, 0]
    assert "word: outdoor_damper 0 percent, cooling_valve 0 percent" in capsys.readouterr().out
    report = bench.end()
    assert report["safe_reason"] != "DEAD_MAN"  # it was asked before its own time was up
    assert report["state"] == "SAFE"


def test_a_device_that_is_safe_says_so(bench: Bench) -> None:
    assert bench.safe() == EXIT_OK


def test_an_absent_port_is_no_harm_and_no_success(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.configure(tmp_path / "absent")
    assert bench.safe("--wait", "0.3") == EXIT_TRANSIENT
    assert "dead man" in capsys.readouterr().err


def test_an_agent_that_runs_keeps_its_port(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    port = SerialPort(str(bench.link), 115200)
    assert bench.safe("--wait", "0.3") == EXIT_TRANSIENT
    port.close()
    assert "temporarily unavailable" in capsys.readouterr().err
    assert bench.end()["safe_reason"] == "BOOT"  # nobody spoke to it


def test_other_firmware_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.configure(sensors=("damper_position", "fan_current"))
    assert bench.safe("--wait", "0.5") == EXIT_TRANSIENT
    assert "schema hash" in capsys.readouterr().err


def test_noise_is_no_word_of_safety(bench: Bench, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    os.write(master, b"SAFE\x00safe\x00" + bytes(range(256)))
    bench.configure(Path(os.ttyname(slave)))
    assert bench.safe("--wait", "0.3") == EXIT_TRANSIENT
    os.close(slave)
    os.close(master)


def test_simulated_hardware_needs_nothing(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("", encoding="utf-8")
    assert main(["safe", "--config", str(config)]) == EXIT_OK


def test_what_hangs_on_a_broker_is_not_called_confirmed() -> None:
    found = load(None)
    config = msgspec.structs.replace(found.config, mode="real", serial=None)
    words = make_safe(msgspec.structs.replace(found, config=config), SystemClock(), 0.1)
    assert "by its own timer, unconfirmed" in words


def test_a_broken_configuration_names_no_port(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("mode = 'reel'", encoding="utf-8")
    assert main(["safe", "--config", str(config)]) == EXIT_CONFIG


@pytest.mark.parametrize("wait", ["0", "-1", "nan", "61"])
def test_a_wait_that_is_none_is_usage(bench: Bench, wait: str) -> None:
    assert bench.safe("--wait", wait) == EXIT_USAGE
