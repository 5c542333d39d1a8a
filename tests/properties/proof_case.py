"""What the proofs are about: a sound device in a lawful state, in symbols.

The envelope is a real `Envelope` of one actuator whose numbers are symbols, restricted to what
`checks.py` lets through. What is proven for one actuator holds for all: the loops over
actuators share nothing between their rounds.
"""

from typing import Any

import z3

from edge_agent.safety import checks
from edge_agent.safety import envelope as real
from edge_agent.safety.limits import (
    ActuatorLimits,
    Envelope,
    FollowCheck,
    NoEffectCheck,
    OnLinkLoss,
    SafeAction,
    Supervision,
)
from tests.properties.symbolic import Explorer, term

NS = real.NS_PER_S
Claims = list[Any]


def limits(x: Explorer) -> ActuatorLimits:
    """An actuator of which every number is a symbol."""
    of = {name: x.symbol(name) for name in _NUMBERS}
    safe = [x.symbol(f"safe_{name}") for name in ("counts", "hold_ns", "ramp")]
    return ActuatorLimits(
        name="any",
        unit="percent",
        **of,
        safe=SafeAction(counts=safe[0], hold_ns=safe[1], ramp_counts_per_s=safe[2]),
        on_link_loss=OnLinkLoss.CONTINUE,
        effect=NoEffectCheck(reason="not part of the envelope's step"),
        follow=FollowCheck(max_difference_counts=0, within_ns=1),
    )


_NUMBERS = (
    "counts_per_unit",
    "min_counts",
    "max_counts",
    "rate_up_counts_per_s",
    "rate_down_counts_per_s",
    "travel_max_counts",
    "travel_window_ns",
    "dwell_ns",
    "proposal_max_age_ns",
    "feedback_max_age_ns",
    "lease_ns",
)


def device(a: ActuatorLimits) -> Envelope:
    return Envelope(
        device="any",
        version=1,
        sensors=(),
        actuators=(a,),
        interlocks=(),
        exclusives=(),
        supervision=Supervision(
            deadline_misses_to_ramp=1,
            deadline_window_ticks=1,
            hold_limit_ns=0,
            return_dwell_ns=1,
            trust_dwell_ns=1,
        ),
    )


def sound(a: ActuatorLimits) -> Any:
    """What the proofs assume of an actuator's numbers; test_proofs_bounds.py ties it to
    checks.py, so that nothing is assumed that a sound envelope could break."""
    t = {name: term(getattr(a, name)) for name in _NUMBERS}
    low, high, window = t["min_counts"], t["max_counts"], t["travel_window_ns"]
    up, down, ramp = (
        t["rate_up_counts_per_s"],
        t["rate_down_counts_per_s"],
        term(a.safe.ramp_counts_per_s),
    )
    travel, safe, hold_ns = t["travel_max_counts"], term(a.safe.counts), term(a.safe.hold_ns)
    return z3.And(
        low >= -checks.INT16, low < high, high <= checks.INT16,
        low <= safe, safe <= high,
        up > 0, down > 0, ramp > 0, travel > 0, window > 0,
        up <= checks.INT32, down <= checks.INT32, ramp <= checks.INT32,
        hold_ns >= 0, hold_ns <= checks.TIME_MAX_NS, window <= checks.TIME_MAX_NS,
        t["dwell_ns"] >= 0, t["dwell_ns"] <= checks.TIME_MAX_NS,
        travel <= checks.INT32,
        term(a.travel_max_counts * a.travel_window_ns) <= checks.PRODUCT_MAX,
        term((a.max_counts - a.min_counts) * (2 * a.travel_window_ns)) <= checks.PRODUCT_MAX,
    )  # fmt: skip


def memory(x: Explorer) -> real.EnvelopeState:
    """A state of which every number is a symbol."""
    return real.EnvelopeState(
        now_ns=x.symbol("before_ns"),
        last=(x.symbol("last"),),
        carry_up=(x.symbol("carry_up"),),
        carry_down=(x.symbol("carry_down"),),
        travel=(x.symbol("travel"),),
        rest_ns=(x.symbol("rest_ns"),),
        locks=(),
        ramp_since_ns=x.symbol("ramp_since_ns"),
    )


def invariant(e: Envelope, state: Any) -> Any:
    """I4: what every state satisfies, from the first on."""
    motion = e.motions[0]
    last, up, down, travel, rest = (term(part[0]) for part in state[1:6])
    return z3.And(
        term(motion.min_counts) <= last, last <= term(motion.max_counts),
        up >= 0, up <= NS, down >= 0, down <= NS,
        travel >= 0, travel <= term(motion.travel_full),
        rest >= 0, rest <= term(motion.dwell_ns),
    )  # fmt: skip


class Case:
    """A sound device in a state that satisfies the invariant, and a lawful step of time."""

    def __init__(self, x: Explorer) -> None:
        self.x = x
        self.limits = limits(x)
        self.device = device(self.limits)
        self.state = memory(x)
        self.dt_ns = x.symbol("dt_ns")
        self.wish = x.symbol("wish")
        x.assume(sound(self.limits))
        self.motion = self.device.motions[0]
        x.assume(invariant(self.device, self.state))
        x.assume(z3.And(term(self.dt_ns) >= 0, term(self.dt_ns) <= real.DT_MAX_NS))
        x.bounds.append((term(self.dt_ns), real.DT_MAX_NS))
        self.last, self.up, self.down, self.travel, self.rest = (
            term(part[0]) for part in self.state[1:6]
        )

    def follow(self, module: Any, wish: Any = None) -> tuple[Any, list[Any]]:
        """The shipped path of a wish; the command and its reasons."""
        reasons: list[Any] = []
        wish = self.wish if wish is None else wish
        (counts,) = module._follow(self.device, self.state, (wish,), self.dt_ns, reasons)
        return term(counts), reasons

    def within_speed(self, counts: Any) -> Any:
        """No faster than what was saved and what this step earns."""
        up, down = self.motion.rate_up * self.dt_ns, self.motion.rate_down * self.dt_ns
        moved = counts - self.last
        return z3.And(moved * NS <= self.up + term(up), -moved * NS <= self.down + term(down))

    def budget(self) -> Any:
        """Travel left, with what this step earns."""
        earned = self.travel + term(self.dt_ns * self.motion.travel_per_ns)
        full = term(self.motion.travel_full)
        return z3.If(earned < full, earned, full)

    def cost(self, counts: Any) -> Any:
        """Travel that a move from the last command to `counts` costs."""
        moved = counts - self.last
        price = self.x.product(moved, term(self.motion.travel_price))
        return z3.If(moved >= 0, price, -price)
