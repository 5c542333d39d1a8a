"""Envelope of an air-handling unit: mixing box, cooling coil, heating coil, supply fan.

Temperatures are hundredths of a degree Celsius, positions and speeds tenths of a percent,
currents hundredths of an ampere. Reviewed by reading: each limit says what it protects.

Sources of the figures: valve and damper stroke times of 60 to 150 s are usual for HVAC
actuators (a limit of 5 %/s lets a full stroke take 20 s, slower than which no coil needs);
freeze protection at 3 degC mixed air follows common freezestat practice (35 to 40 degF).
"""

from edge_agent.safety.limits import (
    ActuatorLimits,
    EffectCheck,
    Envelope,
    Exclusive,
    FollowCheck,
    Interlock,
    NoEffectCheck,
    NoSecondSource,
    OnLinkLoss,
    SafeAction,
    SensorLimits,
    Supervision,
)

_S = 1_000_000_000
_MIN = 60 * _S
_NEVER_STUCK = None
_MEASURED_ONCE = NoSecondSource(
    reason="no quantity of this unit has two sensors; mixed air lies between outdoor and return"
    " air only while the fan runs and the dampers are tight, which no sensor proves"
)


def _temperature(name: str, low: int, high: int, stuck_after_ns: int | None) -> SensorLimits:
    """A duct sensor; a step of more than 20 degC between samples is a fault, not weather."""
    return SensorLimits(
        name=name,
        unit="degC",
        counts_per_unit=100,
        min_counts=low,
        max_counts=high,
        max_step_counts=2000,
        max_age_ns=150 * _S,
        stuck_after_ns=stuck_after_ns,
        needed=True,
        agreement=_MEASURED_ONCE,
    )


def _status(name: str) -> SensorLimits:
    """A contact that reads 0 or 1 and may rightly stand still for ever."""
    return SensorLimits(
        name=name,
        unit="bool",
        counts_per_unit=1,
        min_counts=0,
        max_counts=1,
        max_step_counts=1,
        max_age_ns=150 * _S,
        stuck_after_ns=_NEVER_STUCK,
        needed=True,
        agreement=_MEASURED_ONCE,
    )


SENSORS = (
    _temperature("supply_temperature", -2000, 8000, stuck_after_ns=30 * _MIN),
    _temperature("mixed_temperature", -3000, 6000, stuck_after_ns=30 * _MIN),
    _temperature("outdoor_temperature", -5000, 6000, stuck_after_ns=180 * _MIN),
    _temperature("return_temperature", -1000, 5000, stuck_after_ns=180 * _MIN),
    _temperature("supply_setpoint", 500, 4000, stuck_after_ns=_NEVER_STUCK),
    _status("fan_status"),
    _status("occupancy"),
    SensorLimits(
        name="fan_current",
        unit="A",
        counts_per_unit=100,
        min_counts=0,
        max_counts=5000,
        max_step_counts=5000,  # an inrush is real
        max_age_ns=_S // 2,
        stuck_after_ns=_NEVER_STUCK,
        needed=True,
        agreement=_MEASURED_ONCE,
    ),
    SensorLimits(
        name="damper_position",
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=1000,
        max_step_counts=1000,
        max_age_ns=_S // 2,
        stuck_after_ns=_NEVER_STUCK,
        needed=True,
        agreement=_MEASURED_ONCE,
    ),
)


def _actuator(
    name: str, rate: int, safe_ramp: int, effect: EffectCheck | NoEffectCheck
) -> ActuatorLimits:
    """0 to 100 %, at most twelve full strokes in ten minutes, safe at zero."""
    return ActuatorLimits(
        name=name,
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=1000,
        rate_up_counts_per_s=rate,
        rate_down_counts_per_s=rate,
        travel_max_counts=12_000,
        travel_window_ns=10 * _MIN,
        dwell_ns=0,  # nothing here is switched on and off
        proposal_max_age_ns=_S // 5,
        feedback_max_age_ns=_S // 2,
        lease_ns=_S // 2,
        safe=SafeAction(counts=0, hold_ns=2 * _S, ramp_counts_per_s=safe_ramp),
        on_link_loss=OnLinkLoss.CONTINUE,
        effect=effect,
        # The microcontroller applies a command within one telemetry period of 20 ms, or says
        # that it clamps it; two seconds apart by a twentieth is another hand on the actuator.
        follow=FollowCheck(max_difference_counts=50, within_ns=2 * _S),
    )


_VALVE_UNSEEN = NoEffectCheck(
    reason="a coil shows in the supply temperature only together with airflow, entering air"
    " and water temperature, none of which proves the valve; there is no position feedback"
)

ACTUATORS = (
    _actuator(
        "outdoor_damper",
        rate=50,
        safe_ramp=200,
        effect=EffectCheck(
            sensor="damper_position",
            when_at_least=300,
            expect_at_least=100,
            when_at_most=50,
            expect_at_most=300,
            within_ns=120 * _S,
        ),
    ),
    _actuator("cooling_valve", rate=50, safe_ramp=250, effect=_VALVE_UNSEEN),
    _actuator("heating_valve", rate=50, safe_ramp=250, effect=_VALVE_UNSEEN),
    _actuator(
        "supply_fan",
        rate=50,
        safe_ramp=100,
        effect=EffectCheck(
            sensor="fan_current",
            when_at_least=300,
            expect_at_least=20,
            when_at_most=50,
            expect_at_most=200,
            within_ns=60 * _S,
        ),
    ),
)

INTERLOCKS = (
    # No flow, no heat transfer: a coil would freeze, or cook, in still air.
    Interlock(
        name="airflow",
        sensor="fan_status",
        ok_min=1,
        ok_max=1,
        clear_min=1,
        clear_max=1,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("cooling_valve", 0), ("heating_valve", 0)),
        trips=False,
    ),
    # Water coils burst below 0 degC: shut the outdoor air out well before.
    Interlock(
        name="freeze",
        sensor="mixed_temperature",
        ok_min=300,
        ok_max=6000,
        clear_min=500,
        clear_max=6000,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("outdoor_damper", 0), ("cooling_valve", 0)),
        trips=False,
    ),
    # Above this the ductwork, filters and people are at risk.
    Interlock(
        name="overheat",
        sensor="supply_temperature",
        ok_min=-2000,
        ok_max=6000,
        clear_min=-2000,
        clear_max=5000,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("heating_valve", 0),),
        trips=True,
    ),
)

ENVELOPE = Envelope(
    device="air-handler",
    version=1,
    sensors=SENSORS,
    actuators=ACTUATORS,
    interlocks=INTERLOCKS,
    exclusives=(Exclusive(first="heating_valve", second="cooling_valve"),),
    supervision=Supervision(
        deadline_misses_to_ramp=3,
        deadline_window_ticks=20,
        hold_limit_ns=2 * _S,
        return_dwell_ns=5 * _S,
        trust_dwell_ns=60 * _S,
    ),
)
