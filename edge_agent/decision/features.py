"""Features: what a policy looks at, declared row by row in the model's manifest.

Owns: the four kinds of feature and their filter state. Must not: look at quality (the agent
asks only when every input is GOOD) or know a device.

    value       a channel, in its unit
    difference  a channel minus another
    command     the last command of an actuator, in its unit
    mean        exponential mean of `channel` (minus `minus`, if given) over `time_constant_s`

Only + - * / are used, on whatever the values are: floats on the device, arrays of episodes
in training, so both compute the same thing by construction. A `mean` is
m += (x - m) * dt / (tau + dt), the backward-Euler form of tau*dm/dt = x - m, which is stable
for every step; it starts at the first x it sees. With a long time constant the mean of a
control error is a leaky integral, which is what removes a lasting offset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FeatureKind(StrEnum):
    VALUE = "value"
    DIFFERENCE = "difference"
    COMMAND = "command"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """One row of the manifest. `minus` and `time_constant_s` belong to some kinds only."""

    kind: FeatureKind
    channel: str
    minus: str | None = None
    time_constant_s: float = 0.0


class Features:
    """Computes the feature vector of a sequence of ticks."""

    def __init__(
        self, specs: Sequence[FeatureSpec], sensors: Sequence[str], actuators: Sequence[str]
    ) -> None:
        """`sensors` and `actuators` are channel names in order; ValueError for an unknown one."""
        self._sensor_index = {name: i for i, name in enumerate(sensors)}
        self._actuator_index = {name: i for i, name in enumerate(actuators)}
        self._rows = [self._row(spec) for spec in specs]
        self._means: list[Any] = [None] * len(self._rows)

    def reset(self) -> None:
        """Forget every mean; the next sample starts them anew."""
        self._means = [None] * len(self._rows)

    def compute(self, values: Sequence[Any], commands: Sequence[Any], dt_s: float) -> list[Any]:
        """One feature vector. `values`: per sensor in its unit; `commands`: per actuator."""
        out = []
        for i, (read, tau_s) in enumerate(self._rows):
            x = read(values, commands)
            if tau_s is not None:
                mean = self._means[i]
                x = x if mean is None else mean + (x - mean) * (dt_s / (tau_s + dt_s))
                self._means[i] = x
            out.append(x)
        return out

    def _row(
        self, spec: FeatureSpec
    ) -> tuple[Callable[[Sequence[Any], Sequence[Any]], Any], float | None]:
        tau_s = spec.time_constant_s if spec.kind is FeatureKind.MEAN else None
        if spec.kind is FeatureKind.COMMAND:
            a = _find(spec.channel, self._actuator_index)
            return (lambda values, commands: commands[a]), None
        c = _find(spec.channel, self._sensor_index)
        if spec.minus is None:
            return (lambda values, commands: values[c]), tau_s
        m = _find(spec.minus, self._sensor_index)
        return (lambda values, commands: values[c] - values[m]), tau_s


def _find(name: str, index: Mapping[str, int]) -> int:
    if name not in index:
        raise ValueError(f"unknown channel {name!r}; known: {', '.join(index)}")
    return index[name]
