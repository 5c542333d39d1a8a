"""A small device with uneven limits, so that no two of them can be confused in a test."""

from edge_agent.core.records import Quality, Snapshot
from edge_agent.safety.envelope import EnvelopeState, Order, initial
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

S = 1_000_000_000
T0 = 1_000 * S


def sensor(name: str = "level") -> SensorLimits:
    return SensorLimits(
        name=name,
        unit="percent",
        counts_per_unit=10,
        min_counts=0,
        max_counts=1000,
        max_step_counts=100,
        max_age_ns=S,
        stuck_after_ns=20 * S,
        needed=True,
        agreement=NoSecondSource(reason="there is one"),
    )


def actuator(name: str, *, checked: bool = False) -> ActuatorLimits:
    """-100 to 300 counts, safe at 20; 50 counts/s up, 80 down; 200 counts of travel in 60 s."""
    check = EffectCheck(
        sensor="level",
        when_at_least=200,
        expect_at_least=500,
        when_at_most=0,
        expect_at_most=100,
        within_ns=5 * S,
    )
    return ActuatorLimits(
        name=name,
        unit="percent",
        counts_per_unit=10,
        min_counts=-100,
        max_counts=300,
        rate_up_counts_per_s=50,
        rate_down_counts_per_s=80,
        travel_max_counts=200,
        travel_window_ns=60 * S,
        dwell_ns=0,
        proposal_max_age_ns=S // 5,
        feedback_max_age_ns=S // 2,
        lease_ns=S // 2,
        safe=SafeAction(counts=20, hold_ns=2 * S, ramp_counts_per_s=100),
        on_link_loss=OnLinkLoss.CONTINUE,
        effect=check if checked else NoEffectCheck(reason="nothing measures it"),
        follow=FollowCheck(max_difference_counts=400, within_ns=S),
    )


def interlock() -> Interlock:
    return Interlock(
        name="dry",
        sensor="level",
        ok_min=200,
        ok_max=1000,
        clear_min=300,
        clear_max=1000,
        engage_after_ticks=1,
        clear_after_ticks=1,
        forces=(("pump", -100),),
        trips=True,
    )


def envelope(*, exclusive: bool = False, checked: bool = False, locked: bool = True) -> Envelope:
    return Envelope(
        device="lab",
        version=1,
        sensors=(sensor(),),
        actuators=(actuator("pump", checked=checked), actuator("valve")),
        interlocks=(interlock(),) if locked else (),
        exclusives=(Exclusive(first="pump", second="valve"),) if exclusive else (),
        supervision=Supervision(
            deadline_misses_to_ramp=3,
            deadline_window_ticks=5,
            hold_limit_ns=2 * S,
            return_dwell_ns=3 * S,
            trust_dwell_ns=4 * S,
        ),
    )


def snapshot(level: int = 500, quality: Quality = Quality.GOOD) -> Snapshot:
    return Snapshot((level, 0, 0), (0, 0, 0), (quality, Quality.GOOD, Quality.GOOD))


def state(limits: Envelope, *, last: tuple[int, ...] = (20, 20)) -> EnvelopeState:
    """At T0, released, with the given last commands and no speed left over."""
    released = (0,) * len(limits.interlocks)
    return initial(limits, T0)._replace(last=last, locks=released)


def order(mode: int, *wanted: int) -> Order:
    return Order(mode, wanted or None)
