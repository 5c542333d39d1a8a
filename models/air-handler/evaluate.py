"""Scores float, int8 and the tuned PI on the same episodes at the device's rate.

    python models/air-handler/evaluate.py [--card]
    python models/air-handler/evaluate.py --episodes 12 --first-seed 500 --duration 1800

Owns: the comparison and the card. Must not: train or tune. With --card the result replaces
the table in MODEL_CARD.md; every number there comes from here.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from choose import COMPARISON_FILE
from closed_loop import Controller, Score, run
from export import FLOAT_FILE, INT8_FILE
from onnx_controller import OnnxController
from pid import TUNED, SplitRangePi

from edge_agent.sim.episodes import sample

HERE = Path(__file__).parent
CARD = HERE / "MODEL_CARD.md"
EPISODES = 100
FIRST_SEED = 9_000  # apart from every seed of training and of the PI's search
DURATION_S = 3600.0
DEVICE_DT_S = 0.1
BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table."""

    name: str
    score: Score

    def line(self) -> str:
        s = self.score
        return (
            f"| {self.name} | {s.rms_k():.3f} | {s.overshoot():.2f} | {s.energy_kwh():.3f} |"
            f" {s.travel_percent_h():.0f} | {s.simultaneous_s.sum():.0f} |"
        )


def evaluate(
    episodes: int, first_seed: int = FIRST_SEED, duration_s: float = DURATION_S
) -> list[Result]:
    """Every controller on the same seeds."""
    controllers: list[tuple[str, Controller]] = [
        ("int8 (shipped)", OnnxController((HERE / INT8_FILE).read_bytes(), row_by_row=True)),
        ("float32", OnnxController((HERE / FLOAT_FILE).read_bytes(), row_by_row=False)),
        ("tuned split-range PI", SplitRangePi(TUNED)),
    ]
    results = []
    for name, controller in controllers:
        episode = sample(range(first_seed, first_seed + episodes), duration_s)
        results.append(Result(name=name, score=run(episode, controller, DEVICE_DT_S)))
    return results


def table(results: list[Result]) -> str:
    """Markdown."""
    head = (
        "| controller | RMS error, K | overshoot, K | coil energy, kWh | travel, %/h |"
        " heating and cooling at once, s |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(result.line() for result in results)])


def write_card(results: list[Result]) -> None:
    """Replace the two tables of the card."""
    text = table(results)
    print(text)
    comparison = (HERE / COMPARISON_FILE).read_text(encoding="utf-8").rstrip()
    head = (
        "| int8 by | mean difference from float, % | largest, % | RMS error, K | travel, %/h |"
        " one inference, µs | bytes |\n|---|---|---|---|---|---|---|"
    )
    stamped = (
        f"{BEGIN}\n{text}\n\nDate: {time.strftime('%Y-%m-%d')}.\n\n{head}\n{comparison}\n{END}"
    )
    card = CARD.read_text(encoding="utf-8")
    CARD.write_text(
        re.sub(f"{BEGIN}.*{END}", lambda _: stamped, card, flags=re.DOTALL), encoding="utf-8"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--duration", type=float, default=DURATION_S, help="seconds an episode")
    parser.add_argument("--card", action="store_true", help="replace the tables in the card")
    arguments = parser.parse_args()
    chosen = arguments.episodes, arguments.first_seed, arguments.duration
    if arguments.card and chosen != (EPISODES, FIRST_SEED, DURATION_S):
        parser.error("the card is scored on its own episodes: leave out the other options")
    results = evaluate(*chosen)
    if arguments.card:
        write_card(results)
    else:
        print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
