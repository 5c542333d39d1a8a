"""What `edge-agent status` shows: the state of the control process in plain values.

Owns: tick statistics and the status document. Must not: hold a socket or a file; the relay
publishes it, at most once a second.
"""

from collections.abc import Mapping
from typing import Any

from edge_agent.core.clock import NS_PER_US
from edge_agent.core.records import Mode, Quality, TickRecord
from edge_agent.decision.words import explain_reason, who_decides
from edge_agent.safety.limits import Envelope

_RING = 512  # ticks that the percentiles look back on


class TickStats:
    """How punctual and how quick the last ticks were; bounded, cheap to add to."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._lateness_ns = [0] * _RING
        self._duration_ns = [0] * _RING
        self.ticks = 0
        self.missed_deadlines = 0

    def add(self, lateness_ns: int, duration_ns: int) -> None:
        """Book one tick: how late it began, and how long until its command had left."""
        i = self.ticks % _RING
        self._lateness_ns[i] = lateness_ns
        self._duration_ns[i] = duration_ns
        self.ticks += 1
        if lateness_ns > self._period_ns:
            self.missed_deadlines += 1

    def summary(self) -> dict[str, int]:
        """Counts, and percentiles over the last ticks in microseconds."""
        n = min(self.ticks, _RING)
        out = {"ticks": self.ticks, "missed_deadlines": self.missed_deadlines}
        for name, ring in (("lateness", self._lateness_ns), ("duration", self._duration_ns)):
            ordered = sorted(ring[:n]) or [0]
            last = len(ordered) - 1
            out[f"{name}_p50_us"] = ordered[last // 2] // NS_PER_US
            out[f"{name}_p99_us"] = ordered[last * 99 // 100] // NS_PER_US
            out[f"{name}_max_us"] = ordered[last] // NS_PER_US
        return out


def status_document(
    envelope: Envelope, tick: TickRecord, stats: TickStats, parts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The whole status; `parts` are the ports' own counters by name."""
    units = [s.counts_per_unit for s in envelope.sensors]
    units += [a.counts_per_unit for a in envelope.actuators]
    first = len(envelope.sensors)
    channels = {
        name: {
            "value": tick.snapshot.counts[i] / units[i],
            "quality": Quality(tick.snapshot.qualities[i]).name,
            "age_s": round(tick.snapshot.ages_ns[i] / 1e9, 3),
        }
        for i, name in enumerate(envelope.channel_names)
    }
    command = {
        a.name: tick.verdict.command[i] / units[first + i] for i, a in enumerate(envelope.actuators)
    }
    return {
        "device": envelope.device,
        "mode": Mode(tick.mode).name,
        "decides": who_decides(tick),
        "enforced": not tick.monitor,
        "cause": explain_reason(tick.cause, envelope) if tick.cause else "",
        "reasons": [explain_reason(r, envelope) for r in tick.verdict.reasons],
        "command": command,
        "channels": channels,
        "ticks": stats.summary(),
        **parts,
    }


def status_text(document: Mapping[str, Any]) -> str:
    """A whole status answer for people: mode and cause first, then what led to it.

    `document` has `control` (see `status_document`), `gateway` and `relay`.
    """
    control = document["control"]
    if not control:
        return "starting: nothing decided yet"
    decides = f"{control['decides']} decides"
    lines = [f"{control['device']}  {control['mode']}  {decides}  {control['cause']}".rstrip()]
    if control.get("upgrade"):
        lines.append(f"  {control['upgrade']}")
    if not control["enforced"]:
        lines.append("  monitor: nothing is driven; the command below is what would be sent")
    lines += [f"  {reason}" for reason in control["reasons"]]
    lines.append("")
    for name, channel in control["channels"].items():
        told = control["command"].get(name)
        command = f"  command {told:8.2f}" if told is not None else ""
        lines.append(
            f"  {name:<22}{channel['value']:10.2f}  {channel['quality']:<8}"
            f"{channel['age_s']:9.2f} s{command}"
        )
    sections = {k: v for k, v in control.items() if k not in ("channels", "command")}
    for section, items in {**sections, "gateway": document["gateway"]}.items():
        if isinstance(items, Mapping):
            lines += ["", section]
            lines += [f"  {key:<47} {value}" for key, value in _flat(items)]
    return "\n".join(lines)


def _flat(items: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in items.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
