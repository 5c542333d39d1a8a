"""The port to Modbus devices on a real pseudo-terminal, and its section of the configuration."""

import os
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.app_hardware import hardware_of
from edge_agent.cli import main
from edge_agent.config import settings_of
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.modbus import ModbusPort
from edge_agent.ports.modbus_frames import Ask, Codec, Function
from edge_agent.ports.modbus_master import ModbusMaster
from edge_agent.ports.modbus_settings import Modbus, ModbusSensor, modbus_plan
from edge_agent.ports.protocol import Port
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.serial_port import SerialPort
from tests.unit.ports.board import Board, config
from tests.unit.ports.modbus_device import registers, row, sealed

MS = 1_000_000
SUPPLY, OUTDOOR = (ENVELOPE.sensor_index[n] for n in ("supply_temperature", "outdoor_temperature"))
ROW = row("supply_temperature", 0, data_type="int16", scale=0.1)
REQUEST = sealed(b"\x07\x04\x00\x00\x00\x01")


def section(*rows: ModbusSensor, **more: Any) -> Modbus:
    wanted = {"port": "bus", "timeout_s": 0.05, "sensor": rows or (ROW,), **more}
    return Modbus(**wanted)


def port_of(board: Board, **more: Any) -> ModbusPort:
    plan = modbus_plan(section(**more), ENVELOPE.sensors, "modbus[0]")
    return ModbusPort("bus", board.open, ModbusMaster(plan, Codec("modbus[0]")))


def test_a_device_is_asked_and_its_answer_is_a_reading(board: Board) -> None:
    port: Port = port_of(board)
    assert port.fileno() is None
    assert port.poll(1000 * MS) == []
    assert port.fileno() is not None
    assert port.poll(1051 * MS) == []
    assert board.heard() == REQUEST
    port.apply(1052 * MS, Command((0, 0, 0, 0), armed=True))
    answer = registers(7, 4, (215,))
    os.write(board.master, answer[:4])
    assert port.poll(1060 * MS) == []
    os.write(board.master, answer[4:])
    assert port.poll(1070 * MS) == [Reading(SUPPLY, 2150, 1070 * MS, Quality.GOOD)]
    assert port.poll(1990 * MS) == []
    assert board.heard() == b""  # one request a period, and nothing else
    status = port.status()
    assert (status["requests"], status["answers"], status["good"]) == (1, 1, 1)
    assert (status["path"], status["fault"], status["unsent"]) == ("bus", "", 0)
    port.close()
    port.close()


def test_a_line_is_found_again_after_unplugging_and_begun_anew(board: Board) -> None:
    port = port_of(board)
    port.poll(0)
    port.poll(51 * MS)
    assert board.heard() == REQUEST
    os.write(board.master, registers(7, 4, (215,))[:4])
    port.poll(60 * MS)
    board.unplug()
    assert port.poll(70 * MS) == []
    assert port.poll(200 * MS) == []
    assert (port.status()["unplugged"], port.status()["fault"]) == (1, "absent")
    board.plug()
    assert port.poll(2_000 * MS) == []
    os.write(board.master, registers(7, 4, (215,))[4:])  # the rest of before
    assert port.poll(2_040 * MS) == []
    assert board.heard() == b""
    port.poll(2_051 * MS)
    assert board.heard() == REQUEST
    os.write(board.master, registers(7, 4, (216,)))
    assert port.poll(2_060 * MS) == [Reading(SUPPLY, 2160, 2_060 * MS, Quality.GOOD)]
    assert port.status()["reconnects"] == 1
    board.unplug()
    port.poll(2_070 * MS)
    board.plug()
    port.poll(2_171 * MS)  # who answered is soon looked for again
    assert port.fileno() is not None
    port.close()


def test_a_driver_that_takes_nothing_is_counted_and_waited_for_no_longer(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SerialPort, "write", lambda _port, _data: False)
    port = port_of(board)
    for tick in range(30):
        port.poll(tick * 100 * MS)
    status = port.status()
    assert status["unsent"] == status["requests"] == status["device_7.silent"] == 3
    port.close()


def test_the_running_agent_has_a_port_for_each_section(board: Board) -> None:
    bus = section(port=os.ttyname(board.slave), parity="odd", stop_bits=2)
    settings = settings_of(config(modbus=(bus,)), "test")
    port = hardware_of(settings).ports["modbus_0"]
    port.poll(0)
    descriptor = port.fileno()
    assert descriptor is not None
    kept = termios.PARODD | termios.CSTOPB  # by a pseudo-terminal, of what was asked
    assert termios.tcgetattr(descriptor)[2] & kept == kept
    port.poll(51 * MS)
    assert board.heard() == REQUEST
    os.write(board.master, registers(7, 4, (215,)))
    assert port.poll(60 * MS) == [Reading(SUPPLY, 2150, 60 * MS, Quality.GOOD)]
    port.close()


# ---- which requests a section makes ----------------------------------------------------------


def asks(*rows: ModbusSensor) -> list[Ask]:
    plan = modbus_plan(section(*rows, period_s=0.1), ENVELOPE.sensors, "modbus[0]")
    return [request.ask for request in plan.requests]


def test_rows_that_touch_are_read_in_one_request_and_others_are_not() -> None:
    read = Function.READ_INPUT_REGISTERS
    assert asks(
        row("supply_temperature", 12),
        row("mixed_temperature", 10, data_type="float32"),
        row("return_temperature", 13, data_type="int32"),
        row("supply_setpoint", 14),
        row("fan_current", 16, unit="A"),
        row("outdoor_temperature", 13, "holding"),
        row("fan_status", 13, "coil", unit="bool"),
        row("damper_position", 17, unit="percent", device_id=8),
    ) == [
        Ask(7, Function.READ_COILS, 13, 1),
        Ask(7, Function.READ_HOLDING_REGISTERS, 13, 1),
        Ask(7, read, 10, 5),
        Ask(7, read, 16, 1),
        Ask(8, read, 17, 1),
    ]


CHANNELS = [limits.name for limits in ENVELOPE.sensors if limits.unit == "degC"]
ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(CHANNELS),
        st.one_of(st.integers(0, 300), st.integers(65_500, 65_534)),
        st.sampled_from(["input", "holding"]),
        data_type=st.sampled_from(["uint16", "float32"]),
        device_id=st.sampled_from([1, 2]),
    ),
    min_size=1,
    max_size=200,
)


@given(ROWS)
def test_every_row_is_in_exactly_one_request_whole_and_no_answer_is_too_long(
    rows: list[ModbusSensor],
) -> None:
    plan = modbus_plan(section(*rows), ENVELOPE.sensors, "modbus[0]")
    places = []
    for request in plan.requests:
        assert request.ask.function in {3, 4}
        assert 1 <= request.ask.quantity <= 125
        assert request.ask.address + request.ask.quantity <= 65_536
        covered: set[int] = set()
        for field in request.fields:
            size = 2 if field.layout == ">f" else 1
            assert field.start + size <= request.ask.quantity
            covered |= set(range(field.start, field.start + size))
            places.append(
                (
                    request.ask.device_id,
                    int(request.ask.function),
                    size,
                    request.ask.address + field.start,
                    field.target.channel,
                )
            )
        assert len(covered) == request.ask.quantity  # nothing is read that no row wants
    wanted = [
        (
            r.device_id,
            3 if r.kind == "holding" else 4,
            2 if r.data_type == "float32" else 1,
            r.address,
            ENVELOPE.sensor_index[r.channel],
        )
        for r in rows
    ]
    assert sorted(places) == sorted(wanted)


def test_a_number_of_two_registers_is_never_torn_apart_by_the_longest_answer() -> None:
    rows = [row("supply_temperature", address) for address in range(124)]
    assert [ask.quantity for ask in asks(*rows, row("outdoor_temperature", 124))] == [125]
    split = asks(*rows, row("outdoor_temperature", 124, data_type="uint32"))
    assert [(ask.address, ask.quantity) for ask in split] == [(0, 124), (124, 2)]


# ---- what cannot work ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "where", "fix"),
    [
        (section(row("suply_temperature", 0)), "sensor[0].channel", "supply_temperature"),
        (section(row("supply_temperature", 0, unit="A")), "sensor[0].unit", "degC"),
        (section(row("supply_temperature", 0, device_id=0)), "sensor[0].device_id", "1 to 247"),
        (section(row("supply_temperature", 0, device_id=248)), "sensor[0].device_id", "1 to 247"),
        (section(row("supply_temperature", -1)), "sensor[0].address", "0 to 65535"),
        (
            section(row("supply_temperature", 65_535, data_type="int32")),
            "sensor[0].address",
            "0 to 65534",
        ),
        (
            section(row("fan_status", 0, "coil", unit="bool", data_type="int16")),
            "sensor[0]",
            "remove `type`",
        ),
        (section(timeout_s=0.0), "timeout_s", "0.01 to 10"),
        (section(period_s=0.001), "period_s", "0.01 to 3600"),
        (section(period_s=150.0), "period_s", "more often"),
        (section(row("supply_temperature", 0, max_age_s=2), timeout_s=2), "timeout_s", "shorter"),
        (section(row("supply_temperature", 0), sensor=()), "sensor", "add a row"),
        (section(port=""), "port", "by-id"),
        (section(baud=12_345), "baud", "19200"),
    ],
)
def test_a_section_that_cannot_work_is_refused_with_place_and_fix(
    wrong: Modbus, where: str, fix: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_of(config(modbus=(wrong,)), "agent.toml")
    assert refused.value.where == f"agent.toml: modbus[0].{where}"
    assert fix in refused.value.fix
    assert refused.value.exit_code == 78


def test_a_channel_has_one_source_and_an_age_may_only_be_tightened() -> None:
    with pytest.raises(ConfigError, match="2 sources"):
        settings_of(config(modbus=(section(), section())), "test")
    with pytest.raises(ConfigError, match="wider"):
        settings_of(config(modbus=(section(row("supply_temperature", 0, max_age_s=999)),)), "test")
    tight = section(row("supply_temperature", 0, max_age_s=5))
    settings = settings_of(config(modbus=(tight,)), "test")
    assert settings.envelope.sensors[SUPPLY].max_age_ns == 5_000 * MS


TOML = """\
device = "air-handler"
mode = "real"
[serial]
port = "mcu"
sensors = ["fan_current", "damper_position"]
[[modbus]]
port = "bus"
sensor = [
  { channel = "supply_temperature", device_id = 7, kind = "input", address = 0, unit = "degC" },
  { channel = "mixed_temperature", device_id = 7, kind = "input", address = 1, unit = "degC" },
  { channel = "return_temperature", device_id = 7, kind = "input", address = 2, unit = "degC" },
  { channel = "supply_setpoint", device_id = 7, kind = "holding", address = 0, unit = "degC" },
  { channel = "fan_status", device_id = 7, kind = "coil", address = 0, unit = "bool" },
  { channel = "occupancy", device_id = 7, kind = "coil", address = 1, unit = "bool" },
  { channel = "outdoor_temperature", device_id = 8, kind = "input", address = 0, unit = "degC" },
]
"""


def test_pymodbus_is_loaded_only_where_a_section_asks_for_it() -> None:
    program = (
        "import edge_agent.app, edge_agent.app_hardware, sys; print('pymodbus' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_without_pymodbus_the_section_and_the_command_are_named_and_the_code_is_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(TOML, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 0
    monkeypatch.setitem(sys.modules, "pymodbus.framer", None)
    capsys.readouterr()
    for verb in ("check", "run"):
        assert main([verb, "--config", str(file), "--state-dir", str(tmp_path / "state")]) == 78
        said = capsys.readouterr().err
        assert f"{file}: modbus[0]: needs the package pymodbus" in said
        assert "pip install 'edge-autonomy[modbus]'" in said
    file.write_text(TOML.replace('"real"', '"simulated"'), encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 0  # a laptop without it can simulate
