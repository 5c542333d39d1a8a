"""MAP.toml of `edge-agent feed`: which column of a log goes to which MQTT topic.

Owns: the shape of the file and its checks. Must not: read the log. Every complaint names the
file, the key and the fix.

    time_column = "Datetime"
    time_format = "%m/%d/%Y %H:%M"     # as in strptime
    step_s = 60                        # the log's interval: longer steps are counted as missing
    longest_gap_s = 3600               # a longer gap is played as one step (default: 3600)

    [[column]]
    name = "AHU: Supply Air Temperature"   # compared without blanks at either end
    topic = "ahu/supply_temperature"

    [[column]]
    names = ["Heating Set Point", "Cooling Set Point"]   # their mean
    topic = "ahu/setpoint"
    format = "json"
    path = "value"                         # sent as {"value": 68.0}

Cells are sent verbatim, "#VALUE!" included. A blank cell is not sent, since a sensor without a
value says nothing; `skip_blank = false` sends it as an empty payload (JSON: null).
"""

from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.core.errors import ConfigError


class FeedColumn(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"form": "format"}
):
    """One `[[column]]`: `name`, or several `names` of which the mean is sent."""

    topic: str
    name: str = ""
    names: tuple[str, ...] = ()
    form: Literal["number", "json"] = "number"
    path: str = ""
    skip_blank: bool = True

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the log, as a header without blanks at either end spells them."""
        return tuple(name.strip() for name in (self.names or (self.name,)))


class FeedMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    time_column: str
    time_format: str
    step_s: float
    longest_gap_s: float = 3600.0
    column: tuple[FeedColumn, ...]


def load_map(path: Path) -> FeedMap:
    """The checked map; ConfigError names the first thing that is wrong."""
    try:
        feed_map = msgspec.toml.decode(path.read_bytes(), type=FeedMap)
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the path of --map"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(error), where=str(path), fix="see the examples in deploy/examples/*.map.toml"
        ) from error
    _check(feed_map, path)
    return feed_map


def _check(feed_map: FeedMap, path: Path) -> None:
    if not feed_map.column:
        raise ConfigError("maps no column", where=str(path), fix="add a [[column]] table")
    if not feed_map.step_s > 0:
        raise ConfigError("must be above 0", where=f"{path}: step_s", fix="such as 60")
    if not feed_map.longest_gap_s >= feed_map.step_s:
        raise ConfigError(
            "must be at least step_s", where=f"{path}: longest_gap_s", fix="such as 3600"
        )
    topics: set[str] = set()
    for number, column in enumerate(feed_map.column):
        where = f"{path}: column[{number}]"
        if bool(column.name.strip()) == bool(column.names):
            raise ConfigError(
                "needs either name or names", where=where, fix="name one column, or list several"
            )
        if not column.topic or any(c in column.topic for c in "+#\0"):
            raise ConfigError(
                f"{column.topic!r} is not a topic to publish on",
                where=f"{where}.topic",
                fix="a topic without '+', '#' and NUL, such as 'ahu/supply_temperature'",
            )
        if column.topic in topics:
            raise ConfigError(
                f"{column.topic!r} is used twice", where=f"{where}.topic", fix="one topic each"
            )
        topics.add(column.topic)
        if bool(column.path) != (column.form == "json"):
            raise ConfigError(
                "format 'json' needs a path and format 'number' has none",
                where=f"{where}.path",
                fix="such as format = 'json' with path = 'value'",
            )
