"""`edge-agent run` with real Modbus devices: pymodbus' own server, in a process of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.app_doctor import Patient
from edge_agent.app_doctor_line import serial
from edge_agent.config import load
from edge_agent.core.clock import NS_PER_S, ManualClock, SystemClock
from edge_agent.core.records import Quality
from edge_agent.ports.modbus_frames import REQUEST_SIZE
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu_terminal import Terminal
from tests.system.modbus_line import ModbusLine
from tests.system.whole_agent import Site
from tests.unit.ports.modbus_device import crc, registers

pytestmark = pytest.mark.xdist_group("whole-agent")

MCU = """\
[serial]
port = "./mcu"
sensors = ["fan_current", "damper_position"]
"""
CONFIG = f"""\
device = "air-handler"
mode = "real"
[loop]
rate_hz = 50.0
{MCU}[[modbus]]
port = "./bus"
parity = "none"
timeout_s = 0.2
period_s = 0.2
[[modbus.sensor]]
channel = "supply_temperature"
device_id = 7
kind = "input"
address = 0
type = "int16"
scale = 0.1
unit = "degC"
max_age_s = 1.5
[[modbus.sensor]]
channel = "mixed_temperature"
device_id = 7
kind = "input"
address = 1
type = "int16"
unit = "degC"
[[modbus.sensor]]
channel = "return_temperature"
device_id = 7
kind = "input"
address = 2
scale = 0.1
unit = "degC"
[[modbus.sensor]]
channel = "outdoor_temperature"
device_id = 7
kind = "input"
address = 10
type = "float32"
unit = "degF"
[[modbus.sensor]]
channel = "supply_setpoint"
device_id = 7
kind = "holding"
address = 0
unit = "degC"
[[modbus.sensor]]
channel = "fan_status"
device_id = 7
kind = "coil"
address = 3
unit = "bool"
[[modbus.sensor]]
channel = "occupancy"
device_id = 7
kind = "discrete-input"
address = 3
unit = "bool"
"""
SIMULATED = CONFIG.replace(MCU, "").replace('"real"', '"simulated"')  # the doctor asks by itself
VALUES = {
    "supply_temperature": 18.2,
    "mixed_temperature": -10.0,
    "return_temperature": 22.4,
    "outdoor_temperature": 12.0,
    "supply_setpoint": 13.0,
    "fan_status": 1.0,
    "occupancy": 0.0,
}
RIGHT = {
    (channel, round(VALUES[limits.name] * limits.counts_per_unit))
    for channel, limits in enumerate(ENVELOPE.sensors)
    if limits.name in VALUES
}


class Plant:
    """The agent, and the line that it reads."""

    def __init__(self, site: Site, line: ModbusLine) -> None:
        self.site = site
        self.line = line

    def channel(self, name: str) -> dict[str, Any]:
        channel: dict[str, Any] = self.site.control().get("channels", {}).get(name, {})
        return channel

    def port(self) -> dict[str, Any]:
        port: dict[str, Any] = self.site.control().get("modbus_0", {})
        return port

    def until_quality(self, name: str, quality: str) -> None:
        self.site.until(lambda: self.channel(name).get("quality") == quality, f"{name} {quality}")

    def until_more_answers(self, number: int) -> None:
        seen = self.port()["answers"]
        self.site.until(lambda: self.port()["answers"] >= seen + number, "it goes on")

    def faults(self) -> int:
        """How many requests had no answer."""
        return sum(count for name, count in self.port().items() if name.startswith("device_"))

    def noise_while_nothing_is_asked(self) -> bool:
        """Whether some came then; most of the time an answer is waited for."""
        self.line.noise(b"\xff")
        return int(self.port().get("unasked_bytes", 0)) > 0

    def believed(self) -> set[tuple[int, int]]:
        """Every (channel, counts) that was GOOD in any tick that was recorded."""
        return {
            (reading.channel, reading.counts)
            for tick in self.site.recorded()
            for reading in tick.readings
            if reading.quality == Quality.GOOD
        }

    def until_all_good(self) -> None:
        for name in VALUES:
            self.until_quality(name, "GOOD")


@contextlib.contextmanager
def running(config: str) -> Iterator[Plant]:
    with Site() as site, ModbusLine(site.folder) as line:
        site.config.write_text(config, encoding="utf-8")
        site.start("agent")
        yield Plant(site, line)


@pytest.fixture
def plant() -> Iterator[Plant]:
    with running(CONFIG) as made:
        yield made


def test_the_doctor_asks_the_devices_itself(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(SIMULATED, encoding="utf-8")
    with ModbusLine(tmp_path) as line, contextlib.chdir(tmp_path):
        settings = load(config)
        (found,) = serial(Patient(settings, None, (), SystemClock()))
        assert "7 of 7 channels good" in found.words
        assert found.fix == ""
        line.freeze()
        (found,) = serial(Patient(settings, None, (), SystemClock()))
        assert "0 of 7 channels good" in found.words
        assert "device_id" in found.fix
        line.unplug()
        (found,) = serial(Patient(settings, None, (), SystemClock()))
        assert "No such file" in found.words


class Leaping(ManualClock):
    """Half a second passes whenever somebody looks."""

    def now_ns(self) -> int:
        self.advance_ns(NS_PER_S // 2)
        return super().now_ns()


def test_the_doctor_listens_for_longer_than_the_line_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    slow = SIMULATED.replace("timeout_s = 0.2", "timeout_s = 3.5").replace("max_age_s = 1.5", "")
    config.write_text(slow, encoding="utf-8")
    bus = Terminal(tmp_path / "bus")  # nobody answers
    with contextlib.chdir(tmp_path):
        (found,) = serial(Patient(load(config), None, (), Leaping()))
        assert len(bus.read()) == REQUEST_SIZE
    bus.unplug()
    assert found.words == "./bus: 0 answers to 1 requests, 0 of 7 channels good in 6.5 s"


@pytest.mark.parametrize(
    ("name", "counts", "words", "fix"),
    [
        ("modbus_0", {"requests": 0, "answers": 0}, "0 answers to 0 requests", ""),
        ("modbus_0", {"requests": 9, "answers": 0}, "0 answers to 9 requests", "device_id"),
        ("modbus_0", {"requests": 9, "answers": 1}, "1 answers to 9 requests", ""),
        ("serial_lines_0", {}, "0 lines", "format"),
        ("serial_lines_0", {"lines": 1}, "1 lines", ""),
        ("serial", {"state": "armed"}, "armed", ""),
    ],
)
def test_the_doctor_warns_of_a_running_agent_that_hears_nothing(
    tmp_path: Path, name: str, counts: dict[str, int], words: str, fix: str
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(CONFIG, encoding="utf-8")
    control = {name: {"path": "./x", "fault": "", **counts}}
    (found,) = serial(Patient(load(config), control, (), SystemClock()))
    assert found.words == f"{name} ./x: {words}, held by the running agent"
    assert bool(found.fix) == bool(fix)
    assert fix in found.fix


def test_every_kind_and_type_is_read_and_nothing_is_ever_written(plant: Plant) -> None:
    plant.until_all_good()
    channels = plant.site.control()["channels"]
    assert {name: channels[name]["value"] for name in VALUES} == VALUES
    assert all(channels[name]["age_s"] < 1 for name in VALUES)
    patient = Patient(load(plant.site.config), plant.site.control(), (), SystemClock())
    (told,) = [f for f in serial(patient) if "modbus_0" in f.words]
    assert "answers to" in told.words
    assert "held by the running agent" in told.words
    port = plant.port()
    assert port["answers"] >= 5
    assert port["good"] >= 7
    assert port["unasked_bytes"] == 0
    asked = plant.line.asked
    frames = [asked[at : at + 8] for at in range(0, len(asked) - 7, 8)]
    assert len(frames) >= 5
    assert all(frame[1] in {1, 2, 3, 4} and crc(frame[:-2]) == frame[-2:] for frame in frames)


def test_a_device_that_hangs_grows_old_and_what_it_says_later_is_not_believed(
    plant: Plant,
) -> None:
    plant.until_all_good()
    plant.line.freeze()
    plant.until_quality("supply_temperature", "STALE")
    assert plant.channel("supply_temperature")["value"] == VALUES["supply_temperature"]
    assert plant.port()["device_7.silent"] >= 3
    plant.line.let_go()
    plant.until_all_good()
    plant.until_more_answers(5)
    assert plant.believed() == RIGHT
    assert plant.site.alive()


def test_noise_costs_an_answer_and_no_more() -> None:
    """The timeout is one that no busy machine exceeds, so every fault is the noise's."""
    with running(CONFIG.replace("timeout_s = 0.2", "timeout_s = 1")) as plant:
        plant.until_all_good()
        damaged = registers(7, 4, (999, 999, 999))[:-1]
        for burst in (b"\x00", b"\xff" * 300, damaged, b"\x07\x04\x06"):
            before = plant.faults()
            plant.line.noise(burst)
            plant.until_more_answers(5)
            assert plant.faults() <= before + 1
        plant.site.until(plant.noise_while_nothing_is_asked, "bytes that nobody asked for")
        plant.until_all_good()
        assert plant.believed() == RIGHT


def test_an_unplugged_adapter_is_reported_and_found_again(plant: Plant) -> None:
    plant.until_all_good()
    plant.line.unplug()
    plant.until_quality("supply_temperature", "STALE")
    port = plant.port()
    assert port["unplugged"] == 1
    assert port["fault"]
    plant.line.replug()
    plant.until_all_good()
    assert plant.port()["reconnects"] == 1
    assert plant.port()["fault"] == ""


BUSY = """\
[[modbus.sensor]]
channel = "supply_temperature"
device_id = 9
kind = "input"
address = 0
unit = "degC"
"""
ABSENT = BUSY.replace("device_id = 9", "device_id = 7").replace("address = 0", "address = 4711")


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        pytest.param(BUSY, "device_9.exception_server_device_busy", id="busy"),
        pytest.param(ABSENT, "device_7.exception_illegal_data_address", id="absent"),
    ],
)
def test_a_device_that_refuses_makes_its_own_channel_invalid(rows: str, cause: str) -> None:
    """A register that does not exist, and a device that will not."""
    head, _, rest = CONFIG.partition("[[modbus.sensor]]\n")
    others = rest.partition("[[modbus.sensor]]\n")[2]
    with running(f"{head}[[modbus.sensor]]\n{others}{rows}") as plant:
        plant.until_quality("supply_temperature", "INVALID")
        plant.until_quality("mixed_temperature", "GOOD")
        assert plant.port()[cause] >= 1
