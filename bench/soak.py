"""Whether the agent grows: `make soak HOURS=1 SIMULATED_HOURS=8`.

    python bench/soak.py [--hours 1] [--simulated-hours 8] [--json]

First simulated hours, as fast as they go, in one process (`soak_simulated.py`); then as many real
ones of the real processes (`soak_site.py`), a line a sample on standard error. 0 leaves a part
out. How growth is told from noise: `growth.py`. Exit code 1 when anything grew.

Owns: the arguments, the order, and the table. Must not: measure or judge.
"""

import argparse
import json
import math
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bench import soak_simulated, soak_site
from bench.growth import Finding, Sample, judge
from bench.report import machine
from edge_agent.core.errors import EXIT_OK, EXIT_TRANSIENT, ConfigError, EdgeAgentError

FACTS = (
    *("recording.records", "recording.segments", "mqtt.connects", "sessions"),
    *("lost_silent", "lost_reset", "lost_unanswered", "unplugged"),
)
_NUMBERS = ("first_third", "last_third", "found", "at_most")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Whether the agent grows.")
    parser.add_argument("--hours", type=float, default=1.0, help="real ones, 1 to judge by, or 0")
    parser.add_argument("--simulated-hours", type=float, default=8.0, help="8 to judge by, or 0")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args(argv)
    try:
        _check("--hours", arguments.hours, soak_site.HOURS_MIN)
        _check("--simulated-hours", arguments.simulated_hours, soak_simulated.HOURS_MIN)
        found = measure(arguments.hours, arguments.simulated_hours)
    except EdgeAgentError as error:
        print(f"soak: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return EXIT_TRANSIENT if any(part["problems"] for part in found["parts"]) else EXIT_OK


def _check(option: str, hours: float, least: float) -> None:
    if hours and not least <= hours < math.inf:
        raise ConfigError(
            f"{hours:g} hours give too few samples to judge by",
            where=option,
            fix=f"choose at least {least:g}, or 0 to leave this part out",
        )


def measure(hours: float, simulated_hours: float) -> dict[str, Any]:
    """Both parts, in plain values."""
    parts = []
    with tempfile.TemporaryDirectory(prefix="soak-") as text:
        if simulated_hours:
            parts.append(_simulated(simulated_hours, Path(text) / "simulated"))
        if hours:
            parts.append(_real(hours, Path(text)))
    return {"machine": machine(), "parts": parts}


def _simulated(hours: float, folder: Path) -> dict[str, Any]:
    # A fresh interpreter: what this one has imported would be in its memory.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.submit(soak_simulated.run, hours, folder).result()
    facts = {name: done.summary[name] for name in ("ticks", "wall_s")}
    facts["segments"] = done.summary["recording"]["segments"]
    return _part(f"Simulated, {hours:g} h", judge(done.samples, soak_simulated.RULES), facts, [])


def _real(hours: float, folder: Path) -> dict[str, Any]:
    done = soak_site.run(hours, folder, _tell)
    lost = done.status["recording.records_lost"]
    problems = [f"{lost} records lost"] if lost else []
    problems += [f"the stop ended with exit code {done.exit_code}"] if done.exit_code else []
    facts = {name: done.status[name] for name in FACTS}
    facts["commands"] = dict(sorted(done.outcomes.items()))
    return _part(f"Real, {hours:g} h", judge(done.samples, soak_site.RULES), facts, problems)


def _part(
    name: str, findings: Sequence[Finding], facts: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    rows = [
        {
            "figure": f.rule.name,
            "judged_by": f.rule.kind.value,
            "found": round(f.found, 1),
            "at_most": f.rule.most,
            "first_third": f.first,
            "last_third": f.last,
        }
        for f in findings
    ]
    grown = [f"{f.rule.name} grew" for f in findings if f.grew]
    return {"name": name, "facts": facts, "rows": rows, "problems": [*grown, *problems]}


def _tell(sample: Sample) -> None:
    figures = "  ".join(f"{name} {value}" for name, value in sample.figures.items())
    print(f"{sample.at_s:7.0f} s  {figures}", file=sys.stderr, flush=True)


def table(found: dict[str, Any]) -> str:
    """For docs/soak.md."""
    facts = found["machine"]
    lines = [f"Measured {facts['date']}: {facts['cpu']}; Python {facts['python']}."]
    for part in found["parts"]:
        verdict = "; ".join(part["problems"]) or "nothing grew"
        told = ", ".join(f"{name} {value}" for name, value in part["facts"].items())
        lines += ["", f"{part['name']}: **{verdict}** ({told}).", ""]
        lines += ["| figure | first third | last third | judged by | found | at most |"]
        lines += ["|---|---|---|---|---|---|"]
        for row in part["rows"]:
            first, last, value, most = (f"{row[key]:,.10g}" for key in _NUMBERS)
            name, judged_by = row["figure"], row["judged_by"]
            lines.append(f"| {name} | {first} | {last} | {judged_by} | {value} | {most} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
