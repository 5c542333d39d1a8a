"""Envelope of a transfer pump: it empties a tank, and must never run dry.

Level and speed are tenths of a percent. Each limit says what it protects.
"""

from edge_agent.safety.limits import (
    ActuatorLimits,
    Envelope,
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

SENSORS = (
    SensorLimits(
        name="tank_level",
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=1000,
        max_step_counts=200,  # no wave lifts the level by a fifth between two samples
        max_age_ns=_S // 2,  # a full tank takes minutes to change; half a second is a dead line
        stuck_after_ns=None,  # a tank at rest rightly stands still
        needed=True,
        agreement=NoSecondSource(reason="the tank has one level sensor"),
    ),
)

ACTUATORS = (
    ActuatorLimits(
        name="pump_speed",
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=900,  # the last tenth is above the motor's continuous rating
        rate_up_counts_per_s=100,  # water hammer: ten seconds from rest to full
        rate_down_counts_per_s=300,
        travel_max_counts=6_000,  # wear: three full cycles a minute
        travel_window_ns=60 * _S,
        dwell_ns=0,  # a speed, not a switch
        proposal_max_age_ns=_S // 5,
        feedback_max_age_ns=_S // 2,
        lease_ns=_S // 2,
        safe=SafeAction(counts=0, hold_ns=_S, ramp_counts_per_s=300),
        on_link_loss=OnLinkLoss.CONTINUE,  # pumping needs no network
        effect=NoEffectCheck(
            reason="the level also falls by use and rises by inflow, so it proves nothing about"
            " the pump; a motor current would"
        ),
        follow=FollowCheck(max_difference_counts=50, within_ns=2 * _S),
    ),
)

INTERLOCKS = (
    # Dry running destroys the shaft seal within seconds.
    Interlock(
        name="dry_run",
        sensor="tank_level",
        ok_min=100,
        ok_max=1000,
        clear_min=150,  # stricter than leaving, or the pump would chatter at the threshold
        clear_max=1000,
        engage_after_ticks=1,  # dry running does not wait for a second opinion
        clear_after_ticks=1,
        forces=(("pump_speed", 0),),
        trips=False,
    ),
)

ENVELOPE = Envelope(
    device="transfer-pump",
    version=1,
    sensors=SENSORS,
    actuators=ACTUATORS,
    interlocks=INTERLOCKS,
    exclusives=(),
    supervision=Supervision(
        deadline_misses_to_ramp=3,
        deadline_window_ticks=20,
        hold_limit_ns=_S,
        return_dwell_ns=5 * _S,
        trust_dwell_ns=60 * _S,
    ),
)
