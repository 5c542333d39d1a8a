"""MAP.toml and the log's rows: what is refused, and with which file, line, column and fix."""

import gzip
from pathlib import Path

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.gateway.feed_map import FeedColumn, FeedMap, load_map
from edge_agent.gateway.feed_rows import read_rows

HEAD = 'time_column = "T"\ntime_format = "%H:%M"\nstep_s = 60\n'
COLUMN = '[[column]]\nname = "A"\ntopic = "t/a"\n'
EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"


def _load(folder: Path, text: str) -> FeedMap:
    (folder / "map.toml").write_text(text)
    return load_map(folder / "map.toml")


def _map(**column: object) -> FeedMap:
    values: dict[str, object] = {"topic": "t/a", "name": "A"} | column
    return FeedMap(
        time_column="T",
        time_format="%H:%M",
        step_s=60,
        column=(FeedColumn(**values),),  # type: ignore[arg-type]
    )


def _payloads(folder: Path, feed_map: FeedMap, *cells: str) -> list[bytes | None]:
    log = folder / "log.csv"
    log.write_text("T,A,B\n" + "".join(f"0:0{n},{c}\n" for n, c in enumerate(cells)))
    return [row.cells[0].payload for row in read_rows(log, feed_map)]


@pytest.mark.parametrize("name", ["mzvav", "szcav"])
def test_the_examples_load_and_name_each_sensor_topic(name: str) -> None:
    feed_map = load_map(EXAMPLES / f"{name}.map.toml")
    assert {column.topic for column in feed_map.column} == {
        "ahu/supply_temperature",
        "ahu/mixed_temperature",
        "ahu/outdoor_temperature",
        "ahu/return_temperature",
        "ahu/supply_setpoint",
        "ahu/fan_status",
        "ahu/occupancy",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml", "map.toml"),
        (COLUMN, "time_column"),
        (HEAD + COLUMN + "tpoic = 1\n", "tpoic"),
        (HEAD + "column = []\n", "maps no column"),
        (HEAD.replace("60", "0") + COLUMN, "step_s"),
        (HEAD.replace("60", "nan") + COLUMN, "step_s"),
        (HEAD + "longest_gap_s = 1\n" + COLUMN, "longest_gap_s"),
        (HEAD + COLUMN + 'names = ["B"]\n', "either name or names"),
        (HEAD + '[[column]]\ntopic = "t"\n', "either name or names"),
        (HEAD + '[[column]]\nname = "A"\ntopic = "t/#"\n', "column[0].topic"),
        (HEAD + COLUMN + COLUMN, "column[1].topic"),
        (HEAD + COLUMN + 'format = "json"\n', "column[0].path"),
        (HEAD + COLUMN + 'path = "v"\n', "column[0].path"),
    ],
)
def test_a_map_that_cannot_work_says_where_and_why(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert complaint in str(caught.value)
    assert caught.value.fix


def test_a_map_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_map(tmp_path / "absent.toml")


def test_cells_are_sent_as_they_stand(tmp_path: Path) -> None:
    cells = ("1.50,", "#VALUE!,", ",", " 7 ,", "-0.04,")
    assert _payloads(tmp_path, _map(), *cells) == [b"1.50", b"#VALUE!", None, b"7", b"-0.04"]
    assert _payloads(tmp_path, _map(skip_blank=False), ",") == [b""]


def test_json_keeps_the_numbers_spelling_and_quotes_the_rest(tmp_path: Path) -> None:
    feed_map = _map(form="json", path="v", skip_blank=False)
    assert _payloads(tmp_path, feed_map, "1.50,", "#VALUE!,", ",", ".5,", "nan,") == [
        b'{"v":1.50}', b'{"v":"#VALUE!"}', b'{"v":null}', b'{"v":".5"}', b'{"v":"nan"}',
    ]  # fmt: skip


def test_a_mean_needs_every_one_of_its_numbers(tmp_path: Path) -> None:
    feed_map = _map(name="", names=("A", "B"))
    assert _payloads(tmp_path, feed_map, "50,86", "50,", "#N/A,86", "50,nan") == [
        b"68.0", None, b"#N/A", b"nan",
    ]  # fmt: skip


def test_bytes_that_are_not_utf8_are_sent_unchanged(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes(b"T,A\n0:00,\xb0C\n")
    assert [row.cells[0].payload for row in read_rows(log, _map())] == [b"\xb0C"]


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("T,Supply Temperature \n")
    with pytest.raises(ConfigError) as caught:
        list(read_rows(log, _map(name="Suply Temperature")))
    assert f"{log}:1: no column 'Suply Temperature'" in str(caught.value)
    assert "did you mean 'Supply Temperature'?" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv.gz", b"not gzip"),
        ("log.csv.xz", b"not xz"),
        ("log.csv.gz", gzip.compress(b"T,A\n" + b"0:00,1\n" * 1000)[:-20]),
        ("log.csv", b'T,A\n0:00,"' + b"x" * 200_000),
    ],
    # Named: a gzip header holds the time of day, and a test's name may not.
    ids=["not-gzip", "not-xz", "cut-gzip", "huge-cell"],
)
def test_a_file_that_is_no_log_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    log = tmp_path / name
    log.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read"):
        list(read_rows(log, _map()))


def test_an_empty_or_absent_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ConfigError, match="no column 'T'"):
        list(read_rows(tmp_path / "empty.csv", _map()))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read_rows(tmp_path / "absent.csv", _map()))
