"""The shape of an envelope: constant data with units in every name, complete or refused.

Owns: the frozen descriptions of sensors, actuators, interlocks and effect checks, the
consistency check that makes an incomplete or contradictory envelope impossible to load, and
the envelope's hash. Must not: read files or change after import.

All quantities are counts of the channel's own resolution, and nanoseconds. Every field is
required: a device author who has no answer must write one, not inherit one.
"""

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class OnLinkLoss(StrEnum):
    """What an actuator does when the gateway, its path to people, is gone."""

    CONTINUE = "continue"
    HOLD = "hold"
    SAFE = "safe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Another sensor of the same quantity. Apart by more than `max_difference_counts` for
    `within_ns` means that neither can be believed."""

    sensor: str
    max_difference_counts: int
    within_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSecondSource:
    """The written reason why a sensor is not compared with another."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorLimits:
    """What a sensor may plausibly say. Beyond it a reading is INVALID, not clamped."""

    name: str
    unit: str
    counts_per_unit: int
    min_counts: int
    max_counts: int
    max_step_counts: int
    max_age_ns: int
    stuck_after_ns: int | None  # unchanged for so long = INVALID; None: may stand still
    needed: bool  # not GOOD = no arming, and no proposal while active
    agreement: Agreement | NoSecondSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeAction:
    """How an actuator becomes safe: stay for `hold_ns`, then move at the given speed."""

    counts: int
    hold_ns: int
    ramp_counts_per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCheck:
    """A command must show on a sensor.

    Commanded >= `when_at_least` for `within_ns` without the sensor reaching
    `expect_at_least` is a fault, and likewise <= `when_at_most` with `expect_at_most`.
    """

    sensor: str
    when_at_least: int
    expect_at_least: int
    when_at_most: int
    expect_at_most: int
    within_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEffectCheck:
    """The written reason why an actuator's effect is not checked."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowCheck:
    """What the hardware reports as applied may differ from the command by so much for so long;
    beyond, somebody else moves the actuator or nobody does."""

    max_difference_counts: int
    within_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatorLimits:
    """What an actuator may be told."""

    name: str
    unit: str
    counts_per_unit: int
    min_counts: int
    max_counts: int
    rate_up_counts_per_s: int
    rate_down_counts_per_s: int
    travel_max_counts: int  # sum of |moves| allowed in any travel window
    travel_window_ns: int
    dwell_ns: int  # a policy's change must be so long after the last one; 0: none needed
    proposal_max_age_ns: int
    feedback_max_age_ns: int  # older word from the hardware = link lost
    lease_ns: int  # how long the hardware keeps a value without a fresh decision
    safe: SafeAction
    on_link_loss: OnLinkLoss
    effect: EffectCheck | NoEffectCheck
    follow: FollowCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """While `sensor` is outside [ok_min, ok_max] (or not GOOD), each forced actuator stands
    at its value; released only inside [clear_min, clear_max], which is at least as strict.

    A GOOD value must be outside for `engage_after_ticks` ticks in a row, and inside the clear
    band for `clear_after_ticks`. A value that is not GOOD engages at once.
    """

    name: str
    sensor: str
    ok_min: int
    ok_max: int
    clear_min: int
    clear_max: int
    engage_after_ticks: int
    clear_after_ticks: int
    forces: tuple[tuple[str, int], ...]
    trips: bool  # also latch a trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusive:
    """Two actuators that are never above their closed value together; `second` yields."""

    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the device is taken out of service and brought back."""

    deadline_misses_to_ramp: int  # k ...
    deadline_window_ticks: int  # ... of n
    hold_limit_ns: int  # holding for longer than this becomes a ramp to safe
    return_dwell_ns: int  # everything in order for so long before control returns
    trust_dwell_ns: int  # the model in order for so long before it replaces the fallback


class Motion(NamedTuple):
    """An actuator's limits on movement, as the envelope's inner loop reads them.

    Travel is a token bucket in counts * 2 * window: it holds `travel_full` (half the budget),
    earns `travel_per_ns` every ns (the other half in one window) and pays `travel_price` per
    count moved.
    """

    min_counts: int
    max_counts: int
    rate_up: int  # counts/s
    rate_down: int
    travel_full: int
    travel_per_ns: int
    travel_price: int
    dwell_ns: int


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """All limits of one device. Channels are numbered: sensors first, then actuators."""

    device: str
    version: int
    sensors: tuple[SensorLimits, ...]
    actuators: tuple[ActuatorLimits, ...]
    interlocks: tuple[Interlock, ...]
    exclusives: tuple[Exclusive, ...]
    supervision: Supervision

    @cached_property
    def channel_names(self) -> tuple[str, ...]:
        """Every channel by position."""
        return (*(s.name for s in self.sensors), *(a.name for a in self.actuators))

    @cached_property
    def sensor_index(self) -> dict[str, int]:
        """Position of each sensor by name."""
        return {s.name: i for i, s in enumerate(self.sensors)}

    @cached_property
    def actuator_index(self) -> dict[str, int]:
        """Position of each actuator among the actuators, by name."""
        return {a.name: i for i, a in enumerate(self.actuators)}

    @cached_property
    def motions(self) -> tuple[Motion, ...]:
        """The limits on movement of every actuator."""
        return tuple(
            Motion(
                a.min_counts,
                a.max_counts,
                a.rate_up_counts_per_s,
                a.rate_down_counts_per_s,
                a.travel_max_counts * a.travel_window_ns,
                a.travel_max_counts,
                2 * a.travel_window_ns,
                a.dwell_ns,
            )
            for a in self.actuators
        )

    @cached_property
    def motion_rows(self) -> tuple[tuple[int, ...], ...]:
        """`motions` as plain tuples, which unpack in half the time of named ones."""
        return tuple(tuple(motion) for motion in self.motions)

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Lowest and highest counts of every actuator."""
        return tuple((a.min_counts, a.max_counts) for a in self.actuators)

    @cached_property
    def safe_counts(self) -> tuple[int, ...]:
        """The safe value of every actuator."""
        return tuple(a.safe.counts for a in self.actuators)

    @cached_property
    def forced(self) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
        """Per interlock: the position of its sensor, and (actuator, counts) of what it forces."""
        return tuple(
            (
                self.sensor_index[lock.sensor],
                tuple((self.actuator_index[name], counts) for name, counts in lock.forces),
            )
            for lock in self.interlocks
        )

    @cached_property
    def exclusive_pairs(self) -> tuple[tuple[int, int], ...]:
        """Positions of the two actuators of every exclusive."""
        index = self.actuator_index
        return tuple((index[pair.first], index[pair.second]) for pair in self.exclusives)

    @cached_property
    def agreements(self) -> tuple[tuple[int, int, Agreement], ...]:
        """Positions of the two sensors of every declared agreement, and the agreement."""
        return tuple(
            (i, self.sensor_index[s.agreement.sensor], s.agreement)
            for i, s in enumerate(self.sensors)
            if isinstance(s.agreement, Agreement)
        )

    @cached_property
    def effect_checks(self) -> tuple[tuple[int, int, EffectCheck], ...]:
        """Actuator, sensor and check of every effect that is checked."""
        return tuple(
            (i, self.sensor_index[a.effect.sensor], a.effect)
            for i, a in enumerate(self.actuators)
            if isinstance(a.effect, EffectCheck)
        )

    @cached_property
    def follow_checks(self) -> tuple[tuple[int, int], ...]:
        """Per actuator, the difference allowed between command and applied, and for how long."""
        return tuple((a.follow.max_difference_counts, a.follow.within_ns) for a in self.actuators)

    def sha256(self) -> str:
        """Hex digest over every limit; equal digests mean equal envelopes."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()
