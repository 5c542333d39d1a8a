"""The account of a played day counts what is there, and says what is not."""

from pathlib import Path

import msgspec
import pytest

from bench.real_day_account import DayAccount, compare
from edge_agent.core.records import Mode, Quality, Reading, Reason, Rule, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.sim.sample_ticks import snapshot, tick

FIRST = ENVELOPE.sensor_index["supply_temperature"]
FAN = ENVELOPE.actuator_index["supply_fan"]


def fan_at(number: int, percent: float) -> TickRecord:
    return tick(number, (0, 0, 0, round(10 * percent)))


def with_row(before: TickRecord, rows: int = 1, quality: int = Quality.GOOD) -> TickRecord:
    """The same tick, in which `rows` rows of the log came in."""
    reading = Reading(FIRST, 1800, before.now_ns, quality)
    return msgspec.structs.replace(before, readings=(reading,) * rows)


def account_of(*ticks: TickRecord) -> DayAccount:
    account = DayAccount(ENVELOPE)
    for one in ticks:
        account.add(one)
    return account


def test_a_row_is_answered_by_the_command_before_the_next_row() -> None:
    ticks = [with_row(fan_at(1, 0.5)), fan_at(2, 1.0), with_row(fan_at(3, 1.5)), fan_at(4, 2.0)]
    commands = account_of(tick(0, mode=Mode.ARMING), *ticks).commands
    assert [c and c[FAN] for c in commands] == [10, None]  # the last row has no next one


def test_two_rows_in_one_tick_share_the_command_before_them() -> None:
    ticks = [with_row(fan_at(1, 0.5)), with_row(fan_at(2, 1.0), rows=2), with_row(fan_at(3, 1.5))]
    commands = account_of(tick(0, mode=Mode.ARMING), *ticks).commands
    assert len(commands) == 4
    assert commands[0] is not None


def test_missing_ticks_are_counted() -> None:
    assert account_of(tick(5), tick(6), tick(9)).gap_ticks == 2


def test_a_command_outside_the_envelope_is_named() -> None:
    found = account_of(tick(0, mode=Mode.ARMING), fan_at(1, 90.0)).outside
    assert found == ["tick 1: supply_fan moved 900 in 100000000 ns, too fast"]


def test_only_what_happens_while_rows_come_in_is_shared_out() -> None:
    reasons = (Reason(Rule.RATE_UP, len(ENVELOPE.sensors) + FAN, 300), Reason(Rule.LATE))
    bad = msgspec.structs.replace(
        with_row(tick(2, mode=Mode.HOLDING, reasons=reasons), quality=Quality.INVALID),
        snapshot=snapshot(bad=FIRST),
    )
    document = account_of(
        tick(0, mode=Mode.ARMING), with_row(tick(1)), bad, with_row(tick(3)), tick(4)
    ).document()
    assert document["modes"] == document["modes_occupied"] == {"ACTIVE": 1, "HOLDING": 1}
    assert document["not_good"] == {"supply_temperature INVALID": 1}
    assert document["reasons"] == {"RATE_UP supply_fan": 1, "LATE": 1}
    assert document["readings"]["supply_temperature"] == {"GOOD": 2, "INVALID": 1}
    assert document["readings"]["occupancy"] == {}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three rows; in the last one the real fan stands still."""
    signals = ("Outdoor Air Damper", "Cooling Coil Valve", "Heating Coil Valve")
    names = [f"AHU: {name} Control Signal" for name in (*signals, "Supply Air Fan Speed")]
    header = ",".join(["Datetime", *names, "AHU: Supply Air Fan Status"])
    rows = ["1/1/2020 0:00,0.4,0,0.5,0.5,1", "1/1/2020 0:01,0.2,0,0,0.5,1"]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([header, *rows, "1/1/2020 0:02,1,1,1,1,0"]) + "\n", encoding="utf-8")
    return path


def test_commands_are_compared_where_the_real_fan_ran(log: Path) -> None:
    table = compare(ENVELOPE, log, [(200, 0, 0, 500), (200, 0, 100, 500), (0, 0, 0, 0)])
    damper, cooling, heating, fan = table
    assert damper == {
        "actuator": "outdoor_damper",
        "rows": 2,
        "ours": 20.0,
        "theirs": 30.0,
        "difference": 10.0,
        "both_open": 100.0,
        "ours_open": 0.0,
        "theirs_open": 0.0,
        "both_shut": 0.0,
    }
    assert cooling["both_shut"] == 100.0
    assert (heating["ours_open"], heating["theirs_open"], heating["difference"]) == (50, 50, 30)
    assert fan["difference"] == 0.0


def test_rows_without_a_command_are_left_out(log: Path) -> None:
    assert [row["rows"] for row in compare(ENVELOPE, log, [None, (0, 0, 0, 0)])] == [1] * 4
    assert compare(ENVELOPE, log, [])[0]["rows"] == 0
