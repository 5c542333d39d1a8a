"""Reading the recorded log of the real unit, and the extract of it that is kept here.

Owns: the columns used, their conversion to SI, which days are healthy, and the extract
under data/. Must not: fit or train.
"""

import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EXTRACT = Path(__file__).parent / "data" / "mzvav-2-1-healthy-days.csv.gz"

# Heading in the log (trailing blanks removed) and whether it is degrees Fahrenheit.
COLUMNS = {
    "supply": ("AHU: Supply Air Temperature", True),
    "setpoint": ("AHU: Supply Air Temperature Set Point", True),
    "outdoor": ("AHU: Outdoor Air Temperature", True),
    "mixed": ("AHU: Mixed Air Temperature", True),
    "returned": ("AHU: Return Air Temperature", True),
    "fan_status": ("AHU: Supply Air Fan Status", False),
    "fan": ("AHU: Supply Air Fan Speed Control Signal", False),
    "damper": ("AHU: Outdoor Air Damper Control Signal", False),
    "cooling": ("AHU: Cooling Coil Valve Control Signal", False),
    "heating": ("AHU: Heating Coil Valve Control Signal", False),
    "occupied": ("Occupancy Mode Indicator", False),
}
TIME = "Datetime"

# 8/28 and 8/29/2007 are labelled faulty; 8/30/2007 is labelled healthy, but the inventory of
# the data set lists it as a leaking heating valve.
HELD_OUT_DAYS = ("9/4/2008", "2/17/2009", "5/5/2009")
FIT_DAYS = (
    "8/19/2008",
    "8/25/2008",
    "1/19/2009",
    "2/16/2009",
    "5/3/2009",
    "5/4/2009",
    "5/6/2009",
    "5/30/2009",
    "5/31/2009",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One recorded day, a row a minute; temperatures in degC, positions 0 to 1."""

    date: str
    values: dict[str, FloatArray]
    valid: npt.NDArray[np.bool_]  # no dropout, no cell that is not a number

    def __getitem__(self, name: str) -> FloatArray:
        return self.values[name]


def read_days(path: Path, dates: tuple[str, ...]) -> list[Day]:
    """The days of a log (plain or gzip) in the order of `dates`; KeyError for an absent one."""
    rows = _rows(path)
    return [_day(date, [row for row in rows if row[TIME].split()[0] == date]) for date in dates]


def write_extract(log: Path) -> None:
    """Keep the used columns of the healthy days of the original log, byte for byte the same
    for the same log."""
    kept = (*FIT_DAYS, *HELD_OUT_DAYS)
    names = [TIME, *(heading for heading, _ in COLUMNS.values())]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in _rows(log) if row[TIME].split()[0] in kept)
    EXTRACT.parent.mkdir(exist_ok=True)
    EXTRACT.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def _rows(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    head, *rest = csv.reader(io.StringIO(text))
    names = [name.strip() for name in head]
    return [dict(zip(names, row, strict=True)) for row in rest]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _day(date: str, rows: list[dict[str, str]]) -> Day:
    if not rows:
        raise KeyError(date)
    values = {}
    for name, (heading, fahrenheit) in COLUMNS.items():
        raw = np.array([_number(row[heading]) for row in rows])
        values[name] = (raw - 32.0) / 1.8 if fahrenheit else raw
    finite = np.all([np.isfinite(column) for column in values.values()], axis=0)
    # A dropout of the logger is a row of zeros; 0 degF of supply air never happens.
    dropout = values["supply"] < -10.0
    return Day(date=date, values=values, valid=finite & ~dropout)
