"""The live view: one tick of a simulated run as text.

Owns: the layout, for a terminal (a screen redrawn in place) and for anything else (a line now
and then). Must not: decide when time passes, or hold a terminal: state in, text out.

Plain ASCII and two escape sequences (home, clear to the end) that every terminal since the
VT100 knows; nothing has to be restored afterwards.
"""

from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode, Quality, TickRecord
from edge_agent.decision.words import explain_reason, who_decides
from edge_agent.safety.limits import ActuatorLimits, Envelope

CLEAR: Final = "\x1b[2J"
HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K"
_END_OF_SCREEN: Final = "\x1b[J"
REDRAW_NS: Final = NS_PER_S // 10  # of wall time
LINE_EVERY_NS: Final = 60 * NS_PER_S  # of simulated time
_BAR: Final = 30
_REASONS: Final = 6
_COLUMNS: Final = 100


class ViewState(NamedTuple):
    """What is shown: one tick, and where the run stands."""

    envelope: Envelope
    scenario: str
    duration_s: float
    tick: TickRecord
    step_ns: int  # wall time of the agent's step
    faults: tuple[str, ...]  # present now


def screen(state: ViewState) -> str:
    """The whole picture, to be written over the last one."""
    tick, envelope = state.tick, state.envelope
    now_s = tick.now_ns / NS_PER_S
    head = (
        f"{envelope.device}   scenario {state.scenario}   {now_s:8.1f} of {state.duration_s:.0f} s"
        f"   tick {tick.tick}   decided in {state.step_ns / 1000:.0f} us"
    )
    who = f"{who_decides(tick)} decides" + ", MONITOR: nothing is driven" * tick.monitor
    lines = [
        head,
        f"mode {Mode(tick.mode).name:<8} {who}   {_cause(state)}".rstrip(),
        f"fault {', '.join(state.faults) or 'none'}",
        "",
        f"{'measured':<22}{'value':>10} {'unit':<8}{'age s':>8}  quality",
    ]
    snapshot = tick.snapshot
    for c, sensor in enumerate(envelope.sensors):
        quality = Quality(snapshot.qualities[c])
        value = snapshot.counts[c] / sensor.counts_per_unit
        age_s = snapshot.ages_ns[c] / NS_PER_S
        lines.append(
            f"{sensor.name:<22}{value:>10.2f} {sensor.unit:<8}{age_s:>8.2f}  {quality.name}"
        )
    lines += ["", f"{'actuator':<18}{'proposal':>10}{'command':>10}{'applied':>10}"]
    lines += [_actuator_line(state, i) for i in range(len(envelope.actuators))]
    lines.append(f"{'':<48}  # command, | proposal")
    reasons = [explain_reason(reason, envelope) for reason in tick.verdict.reasons]
    lines += ["", "because" if reasons else "the proposal passes unchanged"]
    # Always the same number of lines: the picture stands still.
    shown = [f"  {words}" for words in reasons[:_REASONS]]
    lines += shown + [""] * (_REASONS - len(shown))
    cut = (line[:_COLUMNS] + _END_OF_LINE for line in lines)
    return HOME + "\n".join(cut) + "\n" + _END_OF_SCREEN


def line(state: ViewState) -> str:
    """The tick in one line, for a log or a pipe."""
    tick, envelope = state.tick, state.envelope
    values = " ".join(
        f"{sensor.name}={tick.snapshot.counts[c] / sensor.counts_per_unit:.1f}"
        for c, sensor in enumerate(envelope.sensors)
        if sensor.unit == "degC"
    )
    mark = "  monitor, not driven" if tick.monitor else ""
    command = " ".join(
        f"{a.name}={counts / a.counts_per_unit:.1f}"
        for a, counts in zip(envelope.actuators, tick.verdict.command, strict=True)
    )
    who = "  fallback decides" if who_decides(tick) == "fallback" else ""
    now_s = tick.now_ns / NS_PER_S
    text = f"{now_s:8.1f} s  {Mode(tick.mode).name:<8} {values} | {command}{who}{mark}"
    cause = _cause(state)
    return f"{text} | {cause}" if cause else text


def _cause(state: ViewState) -> str:
    cause = state.tick.cause
    return explain_reason(cause, state.envelope) if cause is not None else ""


def _actuator_line(state: ViewState, i: int) -> str:
    tick, limits = state.tick, state.envelope.actuators[i]
    values = tick.proposal.values if tick.fallback is None else tick.fallback
    # A faulty model may have given anything: show it only if it is a number for this actuator.
    wanted = values[i] if values is not None and i < len(values) else None
    command = tick.verdict.command[i]
    applied = tick.snapshot.counts[len(state.envelope.sensors) + i] / limits.counts_per_unit
    proposal = "-" if wanted is None else f"{wanted:.1f}"
    return (
        f"{limits.name:<18}{proposal[:9]:>10}{command / limits.counts_per_unit:>10.1f}"
        f"{applied:>10.1f}  [{bar(limits, command, wanted)}]"
    )


def bar(limits: ActuatorLimits, command: int, wanted: float | None) -> str:
    """A command as `#`, the proposal as `|`, over the actuator's whole range."""
    span = limits.max_counts - limits.min_counts
    filled = (command - limits.min_counts) * _BAR // span
    cells = ["#" if i < filled else "." for i in range(_BAR)]
    if wanted is not None:
        position = (wanted * limits.counts_per_unit - limits.min_counts) * _BAR / span
        if position > _BAR - 1:
            cells[-1] = "|"
        elif position >= 0:  # false for NaN as well
            cells[int(position)] = "|"
        elif position < 0:
            cells[0] = "|"
    return "".join(cells)
