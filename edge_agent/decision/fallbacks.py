"""Fallbacks: the non-learned policy of each device, for when its model is not trusted.

Owns: the table from device to fallback. Must not: be clever. A fallback is plain arithmetic
on the sensors, gentle rather than quick, and inside the same envelope as the model. A device
without one holds and goes to safe instead.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from edge_agent.safety.limits import Envelope

# Air handler: what it looks at, in this order.
_SENSORS: Final = (
    *("supply_temperature", "mixed_temperature", "outdoor_temperature"),
    *("return_temperature", "supply_setpoint", "fan_status", "occupancy"),
)
# Three quarters of the gains that a search for the least error finds.
_HEATING_PER_K: Final = 0.04
_DAMPER_PER_K: Final = 0.035
_COOLING_PER_K: Final = 0.022
_RESET_S: Final = 40.0
_FILTER_S: Final = 10.0
_ECONOMISER_BAND_K: Final = 1.0  # outdoor air helps from so much below return air
_OUTDOOR_MIN: Final = 0.30  # ventilation while occupied
_FAN: Final = 0.60
_COLDEST_MIXED_DEGC: Final = 6.0  # the envelope's freeze interlock stands at 3


class Fallback(Protocol):
    """Decides from the sensors alone."""

    def start(self, values: Sequence[float], commands: Sequence[float]) -> None:
        """Go on from these commands, so that taking over makes no jump. `values` per sensor and
        `commands` per actuator, each in its unit."""

    def decide(self, values: Sequence[float], dt_s: float) -> tuple[float, ...]:
        """A value per actuator in its unit; `dt_s` since the last call."""


class SplitRangePi:
    """Supply air temperature by one integrating signal u over three devices: -1 to 0 heating
    (100 to 0 %), 0 to 1 the damper from its minimum, while outdoor air helps, 1 to 2 cooling."""

    def __init__(self, envelope: Envelope) -> None:
        self._at = [envelope.sensor_index[name] for name in _SENSORS]
        self._u = 0.0
        self._supply = 0.0  # filtered
        self._error = 0.0
        self._economising = False

    def start(self, values: Sequence[float], commands: Sequence[float]) -> None:
        """See Fallback; commands are damper, cooling, heating, fan in percent."""
        damper, cooling, heating, _ = (command / 100.0 for command in commands)
        supply, _, outdoor, returned, setpoint, _, _ = (values[i] for i in self._at)
        if heating > 0.0:
            self._u = -heating
        elif cooling > 0.0:
            self._u = 1.0 + cooling
        else:
            self._u = _clamp((damper - _OUTDOOR_MIN) / (1.0 - _OUTDOOR_MIN), 0.0, 1.0)
        self._supply = supply
        self._error = supply - setpoint
        self._economising = outdoor < returned - _ECONOMISER_BAND_K

    def decide(self, values: Sequence[float], dt_s: float) -> tuple[float, ...]:
        """See Fallback."""
        supply, mixed, outdoor, returned, setpoint, status, occupancy = (
            values[i] for i in self._at
        )
        self._supply += (supply - self._supply) * dt_s / (_FILTER_S + dt_s)
        error = self._supply - setpoint  # positive: too warm, u must rise
        change, self._error = error - self._error, error
        band_k = 0.0 if self._economising else _ECONOMISER_BAND_K
        self._economising = outdoor < returned - band_k
        if occupancy < 0.5:
            self._u = 0.0
            return 0.0, 0.0, 0.0, 0.0
        if status < 0.5:
            self._u = 0.0  # no flow yet: nothing to control
        else:
            self._u = self._moved(change + error * dt_s / _RESET_S)
        return self._positions(mixed, outdoor)

    def _moved(self, push_k: float) -> float:
        u = self._u
        gain = _HEATING_PER_K if u < 0.0 else _DAMPER_PER_K if u < 1.0 else _COOLING_PER_K
        after = _clamp(u + gain * push_k, -1.0, 2.0)
        if not self._economising and 0.0 < after < 1.0:
            return 1.0 if after > u else 0.0  # no free cooling: jump over its range
        return after

    def _positions(self, mixed: float, outdoor: float) -> tuple[float, ...]:
        u = self._u
        free = _clamp(u, 0.0, 1.0) if self._economising else 0.0
        damper = _OUTDOOR_MIN + (1.0 - _OUTDOOR_MIN) * free
        if outdoor < mixed:  # close in proportion over the last two degrees
            damper *= _clamp((mixed - _COLDEST_MIXED_DEGC + 2.0) / 2.0, 0.0, 1.0)
        shares = damper, _clamp(u - 1.0, 0.0, 1.0), _clamp(-u, 0.0, 1.0), _FAN
        return tuple(100.0 * share for share in shares)


def fallback_of(envelope: Envelope) -> Fallback | None:
    """A fresh fallback of the device, None for one that has none."""
    make = _FALLBACKS.get(envelope.device)
    return None if make is None else make(envelope)


def _clamp(x: float, low: float, high: float) -> float:
    """`x` is finite here: it comes from counts."""
    return min(max(x, low), high)


_FALLBACKS: Mapping[str, Callable[[Envelope], Fallback]] = MappingProxyType(
    {"air-handler": SplitRangePi}
)
