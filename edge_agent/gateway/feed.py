"""`edge-agent feed`: plays a recorded log onto MQTT topics, in scaled time.

Owns: pacing, the window of unacknowledged messages, and the account of what was sent. Must
not: repair the log. Rows are paced on absolute deadlines, so a missing minute is a silent
minute; a row whose time cannot be parsed, or goes back, follows the row before it at once.

Messages have QoS 1, at most 20 of them unacknowledged. When the connection is lost the feed
waits for it and goes on: what was unacknowledged at that moment may or may not have arrived,
is counted as such, and is not sent again.
"""

import os
import random
import select
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import msgspec

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.errors import ConfigError, PortError
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.feed_map import FeedMap, load_map
from edge_agent.gateway.feed_rows import Row, parse_time, read_rows
from edge_agent.gateway.session import MAX_IN_FLIGHT, LinkOptions

CONNECT_WITHIN_NS = 30 * NS_PER_S
LAST_ACKS_WITHIN_NS = 10 * NS_PER_S
WAIT_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedJob:
    """What to play where. `speed` 60 plays an hour in a minute.

    `first` and `last` select rows: a row number (from 1, both ends included), or a time in the
    map's format or ISO 8601 (`first` <= time < `last`). Empty: everything.
    """

    log_path: Path
    map_path: Path
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password: str = ""
    speed: float = 1.0
    first: str = ""
    last: str = ""
    dry_run: bool = False


class FeedSummary(msgspec.Struct, kw_only=True):
    """Where every row and cell went: rows * columns = cells_sent + cells_skipped.

    Of the cells sent, `cells_not_numbers` are such as "#VALUE!"; `acked + unacked` is
    cells_sent, except in a dry run, which sends nothing. `steps_missing` counts the rows that
    the log should have had at its own interval; a gap too long to play counts as shortened.
    """

    rows: int = 0
    columns: int = 0
    cells_sent: int = 0
    cells_skipped: int = 0
    cells_blank: int = 0
    cells_not_numbers: int = 0
    rows_short: int = 0
    times_unparsable: int = 0
    times_backward: int = 0
    steps_missing: int = 0
    gaps_shortened: int = 0
    acked: int = 0
    unacked: int = 0
    reconnects: int = 0
    first_time: str = ""
    last_time: str = ""


def feed(
    job: FeedJob, clock: Clock, rng: random.Random, out: TextIO, progress: TextIO | None
) -> FeedSummary:
    """Play the log; with `dry_run`, write to `out` what would be sent instead.

    `progress` gets one line a second, rewritten in place. ConfigError: log, map or selection
    are unusable; PortError: no broker within 30 s, at the start or after a loss.
    """
    if not job.speed > 0:
        raise ConfigError("must be above 0", where="--speed", fix="1 is real time, 60 is 60 times")
    feed_map = load_map(job.map_path)
    rows = _selected(read_rows(job.log_path, feed_map), job, feed_map)
    account = _Account(feed_map)
    if job.dry_run:
        for row in rows:
            account.take(row)
            _show(row, out)
        return account.summary
    player = _Player(job, clock, rng, account)
    try:
        player.connect()
        for row in rows:
            player.play(row)
            player.show_progress(progress)
        player.finish()
    finally:
        player.close(progress)
    return account.summary


class _Account:
    """Counts rows and cells, and turns times into seconds since the first row."""

    def __init__(self, feed_map: FeedMap) -> None:
        self.summary = FeedSummary(columns=len(feed_map.column))
        self._map = feed_map
        self._before: datetime | None = None
        self._after_s = 0.0

    def take(self, row: Row) -> float:
        """Count `row`; its place in the log's time, in seconds after the first row."""
        summary = self.summary
        summary.rows += 1
        summary.rows_short += row.short
        for cell in row.cells:
            summary.cells_blank += cell.blank
            if cell.payload is None:
                summary.cells_skipped += 1
            else:
                summary.cells_sent += 1
                summary.cells_not_numbers += not cell.number and not cell.blank
        if row.time is None:
            summary.times_unparsable += 1
        else:
            self._take_time(row.time, row.time_text)
        return self._after_s

    def _take_time(self, time: datetime, text: str) -> None:
        summary = self.summary
        step_s = 0.0 if self._before is None else (time - self._before).total_seconds()
        if step_s < 0:
            summary.times_backward += 1
            return
        if step_s > self._map.longest_gap_s:
            summary.gaps_shortened += 1
            step_s = self._map.step_s
        summary.steps_missing += max(0, round(step_s / self._map.step_s) - 1)
        summary.first_time = summary.first_time or text
        summary.last_time = text
        self._after_s += step_s
        self._before = time


class _Player:
    """The link, the window, and the pace."""

    def __init__(self, job: FeedJob, clock: Clock, rng: random.Random, account: _Account) -> None:
        options = LinkOptions(
            host=job.host,
            port=job.port,
            client_id=f"edge-feed-{os.getpid()}",
            protocol="3.1.1",
            keepalive_s=15,
            username=job.username,
            password=job.password,
        )
        self._where = f"{job.host}:{job.port}"
        self._speed = job.speed
        self._clock = clock
        self._account = account
        self._link = MqttLink(options, clock, rng)
        self._in_flight: set[int] = set()
        self._start_ns = 0
        self._shown_ns = 0

    def connect(self) -> None:
        """Wait for the broker; PortError when it does not come."""
        deadline_ns = self._clock.now_ns() + CONNECT_WITHIN_NS
        while not self._link.connected:
            if self._clock.now_ns() > deadline_ns or self._link.state == "taken_over":
                reason = self._link.last_reason or "no answer"
                raise PortError(
                    f"no connection to the broker: {reason}",
                    where=self._where,
                    fix="is the broker running, and is this the right --broker?",
                )
            self._service(WAIT_S)
        if not self._start_ns:
            self._start_ns = self._clock.now_ns()

    def play(self, row: Row) -> None:
        """Wait until `row` is due, then send its cells."""
        after_s = self._account.take(row) / self._speed
        due_ns = self._start_ns + round(after_s * NS_PER_S)
        while (wait_ns := due_ns - self._clock.now_ns()) > 0:
            self._service(min(wait_ns / NS_PER_S, WAIT_S))
        for cell in row.cells:
            if cell.payload is not None:
                self._send(cell.topic, cell.payload)

    def finish(self) -> None:
        """Wait for the last acknowledgements, within reason."""
        deadline_ns = self._clock.now_ns() + LAST_ACKS_WITHIN_NS
        while self._in_flight and self._clock.now_ns() < deadline_ns:
            self._service(WAIT_S)

    def show_progress(self, progress: TextIO | None) -> None:
        """Rewrite the progress line, once a second at most."""
        now_ns = self._clock.now_ns()
        if progress is None or now_ns - self._shown_ns < NS_PER_S:
            return
        self._shown_ns = now_ns
        summary = self._account.summary
        progress.write(
            f"\rrow {summary.rows}  log time {summary.last_time}"
            f"  sent {summary.cells_sent}  unacked {len(self._in_flight)}  \x1b[K"
        )
        progress.flush()

    def close(self, progress: TextIO | None) -> None:
        """Disconnect; whatever is still unacknowledged is counted so."""
        self._lose_in_flight()
        self._link.close(b"")
        if progress is not None and self._shown_ns:
            progress.write("\n")

    def _send(self, topic: str, payload: bytes) -> None:
        while True:
            while self._link.connected and len(self._in_flight) >= MAX_IN_FLIGHT:
                self._service(WAIT_S)
            if not self._link.connected:
                self._account.summary.reconnects += 1
                self.connect()
            mid = self._link.publish(topic, payload, qos=1)
            if mid is not None:
                self._in_flight.add(mid)
                return
            self._service(WAIT_S)

    def _service(self, wait_s: float) -> None:
        select.select([self._link.fileno()], [], [], wait_s)
        self._link.service(self._clock.now_ns())
        for mid in self._link.take_acks():
            if mid in self._in_flight:
                self._in_flight.remove(mid)
                self._account.summary.acked += 1
        if not self._link.connected:
            self._lose_in_flight()

    def _lose_in_flight(self) -> None:
        self._account.summary.unacked += len(self._in_flight)
        self._in_flight.clear()


def _selected(rows: Iterator[Row], job: FeedJob, feed_map: FeedMap) -> Iterator[Row]:
    """The rows from `first` to `last`; one without a time goes where the row before it went."""
    first_row, first_time = _bound(job.first, "--from", feed_map)
    last_row, last_time = _bound(job.last, "--to", feed_map)
    in_time = first_time is None
    for row in rows:
        if row.time is not None:
            after_first = first_time is None or row.time >= first_time
            before_last = last_time is None or row.time < last_time
            in_time = after_first and before_last
        if in_time and row.number >= first_row and (not last_row or row.number <= last_row):
            yield row


def _bound(text: str, where: str, feed_map: FeedMap) -> tuple[int, datetime | None]:
    """A row number, or a time; (0, None) for no bound."""
    if not text:
        return 0, None
    if text.isdecimal():
        return int(text), None
    time = parse_time(text, feed_map.time_format)
    if time is None:
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise ConfigError(
                f"{text!r} is neither a row number nor a time",
                where=where,
                fix=f"such as 1440, or a time as {feed_map.time_format} or 2007-08-28T00:00",
            ) from error
    return 0, time.replace(tzinfo=None)


def _show(row: Row, out: TextIO) -> None:
    for cell in row.cells:
        if cell.payload is not None:
            shown = cell.payload.decode("utf-8", "backslashreplace")
            out.write(f"{row.time_text}\t{cell.topic}\t{shown}\n")
