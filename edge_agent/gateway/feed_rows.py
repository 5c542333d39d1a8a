"""A recorded CSV as rows of payloads, in the order of the file.

Owns: opening (plain, .gz, .xz), the header, times, and what each cell becomes. Must not: pace
or send. Whatever a cell holds is sent as it is; only a file that is not such a log at all is
an error, and it names file, line and column.
"""

import csv
import difflib
import gzip
import lzma
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec

from edge_agent.core.errors import ConfigError
from edge_agent.gateway.feed_map import FeedColumn, FeedMap

_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one mapped column of one row becomes; `payload` None: nothing is sent."""

    topic: str
    payload: bytes | None
    blank: bool
    number: bool


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts data rows from 1; `time` is None when it could not be parsed."""

    number: int
    time: datetime | None
    time_text: str
    short: bool
    cells: tuple[Cell, ...]


def read_rows(log_path: Path, feed_map: FeedMap) -> Iterator[Row]:
    """Every data row of the log; ConfigError for a file that cannot be one."""
    line = 1
    try:
        with _open(log_path) as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            time_at = _find(header, feed_map.time_column.strip(), log_path)
            sources = [
                (column, [_find(header, name, log_path) for name in column.sources])
                for column in feed_map.column
            ]
            for number, cells in enumerate(reader, start=1):
                line = reader.line_num
                texts = [text.strip() for text in cells]
                texts += [""] * (len(header) - len(texts))
                yield Row(
                    number=number,
                    time=parse_time(texts[time_at], feed_map.time_format),
                    time_text=texts[time_at],
                    short=len(cells) < len(header),
                    cells=tuple(_cell(c, [texts[at] for at in where]) for c, where in sources),
                )
    except (OSError, EOFError, lzma.LZMAError, csv.Error) as error:
        raise ConfigError(
            f"cannot be read: {error}",
            where=f"{log_path}:{line}",
            fix="a CSV file with a header line, plain or compressed as .gz or .xz",
        ) from error


def parse_time(text: str, time_format: str) -> datetime | None:
    """The time that `text` says, or None."""
    try:
        # A log's clock is local and nameless; only differences are used.
        return datetime.strptime(text, time_format)  # noqa: DTZ007
    except ValueError:
        return None


def _open(path: Path) -> TextIO:
    # Bytes that are not UTF-8 come back unchanged when the cell is encoded again.
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    return cast(
        "TextIO",
        opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=""),
    )


def _find(header: list[str], name: str, path: Path) -> int:
    if name in header:
        return header.index(name)
    close = difflib.get_close_matches(name, header, n=1)
    raise ConfigError(
        f"no column {name!r}",
        where=f"{path}:1",
        fix=f"did you mean {close[0]!r}?" if close else f"the header has: {', '.join(header)}",
    )


def _cell(column: FeedColumn, texts: list[str]) -> Cell:
    text = _combine(texts)
    if not text and column.skip_blank:
        return Cell(column.topic, None, blank=True, number=False)
    number = _number(text) is not None
    if column.form == "number":
        payload = text.encode("utf-8", "surrogateescape")
    else:
        payload = _document(column.path, text)
    return Cell(column.topic, payload, blank=not text, number=number)


def _combine(texts: list[str]) -> str:
    """The only text, the mean of several numbers, or the first of them that is no number."""
    if len(texts) == 1:
        return texts[0]
    numbers = []
    for text in texts:
        number = _number(text)
        if number is None:
            return text
        numbers.append(number)
    return repr(sum(numbers) / len(numbers))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _document(path: str, text: str) -> bytes:
    """`text` at the dotted `path` of a JSON document: a number as written, else a string."""
    value: Any
    if not text:
        value = None
    elif _JSON_NUMBER.fullmatch(text):
        value = msgspec.Raw(text.encode())
    else:
        value = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for key in reversed(path.split(".")):
        value = {key: value}
    return msgspec.json.encode(value)
