"""Plays two recorded days through the whole system and compares us with the real controller.

    python bench/real_day.py [--day NAME] [--speed N] [--no-replay] [--json] [--docs]

Each day runs as separate processes (a real Mosquitto, `edge-agent run` with its gateway, the
simulated microcontroller behind a pseudo-terminal, `edge-agent feed`), both days at once; then
each is replayed through the decision alone at its true pace. Meaning of the figures:
docs/real-days.md, whose tables `--docs` writes anew.

Owns: the arguments, which days there are, and the order of the run. Must not: measure or judge.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.processes import ROOT
from bench.real_day_account import document_of
from bench.real_day_replay import replay
from bench.real_day_report import into_document, markdown
from bench.real_day_run import DEVICE, Day, play_together
from bench.report import machine
from edge_agent.core.errors import EdgeAgentError
from edge_agent.safety import devices

DOCUMENT = ROOT / "docs" / "real-days.md"
# Name, its log in tests/data, and the example map that says what its columns are.
DAYS = (
    ("mzvav", "mzvav-2009-02-16.csv.xz", "mzvav.map.toml"),
    ("szcav", "szcav-2017-04-01.csv.xz", "szcav.map.toml"),
)
# A day in two minutes, and a sensor that may miss seven of its rows: two thirds of a second.
SPEED = 720.0
MAX_AGE_ROWS = 8.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Two recorded days through the whole system, beside the real controller."
    )
    names = [name for name, _, _ in DAYS]
    parser.add_argument("--day", choices=names, action="append", help="default: all of them")
    parser.add_argument(
        "--speed", type=float, default=SPEED, help="times real time (default: %(default)g)"
    )
    parser.add_argument(
        "--max-age-rows",
        type=float,
        default=MAX_AGE_ROWS,
        help="how many rows old a sensor may be (default: %(default)g)",
    )
    parser.add_argument("--no-replay", action="store_true", help="only the real processes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--docs", action="store_true", help=f"rewrite the tables of {DOCUMENT.name}"
    )
    arguments = parser.parse_args(argv)
    try:
        days = days_of(arguments.day or names, arguments.speed, arguments.max_age_rows)
        found = run(days, with_replay=not arguments.no_replay)
    except EdgeAgentError as error:
        print(f"real_day: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.docs:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(into_document(text, markdown(found)), encoding="utf-8")
    print(json.dumps(found, indent=2) if arguments.json else markdown(found))
    return 0


def days_of(names: Sequence[str], speed: float, max_age_rows: float) -> list[Day]:
    """The days that the project ships, as they are to be played."""
    return [
        Day(
            name,
            ROOT / "tests" / "data" / log,
            ROOT / "deploy" / "examples" / mapping,
            speed,
            max_age_rows,
        )
        for name, log, mapping in DAYS
        if name in names
    ]


def run(days: Sequence[Day], *, with_replay: bool) -> dict[str, Any]:
    """Play the days together, then replay them, one core each; everything in plain values."""
    envelope = devices.find(DEVICE)
    with tempfile.TemporaryDirectory(prefix="real-day-") as folder:
        played = {p.day.name: document_of(p, envelope) for p in play_together(days, Path(folder))}
    replayed: dict[str, Any] = {}
    if with_replay:
        with ProcessPoolExecutor(len(days), mp_context=get_context("spawn")) as pool:
            documents = pool.map(replay, [d.log for d in days], [d.mapping for d in days])
            replayed = dict(zip([d.name for d in days], documents, strict=True))
    return {
        "machine": machine(),
        "speed": days[0].speed,
        "max_age_rows": days[0].max_age_rows,
        "played": played,
        "replayed": replayed,
    }


if __name__ == "__main__":
    sys.exit(main())
