"""Two recorded days, and an hour with faults, through the whole system as real processes.

All three play at the same time, each with a broker, a folder and a device of its own; the
tests then look at what everybody said and at what was recorded. What the log holds is read
here with nothing but `csv`, so that the account does not check itself.
"""

import csv
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench import real_day
from bench.real_day_account import document_of
from bench.real_day_replay import replay
from bench.real_day_report import into_document, markdown
from bench.real_day_run import Day, Played, play_together
from bench.report import machine
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Mode, Quality, Rule, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE

pytestmark = pytest.mark.xdist_group("real_days")

DAYS = ("mzvav", "szcav")
# Channel -> columns of the log whose mean it is, as the example maps have it.
_COMMON: Mapping[str, tuple[str, ...]] = {
    "supply_temperature": ("AHU: Supply Air Temperature",),
    "mixed_temperature": ("AHU: Mixed Air Temperature",),
    "outdoor_temperature": ("AHU: Outdoor Air Temperature",),
    "return_temperature": ("AHU: Return Air Temperature",),
    "fan_status": ("AHU: Supply Air Fan Status",),
    "occupancy": ("Occupancy Mode Indicator",),
}
_SETPOINT = "AHU: Supply Air Temperature Set Point"
_BAND = (
    "AHU: Supply Air Temperature Heating Set Point",
    "AHU: Supply Air Temperature Cooling Set Point",
)
COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mzvav": {**_COMMON, "supply_setpoint": (_SETPOINT,)},
    "szcav": {**_COMMON, "supply_setpoint": _BAND},
}
# The hour with faults: SZCAV's first rows, half a second each; one and a half may be missed.
FAULTS_SPEED, FAULTS_ROWS, FAULTS_MAX_AGE_ROWS = 120.0, 60, 1.5
BLANK_ROW, EMPTY_ROW, MISSING_ROW, NEGATIVE_ROW = 15, 25, 35, 45


@dataclass(frozen=True)
class Log:
    """A log as text: its header without blanks, and its rows."""

    header: list[str]
    rows: list[list[str]]

    @classmethod
    def read(cls, path: Path) -> "Log":
        opener = lzma.open if path.suffix == ".xz" else open
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        return cls([name.strip() for name in header], rows)

    def write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([self.header, *self.rows])

    def cells(self, columns: Sequence[str]) -> list[float | None]:
        """Per row the mean of `columns`, or None where one of them is no number."""
        indexes = [self.header.index(name) for name in columns]
        found: list[float | None] = []
        for row in self.rows:
            try:
                found.append(sum(float(row[i]) for i in indexes) / len(indexes))
            except ValueError:
                found.append(None)
        return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """Both days and the hour with faults, played."""
    folder = tmp_path_factory.mktemp("days")
    days = real_day.days_of(DAYS, real_day.SPEED, real_day.MAX_AGE_ROWS)
    return {p.day.name: p for p in play_together([*days, _with_faults(days[1], folder)], folder)}


@pytest.fixture(scope="module", params=DAYS)
def played(everything: dict[str, Played], request: pytest.FixtureRequest) -> Played:
    """One of the days."""
    return everything[request.param]


@pytest.fixture(scope="module")
def faulty(everything: dict[str, Played]) -> Played:
    """The hour with faults."""
    return everything["faults"]


def _with_faults(day: Day, folder: Path) -> Day:
    """SZCAV's first rows with what its day does not hold: blanks, a gap, a negative flag."""
    log = Log.read(day.log)
    rows = [list(row) for row in log.rows[:FAULTS_ROWS]]
    rows[BLANK_ROW][log.header.index(_BAND[0])] = ""
    rows[EMPTY_ROW][log.header.index("AHU: Outdoor Air Temperature")] = ""
    rows[NEGATIVE_ROW][log.header.index("Occupancy Mode Indicator")] = "-0.04"
    del rows[MISSING_ROW]
    path = folder / "szcav-with-faults.csv"
    Log(log.header, rows).write(path)
    # Blank set-points are not sent, as in the example map; a blank outdoor temperature is.
    text = day.mapping.read_text(encoding="utf-8")
    topic = 'topic = "ahu/outdoor_temperature"'
    assert topic in text
    mapping = folder / "szcav-with-faults.map.toml"
    mapping.write_text(text.replace(topic, f"{topic}\nskip_blank = false"), encoding="utf-8")
    return replace(
        day,
        name="faults",
        log=path,
        mapping=mapping,
        speed=FAULTS_SPEED,
        max_age_rows=FAULTS_MAX_AGE_ROWS,
    )


def _expected(channel: str, value: float | None) -> float | None:
    """The cell in counts, by the textbook; None for what is no number."""
    if value is None or channel in ("fan_status", "occupancy"):
        return value
    return (value - 32) * 5 / 9 * 100


def _recorded(ticks: Sequence[TickRecord], channel: str) -> list[int | None]:
    """Every reading of a channel in order: counts, or None when it is INVALID."""
    index = ENVELOPE.sensor_index[channel]
    return [
        reading.counts if reading.quality == Quality.GOOD else None
        for tick in ticks
        for reading in tick.readings
        if reading.channel == index
    ]


def _is_same(recorded: int | None, expected: float | None) -> bool:
    if recorded is None or expected is None:
        return recorded is expected
    return abs(recorded - expected) <= 0.51  # half a count of rounding


def test_every_cell_is_recorded_once_in_order_and_as_it_was(played: Played) -> None:
    log = Log.read(played.day.log)
    assert len(log.rows) == 1440
    for channel, columns in COLUMNS[played.day.name].items():
        expected = [_expected(channel, cell) for cell in log.cells(columns)]
        recorded = _recorded(played.ticks, channel)
        assert len(recorded) == len(expected), channel
        pairs = enumerate(zip(recorded, expected, strict=True))
        assert [(channel, i, *pair) for i, pair in pairs if not _is_same(*pair)] == []


def test_the_feeder_accounts_for_every_cell(played: Played) -> None:
    fed = played.feed
    assert (fed["rows"], fed["columns"], fed["cells_skipped"]) == (1440, 7, 0)
    assert fed["cells_sent"] == fed["acked"] == 1440 * 7
    assert fed["unacked"] == fed["reconnects"] == 0


def test_cells_that_are_no_number_are_named_in_the_status(played: Played) -> None:
    report = played.status["gateway"]["report"]
    for channel, columns in COLUMNS[played.day.name].items():
        bad = Log.read(played.day.log).cells(columns).count(None)
        assert report.get(f"sensor.{channel}.not_a_number", 0) == bad, channel
        assert report[f"sensor.{channel}.good"] == 1440 - bad, channel
    bad_cells = {"mzvav": 0, "szcav": 15}[played.day.name]
    assert played.feed["cells_not_numbers"] == bad_cells


def test_no_command_left_the_envelope(played: Played) -> None:
    document = document_of(played, ENVELOPE)
    assert document["outside_envelope"] == []
    assert played.board["counters"]["sets_clamped"] == 0


def test_nothing_was_lost_between_the_processes(played: Played) -> None:
    # The recording begins when the gateway, a child that starts later, has found its parent.
    first = played.ticks[0]
    numbers = range(first.tick, first.tick + len(played.ticks))
    assert [tick.tick for tick in played.ticks] == list(numbers)
    assert first.mode == Mode.ARMING
    assert played.damage == []
    report, relay = played.status["gateway"]["report"], played.status["relay"]
    lost = ("control.readings_dropped", "mqtt.messages_dropped", "records_lost", "mqtt.disconnects")
    assert {name: report[name] for name in lost} == dict.fromkeys(lost, 0)
    assert (relay["sends_dropped"], relay["readings_refused"]) == (0, 0)


def test_the_policy_decides_while_the_unit_is_occupied(played: Played) -> None:
    # On an idle machine it is 100 %. A process that gets no CPU for half a second loses the link
    # or a deadline, and five seconds of safe outputs are sixty of the 720 rows; that is right,
    # and the only thing that may keep the policy from deciding on healthy inputs.
    occupancy = ENVELOPE.sensor_index["occupancy"]
    occupied = [tick for tick in played.ticks if tick.snapshot.counts[occupancy]]
    stopped = [tick.cause for tick in occupied if tick.mode != Mode.ACTIVE]
    starved = {Rule.LINK_LOST, Rule.DEADLINE_MISSED, Rule.STALE_INPUT}
    assert {Rule(cause.rule) for cause in stopped if cause is not None} <= starved
    assert len(stopped) < 0.7 * len(occupied)


def test_a_stop_leaves_the_machine_safe(played: Played) -> None:
    assert played.exit_code == 0
    assert played.board["outputs"] == [a.safe.counts for a in ENVELOPE.actuators]
    assert (played.board["state"], played.board["safe_reason"]) == ("SAFE", "REQUESTED")
    assert played.ticks[-1].mode == Mode.SAFE


def _spells(ticks: Sequence[TickRecord], channel: str, quality: Quality) -> Iterator[range]:
    """Stretches of tick numbers during which a channel had a quality."""
    index = ENVELOPE.sensor_index[channel]
    start = None
    for number, tick in enumerate(ticks):
        has = tick.snapshot.qualities[index] == quality
        if has and start is None:
            start = number
        elif not has and start is not None:
            yield range(start, number)
            start = None


def _was_held_and_returned(played: Played, spell: range) -> bool:
    """Whether nobody decided on the bad value, and the policy went on by itself after it."""
    during = {played.ticks[i].mode for i in spell}
    after = {tick.mode for tick in played.ticks[spell.stop :]}
    return during <= {Mode.HOLDING, Mode.RAMPING} and Mode.ACTIVE in after


def test_fifteen_minutes_without_a_number_are_held_and_survived(
    everything: dict[str, Played],
) -> None:
    day = everything["szcav"]
    spells = list(_spells(day.ticks, "mixed_temperature", Quality.INVALID))
    assert len(spells) == 1
    assert _was_held_and_returned(day, spells[0])


def test_a_blank_cell_is_silence_and_the_channel_goes_stale(faulty: Played) -> None:
    assert faulty.feed["cells_skipped"] == 1
    assert len(_recorded(faulty.ticks, "supply_setpoint")) == FAULTS_ROWS - 2
    spells = _rows_of(faulty, "supply_setpoint", Quality.STALE)
    assert BLANK_ROW - 1 in spells  # the last value it has
    assert _was_held_and_returned(faulty, spells[BLANK_ROW - 1])


def test_a_blank_cell_that_is_sent_is_invalid_and_counted(faulty: Played) -> None:
    assert faulty.status["gateway"]["report"]["sensor.outdoor_temperature.empty"] == 1
    assert _recorded(faulty.ticks, "outdoor_temperature")[EMPTY_ROW] is None
    spells = _rows_of(faulty, "outdoor_temperature", Quality.INVALID)
    assert list(spells) == [EMPTY_ROW]
    assert _was_held_and_returned(faulty, spells[EMPTY_ROW])


def test_a_missing_minute_makes_every_channel_stale_and_passes(faulty: Played) -> None:
    assert faulty.feed["steps_missing"] == 1
    for channel in COLUMNS["szcav"]:
        before = MISSING_ROW - 1 - (channel == "supply_setpoint")  # of its own readings
        spells = _rows_of(faulty, channel, Quality.STALE)
        assert before in spells, channel
        assert _was_held_and_returned(faulty, spells[before]), channel


def test_a_flag_a_little_below_zero_is_a_zero(faulty: Played) -> None:
    # -0.04 rounds to the count 0; below -0.5 it would be out of range, and INVALID.
    assert _recorded(faulty.ticks, "occupancy")[NEGATIVE_ROW - 1] == 0
    assert faulty.status["gateway"]["report"]["sensor.occupancy.good"] == FAULTS_ROWS - 1
    assert document_of(faulty, ENVELOPE)["outside_envelope"] == []
    assert faulty.exit_code == 0


def _rows_of(played: Played, channel: str, quality: Quality) -> dict[int, range]:
    """The spells of `_spells` by the number of the channel's reading that came last."""
    index = ENVELOPE.sensor_index[channel]
    found = {}
    for spell in _spells(played.ticks, channel, quality):
        upto = played.ticks[: spell.start + 1]
        readings = sum(r.channel == index for tick in upto for r in tick.readings)
        found[readings - 1] = spell
    return found


def test_both_days_are_compared_with_the_real_controller(everything: dict[str, Played]) -> None:
    documents = {name: document_of(everything[name], ENVELOPE) for name in DAYS}
    for name, document in documents.items():
        running = Log.read(everything[name].day.log).cells(_COMMON["fan_status"]).count(1.0)
        table = {row["actuator"]: row for row in document["comparison"]}
        assert set(table) == {a.name for a in ENVELOPE.actuators}
        for row in table.values():
            assert 0.95 * running <= row["rows"] <= running
            assert 0 <= row["difference"] <= 100
    found = {"machine": machine(), "speed": 1.0, "max_age_rows": 1.0, "played": documents}
    tables = markdown({**found, "replayed": {}})
    assert all(f"| {name} | heating valve |" in tables for name in DAYS)


def test_the_document_has_a_place_for_its_tables() -> None:
    text = real_day.DOCUMENT.read_text(encoding="utf-8")
    once = into_document(text, "tables")
    assert once != text
    assert into_document(once, "tables") == once
    with pytest.raises(ConfigError, match="no place"):
        into_document("nothing", "tables")


def test_the_replay_takes_every_row_and_says_the_same_twice() -> None:
    day = real_day.days_of(["szcav"], 1.0, 2.5)[0]
    first, second = (replay(day.log, day.mapping, rows_max=4) for _ in range(2))
    assert first == second
    assert first["ticks"] == 4 * 600
    assert {sum(by.values()) for by in first["readings"].values()} == {4}
    assert first["outside_envelope"] == []
