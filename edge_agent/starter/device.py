"""Envelope of my-device: a heater that warms what a sensor measures.

Everything here is an example: replace every channel and every number by those of your machine,
and say beside each what it protects. Whole counts: with counts_per_unit=10, 55.0 degC is 550.
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
        name="temperature",
        unit="degC",
        counts_per_unit=10,
        min_counts=-200,  # what the probe can measure; outside it is broken
        max_counts=1200,
        max_step_counts=50,  # nothing here warms by 5 K between two samples
        max_age_ns=2 * _S,  # twice the longest time between two samples
        stuck_after_ns=None,  # what is well insulated rightly stands still
        needed=True,
        agreement=NoSecondSource(reason="there is one probe"),
    ),
)

ACTUATORS = (
    ActuatorLimits(
        name="heater",
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=800,  # the element's continuous rating
        rate_up_counts_per_s=50,  # thermal shock
        rate_down_counts_per_s=500,
        travel_max_counts=4_000,  # wear of the contactor
        travel_window_ns=60 * _S,
        dwell_ns=0,  # a level, not a switch
        proposal_max_age_ns=_S // 2,
        feedback_max_age_ns=_S,
        lease_ns=_S,  # off this long after the last decision, by the microcontroller
        safe=SafeAction(counts=0, hold_ns=0, ramp_counts_per_s=500),
        on_link_loss=OnLinkLoss.CONTINUE,  # heating needs no network
        effect=NoEffectCheck(reason="write here why no sensor can show that it works, or name one"),
        follow=FollowCheck(max_difference_counts=50, within_ns=2 * _S),
    ),
)

INTERLOCKS = (
    # Above 60 degC the insulation ages; this cuts the heater whatever the model wants.
    Interlock(
        name="too_hot",
        sensor="temperature",
        ok_min=-200,
        ok_max=600,
        clear_min=-200,
        clear_max=550,  # stricter than leaving, or it would chatter
        engage_after_ticks=1,
        clear_after_ticks=10,
        forces=(("heater", 0),),
        trips=False,
    ),
)

ENVELOPE = Envelope(
    device="my-device",
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
