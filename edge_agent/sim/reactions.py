"""Whether a fault met the reaction that its scenario declared, and how soon.

Owns: watching the ticks for one injected fault. Must not: influence anything.
"""

from collections.abc import Iterator

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode, Reason, TickRecord
from edge_agent.decision.words import explain_reason, who_decides
from edge_agent.safety.limits import Envelope
from edge_agent.sim.scenarios import Injection


class ReactionWatch:
    """One injection, watched tick by tick. Times are from the start of the run, in seconds."""

    def __init__(self, injection: Injection) -> None:
        self.injection = injection
        self.reacted_s: float | None = None
        self.recovered_s: float | None = None
        self.reason: Reason | None = None
        self.mode: Mode | None = None

    def add(self, tick: TickRecord) -> None:
        """Look at one tick."""
        fault, expected = self.injection.fault, self.injection.reaction
        if self.recovered_s is not None or tick.now_ns < fault.start_s * NS_PER_S:
            return
        now_s = tick.now_ns / NS_PER_S
        if self.reacted_s is None:
            mode_fits = expected.mode is None or tick.mode == expected.mode
            reason = next((r for r in _given(tick) if r.rule in expected.rules), None)
            stood_in = (tick.fallback is not None) == expected.fallback
            if reason is not None and mode_fits and stood_in:
                self.reacted_s, self.reason, self.mode = now_s, reason, Mode(tick.mode)
        elif now_s >= fault.end_s and who_decides(tick) == "model":
            self.recovered_s = now_s

    def problems(self) -> list[str]:
        """What the scenario promised and the run did not show."""
        fault, expected = self.injection.fault, self.injection.reaction
        if self.reacted_s is None:
            rules = " or ".join(rule.name for rule in expected.rules)
            return [f"{fault}: no reaction ({rules})"]
        found = []
        after_s = self.reacted_s - fault.start_s
        if after_s > expected.within_s:
            found.append(f"{fault}: reaction after {after_s:.1f} s, {expected.within_s} s allowed")
        if self.recovered_s is None:
            found.append(f"{fault}: control did not return")
        elif self.recovered_s - fault.end_s > expected.recovers_within_s:
            late_s = self.recovered_s - fault.end_s
            found.append(
                f"{fault}: control returned after {late_s:.1f} s,"
                f" {expected.recovers_within_s} s allowed"
            )
        return found

    def as_data(self, envelope: Envelope) -> dict[str, object]:
        """The fault, the reaction and both times, for people and programs."""
        fault = self.injection.fault
        reacted, recovered = self.reacted_s, self.recovered_s
        return {
            "fault": fault.kind.value,
            "channel": fault.channel,
            "start_s": fault.start_s,
            "duration_s": fault.duration_s,
            "mode": self.mode.name if self.mode is not None else "",
            "fallback": self.injection.reaction.fallback,
            "cause": explain_reason(self.reason, envelope) if self.reason is not None else "",
            "reaction_s": None if reacted is None else round(reacted - fault.start_s, 3),
            "recovery_s": None if recovered is None else round(recovered - fault.end_s, 3),
        }


def _given(tick: TickRecord) -> Iterator[Reason]:
    """The root cause first, then what shaped the command."""
    if tick.cause is not None:
        yield tick.cause
    yield from tick.verdict.reasons
