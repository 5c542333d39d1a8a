"""Boards that are not ours: any chunking, every damaged line, and a real pseudo-terminal."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.app_hardware import hardware_of
from edge_agent.config import settings_of
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import Cause
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.protocol import Port
from edge_agent.ports.serial_lines import SerialLinesPort
from edge_agent.ports.serial_lines_decode import LINE_MAX, LineBuffer, LineDecoder
from edge_agent.ports.serial_lines_settings import LineSensor, SerialLines, line_decoder
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.ports.board import Board, config

MS = 1_000_000
SUPPLY, OUTDOOR, FAN = (
    ENVELOPE.sensor_index[n] for n in ("supply_temperature", "outdoor_temperature", "fan_status")
)


def row(channel: str, path: str, unit: str = "degC", **more: Any) -> LineSensor:
    return LineSensor(channel=channel, path=path, unit=unit, **more)


def decoder(form: Any, *rows: LineSensor, columns: int = 0) -> LineDecoder:
    section = SerialLines(port="x", form=form, sensor=rows, columns=columns)
    return line_decoder(section, ENVELOPE.sensors, "serial_lines[0]")


JSON = decoder("json", row("supply_temperature", "t.0"), row("fan_status", "fan", "bool"))
CSV = decoder("csv", row("supply_temperature", "2"), row("outdoor_temperature", "3", "degF"))
FIXED = decoder("csv", row("supply_temperature", "2"), columns=3)
NMEA = decoder("nmea", row("outdoor_temperature", "MDA.5"), row("supply_temperature", "WIXDR.2"))


def nmea(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}".encode()


@pytest.mark.parametrize(
    ("reader", "line", "said"),
    [
        (JSON, b'{"t": [21.5], "fan": true}', {SUPPLY: 2150, FAN: 1}),
        (JSON, b'{"t": [1e999], "fan": 0}', {SUPPLY: Cause.NOT_FINITE, FAN: 0}),
        (JSON, b'{"t": [NaN], "fan": "on"}', {SUPPLY: Cause.NOT_FINITE, FAN: Cause.NOT_A_NUMBER}),
        (JSON, b'{"t": [true], "fan": null}', {SUPPLY: Cause.WRONG_TYPE, FAN: Cause.NULL}),
        (JSON, b'{"t": []}', {SUPPLY: Cause.PATH_MISSING, FAN: Cause.PATH_MISSING}),
        (JSON, b"booting...", {SUPPLY: Cause.NOT_JSON, FAN: Cause.NOT_JSON}),
        (JSON, b"\xff\xfe", {SUPPLY: Cause.NOT_TEXT, FAN: Cause.NOT_TEXT}),
        (JSON, b"[" * 50, {SUPPLY: Cause.NOT_JSON, FAN: Cause.NOT_JSON}),
        (JSON, b'{"t": [' + b"9" * 400 + b'], "fan": 1}', {SUPPLY: Cause.BEYOND_COUNTS, FAN: 1}),
        (CSV, b"17, 21.5 ,53.6", {SUPPLY: 2150, OUTDOOR: 1200}),
        (CSV, b"17,21.5", {SUPPLY: 2150, OUTDOOR: Cause.PATH_MISSING}),
        (CSV, b"17,nan,-inf", {SUPPLY: Cause.NOT_FINITE, OUTDOOR: Cause.NOT_FINITE}),
        (CSV, b"time,supply,", {SUPPLY: Cause.NOT_A_NUMBER, OUTDOOR: Cause.EMPTY}),
        (CSV, b"1,\xe9,2", {SUPPLY: Cause.NOT_TEXT, OUTDOOR: Cause.NOT_TEXT}),
        (FIXED, b"1,2,3", {SUPPLY: 200}),
        (FIXED, b"1,2", {SUPPLY: Cause.WRONG_COLUMNS}),
        (FIXED, b"1,2,3,4", {SUPPLY: Cause.WRONG_COLUMNS}),
        (NMEA, nmea("WIMDA,30,I,1,B,12.5,C"), {OUTDOOR: 1250}),
        (NMEA, nmea("IIMDA,30,I,1,B,12.5,C"), {OUTDOOR: 1250}),
        (NMEA, nmea("WIXDR,C,19.5,C"), {SUPPLY: 1950}),
        (NMEA, nmea("IIXDR,C,19.5,C"), {}),
        (NMEA, nmea("GPGGA,1,2"), {}),
        (NMEA, nmea("WIMDA,,,,,,"), {OUTDOOR: Cause.EMPTY}),
        (NMEA, nmea("WIMDA,1"), {OUTDOOR: Cause.PATH_MISSING}),
        (NMEA, b"$WIMDA,30,I,1,B,12.5,C*00", {OUTDOOR: Cause.CHECKSUM}),
        (NMEA, b"$WIMDA,30,I,1,B,12.5,C", {OUTDOOR: Cause.CHECKSUM}),
        (NMEA, nmea("WIMDA,30,I,1,B,12.5,C").replace(b"12.5", b"13.5"), {OUTDOOR: Cause.CHECKSUM}),
        (NMEA, b"WIMDA,1", {}),
        (NMEA, b"$\xff", {}),
    ],
)
def test_a_line_says_what_it_says_and_no_more(
    reader: LineDecoder, line: bytes, said: dict[int, int | Cause]
) -> None:
    assert dict(reader.decode(line)) == said


@given(st.binary(max_size=300))
def test_no_line_raises_whatever_it_holds(noise: bytes) -> None:
    for reader in (JSON, CSV, FIXED, NMEA):
        reader.decode(noise)


@given(st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b)), st.integers(1, 9))
def test_lines_survive_any_chunking(lines: list[bytes], size: int) -> None:
    stream = b"half\n" + b"".join(line + b"\r\n" for line in lines)
    buffer, found = LineBuffer(), []
    for position in range(0, len(stream), size):
        found += buffer.feed(stream[position : position + size])
    assert found == [stripped for line in lines if (stripped := line.strip(b"\r\t "))]
    assert buffer.too_long == 0


def test_an_endless_line_is_dropped_and_counted_once_and_the_next_is_read() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"\n") == []
    for _ in range(10):
        assert buffer.feed(b"x" * 500) == []
        assert len(buffer._tail) <= LINE_MAX
    assert buffer.feed(b"\ngood\n" + b"y" * (LINE_MAX + 1) + b"\n") == [b"good"]
    assert buffer.too_long == 2


@pytest.mark.parametrize(
    ("form", "wrong", "where", "fix"),
    [
        ("json", row("supply_temperature", ""), "sensor[0].path", "joined by dots"),
        ("csv", row("supply_temperature", "0"), "sensor[0].path", "from 1"),
        ("csv", row("supply_temperature", "t"), "sensor[0].path", "from 1"),
        ("nmea", row("supply_temperature", "5"), "sensor[0].path", "MDA.5"),
        ("json", row("suply_temperature", "t"), "sensor[0].channel", "supply_temperature"),
        ("json", row("supply_temperature", "t", "degc"), "sensor[0].unit", "degC"),
        ("json", row("supply_temperature", "t", "percent"), "sensor[0].unit", "degF"),
        ("json", row("supply_temperature", "t", scale=0.0), "sensor[0].scale", "1.0"),
    ],
)
def test_a_row_that_cannot_work_is_refused_with_place_and_fix(
    form: Any, wrong: LineSensor, where: str, fix: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        decoder(form, wrong)
    assert refused.value.where == f"serial_lines[0].{where}"
    assert fix in refused.value.fix


def test_columns_are_checked_against_the_rows() -> None:
    with pytest.raises(ConfigError, match="column 4 of 3"):
        decoder("csv", row("supply_temperature", "4"), columns=3)
    with pytest.raises(ConfigError, match="out of range"):
        decoder("csv", row("supply_temperature", "4"), columns=-1)
    with pytest.raises(ConfigError, match="no rows"):
        decoder("csv")


# ---- a real line -----------------------------------------------------------------------------


def test_lines_become_readings_and_the_newest_of_a_channel_counts(board: Board) -> None:
    port: Port = SerialLinesPort("weather", board.open, CSV)
    assert port.fileno() is None
    assert port.poll(1) == []
    assert port.fileno() is not None
    os.write(board.master, b"lf a line\n1,20,50\n2,21,nan\n3,2")
    assert port.poll(2) == [
        Reading(SUPPLY, 2100, 2, Quality.GOOD),
        Reading(OUTDOOR, 0, 2, Quality.INVALID),
    ]
    os.write(board.master, b"2,50\nhello\n")
    assert [r.quality for r in port.poll(3)] == [Quality.INVALID, Quality.INVALID]
    status = port.status()
    assert (status["lines"], status["good"], status["not_finite"]) == (4, 5, 1)
    assert status["path_missing"] == 2
    port.apply(4, Command((0, 0, 0, 0), armed=True))
    assert board.heard() == b""  # nothing is ever sent
    port.close()
    port.close()


def test_a_board_is_found_again_after_unplugging(board: Board) -> None:
    port = SerialLinesPort("weather", board.open, NMEA)
    port.poll(0)
    board.unplug()
    assert port.poll(1) == []
    assert port.status()["unplugged"] == 1
    assert port.poll(200 * MS) == []
    assert port.status()["fault"] == "absent"
    board.plug()
    assert port.poll(250 * MS) == []  # it waits before it tries again
    port.poll(2_000 * MS)
    os.write(board.master, b"\nnoise\n" + nmea("WIMDA,30,I,1,B,12.5,C") + b"\r\n")
    assert port.poll(2_001 * MS) == [Reading(OUTDOOR, 1250, 2_001 * MS, Quality.GOOD)]
    status = port.status()
    assert (status["reconnects"], status["lines_about_nothing"]) == (1, 1)
    port.close()


# ---- the configuration -----------------------------------------------------------------------


def section(**more: Any) -> SerialLines:
    rows = (row("supply_temperature", "2", max_age_s=30),)
    return SerialLines(**{"port": "board", "form": "csv", "baud": 4800, "sensor": rows, **more})


def test_a_section_is_a_source_and_a_port_of_the_running_agent(board: Board) -> None:
    settings = settings_of(config(serial_lines=(section(port=os.ttyname(board.slave)),)), "test")
    assert settings.envelope.sensors[SUPPLY].max_age_ns == 30_000 * MS
    hardware = hardware_of(settings)
    port = hardware.ports["serial_lines_0"]
    port.poll(0)
    os.write(board.master, b"\n1,20\n")
    assert port.poll(1) == [Reading(SUPPLY, 2000, 1, Quality.GOOD)]
    port.close()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ((), "supply_temperature' has no sources"),
        ((section(), section()), "supply_temperature' has 2 sources"),
        ((section(port=""),), "is empty"),
        ((section(baud=12345),), "not a standard baud rate"),
        ((section(sensor=(row("supply_temperature", "2", max_age_s=900),)),), "wider"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    sections: tuple[SerialLines, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        settings_of(config(serial_lines=sections), "test")
