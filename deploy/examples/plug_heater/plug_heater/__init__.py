"""Envelope of a room heater behind a smart plug that speaks MQTT.

There is no microcontroller of ours on the plug: what switches it off when nobody decides any
more is a timer in the plug itself (Tasmota calls it PulseTime), shorter than the lease below.
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
        name="room_temperature",
        unit="degC",
        counts_per_unit=100,
        min_counts=-2000,
        max_counts=6000,
        max_step_counts=500,  # no window cools a sensor by 5 K between two samples
        max_age_ns=120 * _S,
        stuck_after_ns=None,  # a well-held room stands still
        needed=True,
        agreement=NoSecondSource(reason="the room has one thermometer"),
    ),
)

ACTUATORS = (
    ActuatorLimits(
        name="heater",
        unit="bool",
        counts_per_unit=1,
        min_counts=0,
        max_counts=1,
        rate_up_counts_per_s=10,  # a switch has no speed; the dwell below is what counts
        rate_down_counts_per_s=10,
        travel_max_counts=60,  # wear of the relay: thirty times on and off in an hour
        travel_window_ns=3600 * _S,
        dwell_ns=5 * _S,  # the relay's contacts cool between two changes
        proposal_max_age_ns=_S // 5,
        feedback_max_age_ns=30 * _S,  # the plug says its state after every command
        lease_ns=40 * _S,  # so much longer the element may glow when we are gone
        safe=SafeAction(counts=0, hold_ns=0, ramp_counts_per_s=10),
        on_link_loss=OnLinkLoss.CONTINUE,
        effect=NoEffectCheck(
            reason="a room warms over minutes and also by sun and people, so its temperature"
            " proves nothing about the heater within a useful time; a current would"
        ),
        follow=FollowCheck(max_difference_counts=0, within_ns=10 * _S),
    ),
)

INTERLOCKS = (
    # A stuck controller must not bake the room.
    Interlock(
        name="too_warm",
        sensor="room_temperature",
        ok_min=-2000,
        ok_max=3000,
        clear_min=-2000,
        clear_max=2700,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("heater", 0),),
        trips=False,
    ),
)

ENVELOPE = Envelope(
    device="plug-heater",
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
