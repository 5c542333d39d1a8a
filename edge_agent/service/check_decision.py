"""Checks of what decides: is the model quick enough, and does the running agent decide by the
files that are on the disk.

Owns: these judgements. Must not: run a model or ask an agent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge_agent.core.clock import NS_PER_MS
from edge_agent.service.findings import Finding, failure, good, warning

_LATENCY: Final = "latency"
_DRIFT: Final = "running"
_SHARE_MAX: Final = 0.25  # of the period; the rest is for reading, judging and writing


def judge_latency(durations_ns: Sequence[int], period_ns: int, max_age_ns: int) -> Finding:
    """`max_age_ns`: the shortest that the envelope lets a proposal grow old."""
    ordered = sorted(durations_ns)
    p99_ns = ordered[len(ordered) * 99 // 100]
    words = f"model p99 {p99_ns / NS_PER_MS:.3f} ms of a period of {period_ns / NS_PER_MS:g} ms"
    words += f", median {ordered[len(ordered) // 2] / NS_PER_MS:.3f}, {len(ordered)} runs"
    if p99_ns > min(period_ns, max_age_ns):
        fix = "a smaller model, or a lower [loop] rate_hz"
        return failure(_LATENCY, f"{words}; proposals come too late", fix)
    if p99_ns > _SHARE_MAX * period_ns:
        fix = "a lower [loop] rate_hz, or see `edge-agent doctor --latency` for what the board does"
        return warning(_LATENCY, f"{words}: more than a quarter", fix)
    return good(_LATENCY, words)


def judge_running(
    control: Mapping[str, Any] | None, hashes: Mapping[str, str], version: str
) -> Finding:
    """`control`: what the running agent says of itself; None when none answers."""
    if control is None:
        return good(_DRIFT, "no agent answers here: nothing to compare the files with")
    told = control.get("hashes", {})
    differ = sorted(name for name, value in hashes.items() if told.get(name) != value)
    if control.get("version") != version:
        differ.insert(0, f"version ({control.get('version', 'none')}, installed {version})")
    if differ:
        words = f"the running agent has another {', '.join(differ)} than the files here"
        return warning(_DRIFT, words, "restart it to take them, or bring the old file back")
    return good(_DRIFT, f"{control.get('mode', 'starting')}, by the files that are here")
