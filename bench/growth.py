"""Whether something grows: figures over time in, a verdict for each of them out.

Owns: the method. Must not: measure anything; see `census.py` and `soak.py`.

The first half of a run is left out: buffers, windows, arenas and the interpreter's own caches fill
in it. Of the rest,

- SLOPE, for memory: the median of the slopes between all pairs of samples (Theil and Sen), an
  hour; a few odd samples, or a third of them, change nothing. More than `most` an hour is growth.
- STEADY, for what is counted: the median of the last third is at most that of the first third.
- CAPPED, for what has a stated bound: no sample of the whole run is above `most`.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import combinations
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

_WARM_UP: Final = 0.5
_S_PER_HOUR: Final = 3600.0
SAMPLES_MIN: Final = 18  # three in each third of what is not left out


class Sample(NamedTuple):
    """What was counted at one instant, by name."""

    at_s: float
    figures: Mapping[str, int]


class Kind(Enum):
    """How a figure is judged."""

    SLOPE = "per hour"
    STEADY = "last third less first third"
    CAPPED = "largest"


class Rule(NamedTuple):
    """One figure, how it is judged, and how much is still no growth."""

    name: str
    kind: Kind
    most: float


class Finding(NamedTuple):
    """What a rule came to; `first` and `last` are the medians of the outer thirds."""

    rule: Rule
    found: float
    first: float
    last: float

    @property
    def grew(self) -> bool:
        """Positive form: what is no number is growth too."""
        return not self.found <= self.rule.most


def judge(samples: Sequence[Sample], rules: Sequence[Rule]) -> list[Finding]:
    """One finding for each rule; ValueError when there is too little to judge by."""
    if len(samples) < SAMPLES_MIN:
        raise ValueError(f"{len(samples)} samples; at least {SAMPLES_MIN} are needed")
    return [_finding(samples, rule) for rule in rules]


def _finding(samples: Sequence[Sample], rule: Rule) -> Finding:
    judged = [(s.at_s, s.figures[rule.name]) for s in samples]
    warm = judged[round(len(judged) * _WARM_UP) :]
    third = len(warm) // 3
    first, last = (median(v for _, v in part) for part in (warm[:third], warm[-third:]))
    found = _METHODS[rule.kind](judged if rule.kind is Kind.CAPPED else warm)
    return Finding(rule, found, first, last)


def _slope(points: Sequence[tuple[float, int]]) -> float:
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s]
    return median(slopes) * _S_PER_HOUR


def _step(points: Sequence[tuple[float, int]]) -> float:
    third = len(points) // 3
    values = [value for _, value in points]
    return median(values[-third:]) - median(values[:third])


def _largest(points: Sequence[tuple[float, int]]) -> float:
    return max(value for _, value in points)


_METHODS: Mapping[Kind, Callable[[Sequence[tuple[float, int]]], float]] = MappingProxyType(
    {Kind.SLOPE: _slope, Kind.STEADY: _step, Kind.CAPPED: _largest}
)
