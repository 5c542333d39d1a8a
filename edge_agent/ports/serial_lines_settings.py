"""The `[[serial_lines]]` sections of the configuration: their shape, and whether they fit.

Owns: the structs that the configuration embeds, and `line_decoder`, which turns a checked
section into a decoder. Must not: name an actuator. A board that is not ours has no dead man of
ours, so nothing is ever sent to it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import require_range
from edge_agent.ports.rows import targets
from edge_agent.ports.serial_lines_decode import LineDecoder, LineField
from edge_agent.safety.limits import SensorLimits

_COLUMN = re.compile(r"[1-9][0-9]{0,2}")
_SENTENCE = re.compile(r"([A-Z]{3,8})\.([1-9][0-9]?)")
_PATH_FIX: Mapping[str, str] = {
    "json": "keys joined by dots, such as 'temp.air'",
    "csv": "the number of the column, from 1, such as '2'",
    "nmea": "sentence and number of its field, such as 'MDA.5' or 'WIMDA.5'",
}


class LineSensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of `sensor`: where in a line a channel's value stands, and in which unit.

    value = raw * scale + offset, in `unit`. `max_age_s` may tighten the envelope's limit.
    """

    channel: str
    path: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    max_age_s: float | None = None


class SerialLines(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"form": "format"}
):
    """One `[[serial_lines]]` section: a board that writes lines of text; sensors only."""

    port: str
    form: Literal["json", "csv", "nmea"]
    sensor: tuple[LineSensor, ...]
    baud: int = 9600
    columns: int = 0  # csv: exactly so many in a line; 0: as many as the rows need, or more


def line_decoder(settings: SerialLines, sensors: Sequence[SensorLimits], where: str) -> LineDecoder:
    """The decoder of one section; ConfigError for the first thing that cannot work."""
    require_range(settings.columns, 0, 999, f"{where}.columns")
    fields = []
    for here, row, target in targets(settings.sensor, sensors, where):
        sentence, path = _place(settings, row.path, here)
        fields.append(LineField(target=target, sentence=sentence, path=path))
    return LineDecoder(settings.form, tuple(fields), settings.columns)


def _place(settings: SerialLines, path: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(sentence, path): for csv and nmea the path is one position, from 0."""
    if settings.form == "json" and path:
        return "", tuple(path.split("."))
    if settings.form == "csv" and _COLUMN.fullmatch(path):
        if 0 < settings.columns < int(path):
            raise ConfigError(
                f"column {path} of {settings.columns}",
                where=f"{where}.path",
                fix=f"choose 1 to {settings.columns}, or correct `columns`",
            )
        return "", (str(int(path) - 1),)
    sentence = _SENTENCE.fullmatch(path)
    if settings.form == "nmea" and sentence is not None:
        return sentence.group(1), (sentence.group(2),)
    raise ConfigError(
        f"{path!r} is no place in a line of {settings.form}",
        where=f"{where}.path",
        fix=_PATH_FIX[settings.form],
    )
