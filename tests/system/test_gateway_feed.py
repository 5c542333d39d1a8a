"""The feeder: a recorded log through a real Mosquitto, every row and cell accounted for."""

import gzip
import io
import lzma
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mosquitto import Mosquitto, free_port
from edge_agent.core.clock import SystemClock
from edge_agent.core.errors import ConfigError, PortError
from edge_agent.gateway import feed as feed_module
from edge_agent.gateway.feed import FeedJob, FeedSummary, feed
from edge_agent.gateway.session import MAX_IN_FLIGHT
from tests.system.mqtt_peer import MqttPeer, wait_until

# Warts of real logs: a header with trailing blanks, "#VALUE!", a blank cell, a missing minute
# (0:04), a damper at -0.04, a row without a time, a short row.
LOG = """\
Datetime,Supply Temp,Mixed Temp,Damper  ,Low,High
8/28/2007 0:00,75.92,73.54,0,50,86
8/28/2007 0:01,75.71,#VALUE!,0,50,86
8/28/2007 0:02,75.71,,0,50,#N/A
8/28/2007 0:03,75.6,73.54,-0.04,50,86
8/28/2007 0:05,75.81,73.54,0,50,86
no time,75.60,73.54,0,50,86
8/28/2007 0:06,75.6,73.44
"""
MAP = """\
time_column = "Datetime "
time_format = "%m/%d/%Y %H:%M"
step_s = 60

[[column]]
name = "Supply Temp"
topic = "log/supply"

[[column]]
name = "Mixed Temp"
topic = "log/mixed"
format = "json"
path = "v.t"

[[column]]
name = "Damper"
topic = "log/damper"

[[column]]
names = ["Low", "High"]
topic = "log/setpoint"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def _job(folder: Path, port: int, log: str = LOG, **changes: object) -> FeedJob:
    (folder / "map.toml").write_text(MAP)
    (folder / "log.csv").write_text(log)
    values: dict[str, object] = {
        "log_path": folder / "log.csv",
        "map_path": folder / "map.toml",
        "port": port,
        "speed": 3600.0,
    }
    return FeedJob(**(values | changes))  # type: ignore[arg-type]


def _run(job: FeedJob, out: io.StringIO | None = None) -> FeedSummary:
    return feed(job, SystemClock(), random.Random(1), out or io.StringIO(), None)


def test_every_row_and_cell_is_accounted_for(broker: Mosquitto, tmp_path: Path) -> None:
    with MqttPeer(broker.port, "log/#") as listener:
        summary = _run(_job(tmp_path, broker.port))
        wait_until(lambda: len(listener.received) == summary.cells_sent, "all cells arrived")
        assert listener.payloads("log/supply") == [
            b"75.92", b"75.71", b"75.71", b"75.6", b"75.81", b"75.60", b"75.6",
        ]  # fmt: skip
        assert listener.payloads("log/mixed") == [
            b'{"v":{"t":73.54}}',
            b'{"v":{"t":"#VALUE!"}}',
            b'{"v":{"t":73.54}}',
            b'{"v":{"t":73.54}}',
            b'{"v":{"t":73.54}}',
            b'{"v":{"t":73.44}}',
        ]
        assert listener.payloads("log/damper") == [b"0", b"0", b"0", b"-0.04", b"0", b"0"]
        assert listener.payloads("log/setpoint") == [b"68.0"] * 2 + [b"#N/A"] + [b"68.0"] * 3
    assert summary == FeedSummary(
        rows=7,
        columns=4,
        cells_sent=25,
        cells_skipped=3,
        cells_blank=3,
        cells_not_numbers=2,
        rows_short=1,
        times_unparsable=1,
        steps_missing=1,
        acked=25,
        first_time="8/28/2007 0:00",
        last_time="8/28/2007 0:06",
    )
    assert summary.rows * summary.columns == summary.cells_sent + summary.cells_skipped


def test_rows_keep_the_pace_of_the_log(broker: Mosquitto, tmp_path: Path) -> None:
    started = time.monotonic()
    _run(_job(tmp_path, broker.port, speed=600.0))
    assert 0.6 <= time.monotonic() - started < 3.0, "six minutes at 600 times"


def test_a_gap_of_years_is_not_waited_for(broker: Mosquitto, tmp_path: Path) -> None:
    log = LOG + "8/28/2009 0:00,75.6,73.44,0,50,86\n" + "8/28/2009 0:00,75.6,73.44,0,50,86\n"
    summary = _run(_job(tmp_path, broker.port, log))
    assert (summary.gaps_shortened, summary.steps_missing, summary.rows) == (1, 1, 9)


def test_time_that_goes_back_is_counted_and_sent_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    log = LOG + "8/28/2007 0:01,75.6,73.44,0,50,86\n"
    summary = _run(_job(tmp_path, broker.port, log))
    assert (summary.times_backward, summary.acked) == (1, summary.cells_sent)


def test_a_selection_by_row_or_by_time(tmp_path: Path) -> None:
    by_row = _run(_job(tmp_path, 1, dry_run=True, first="2", last="4"))
    assert (by_row.rows, by_row.first_time, by_row.last_time) == (
        3, "8/28/2007 0:01", "8/28/2007 0:03",
    )  # fmt: skip
    by_time = _run(_job(tmp_path, 1, dry_run=True, first="2007-08-28T00:03", last="8/28/2007 0:06"))
    assert (by_time.rows, by_time.times_unparsable) == (3, 1), "the timeless row is among them"


def test_a_dry_run_shows_what_would_be_sent_and_needs_no_broker(tmp_path: Path) -> None:
    out = io.StringIO()
    summary = _run(_job(tmp_path, free_port(), dry_run=True), out)
    lines = out.getvalue().splitlines()
    assert len(lines) == summary.cells_sent
    assert lines[5] == '8/28/2007 0:01\tlog/mixed\t{"v":{"t":"#VALUE!"}}'
    assert (summary.acked, summary.unacked) == (0, 0)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_log_is_the_same_log(tmp_path: Path, suffix: str) -> None:
    job = _job(tmp_path, 1, dry_run=True)
    packed = tmp_path / f"log.csv{suffix}"
    packed.write_bytes({".gz": gzip, ".xz": lzma}[suffix].compress(LOG.encode()))
    assert _run(_job(tmp_path, 1, dry_run=True, log_path=packed)) == _run(job)


def test_a_broker_lost_on_the_way_is_waited_for_and_nothing_is_sent_twice(
    broker: Mosquitto, tmp_path: Path
) -> None:
    minutes = [f"8/28/2007 {n // 60}:{n % 60:02}" for n in range(200)]
    log = LOG.splitlines()[0] + "\n" + "".join(f"{m},{n},1,0,1,1\n" for n, m in enumerate(minutes))
    summaries: list[FeedSummary] = []
    job = _job(tmp_path, broker.port, log, speed=6000.0)
    with MqttPeer(broker.port, "log/supply") as before:
        thread = threading.Thread(target=lambda: summaries.append(_run(job)))
        thread.start()
        wait_until(lambda: len(before.received) >= 30, "a part of the log")
        broker.freeze()
        time.sleep(0.2)  # the window fills: 400 cells a second, 20 of them unacknowledged
        broker.stop()
        first = before.payloads("log/supply")
    broker.start()
    with MqttPeer(broker.port, "log/supply") as after:
        thread.join(30)
        second = after.payloads("log/supply")
    (summary,) = summaries
    assert summary.rows == 200
    assert summary.reconnects >= 1
    assert summary.unacked == MAX_IN_FLIGHT, "those on their way when the broker died"
    assert summary.acked + summary.unacked == summary.cells_sent == 800
    numbers = [int(p) for p in first + second]
    assert len(numbers) == len(set(numbers)), "no cell arrived twice"
    assert numbers == sorted(numbers)


def test_no_broker_is_a_transient_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "CONNECT_WITHIN_NS", 100_000_000)
    port = free_port()
    with pytest.raises(PortError, match=rf"127\.0\.0\.1:{port}: no connection to the broker"):
        _run(_job(tmp_path, port))


def test_progress_is_one_line_rewritten(broker: Mosquitto, tmp_path: Path) -> None:
    progress = io.StringIO()
    feed(_job(tmp_path, broker.port), SystemClock(), random.Random(1), io.StringIO(), progress)
    assert progress.getvalue().startswith("\rrow 1  log time 8/28/2007 0:00  sent 4")
    assert progress.getvalue().count("\n") == 1


def test_the_speed_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--speed"):
        _run(_job(tmp_path, 1, speed=0.0))
