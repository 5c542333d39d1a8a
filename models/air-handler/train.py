"""Trains, quantizes and scores the air handler's policy: one command, seeded, CPU only.

    python models/air-handler/train.py [--log MZVAV-2-1.csv]

Without a log the extract under data/ is used, which gives the same model. Owns: the order of
the steps and their sizes. Must not: hold any step itself.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import evaluate
import export
import numpy as np
import torch
from airlog import EXTRACT
from choose import choose
from imitate import Samples, fit, gather
from network import PolicyNet
from observation import SEEN
from refine import Prices, Recipe, Rollout
from weather import Weather

from edge_agent.sim.episodes import FloatArray

SEED = 0
HERE = Path(__file__).parent
TEACHER_SHARE = 0.2  # of the units, driven by the teacher while the learner is watched
ROUNDS, LESSONS_BATCH, FIT_STEPS, LAST_FIT_STEPS = 4, 96, 1500, 4000
EPISODE_S, LESSON_DT_S = 3600.0, 1.0
RECIPE = Recipe(batch=256, duration_s=EPISODE_S, dt_s=3.0, chunk_s=240.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the refinement: `episodes` of EPISODE_S / chunk_s updates each, at rates that
    fall from the first to the last. From the share `rounding_from` on, weights are int8's."""

    episodes: int
    prices: Prices
    ruled: bool
    rates: tuple[float, float]
    rounding_from: float


# First to follow, with travel nearly free: at its full price a beginner learns to move nothing.
FOLLOW = Stage(
    episodes=90,
    prices=Prices(energy=0.01, travel=0.3),
    ruled=False,
    rates=(2e-3, 5e-5),
    rounding_from=0.6,
)
# Then, behind least air and play, to follow with less and less travel. By the seed of the
# weather and noise that each has of its own.
THRIFT: Mapping[int, Stage] = {
    11: Stage(
        episodes=36,
        prices=Prices(energy=0.10, travel=3.0),
        ruled=True,
        rates=(4e-4, 2e-5),
        rounding_from=0.0,
    ),
    12: Stage(
        episodes=24,
        prices=Prices(energy=0.12, travel=5.0),
        ruled=True,
        rates=(3e-4, 1e-5),
        rounding_from=0.0,
    ),
}
CALIBRATION_SEED = 13
CALIBRATION = 4000


def imitate(weather: Weather, generator: torch.Generator) -> tuple[PolicyNet, list[Samples]]:
    """A first network from the teacher, and the samples it learned from."""
    data = [gather(weather.draw(LESSONS_BATCH, EPISODE_S), None, 1.0, LESSON_DT_S)]
    seen = data[0][0]
    seen = seen[:, :SEEN]  # the commands behind them need no standard
    net = PolicyNet(seen.mean(axis=0), np.maximum(seen.std(axis=0), 0.05))
    net.ruled = False
    for number in range(ROUNDS):
        error = fit(net, data, FIT_STEPS, generator)
        print(f"imitation {number}: {error:.2f} % from the teacher", flush=True)
        episode = weather.draw(LESSONS_BATCH, EPISODE_S)
        data.append(gather(episode, net, TEACHER_SHARE, LESSON_DT_S))
    print(f"imitation: {fit(net, data, LAST_FIT_STEPS, generator):.2f} %", flush=True)
    return net, data


def refine(net: PolicyNet, weather: Weather, generator: torch.Generator, stage: Stage) -> None:
    """Descend on the closed loop's cost."""
    first, last = stage.rates
    optimiser = torch.optim.Adam(net.parameters(), lr=first)
    net.ruled = stage.ruled
    for number in range(stage.episodes):
        done = number / stage.episodes
        net.rounding = done >= stage.rounding_from
        for group in optimiser.param_groups:
            group["lr"] = last + (first - last) * (1.0 - done)
        episode = weather.draw(RECIPE.batch, RECIPE.duration_s)
        rollout = Rollout(episode, RECIPE, generator, stage.prices)
        costs = []
        for _ in range(round(RECIPE.duration_s / RECIPE.chunk_s)):
            rollout.detach()
            cost = rollout.chunk(net)
            optimiser.zero_grad()
            cost.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            costs.append(float(cost.detach()))
        print(f"refinement {number}: cost {np.mean(costs):.4f}", flush=True)
    net.rounding, net.ruled = False, True


def calibration(net: PolicyNet, weather: Weather) -> FloatArray:
    """Observations of the finished policy at work."""
    seen, _ = gather(weather.draw(LESSONS_BATCH, EPISODE_S), net, 0.0, LESSON_DT_S)
    pick = np.random.default_rng(SEED).permutation(len(seen))[:CALIBRATION]
    chosen: FloatArray = seen[pick]
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, default=EXTRACT, help="the original MZVAV-2-1.csv")
    arguments = parser.parse_args()
    started = time.monotonic()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order only: the same weights again
    generator = torch.Generator().manual_seed(SEED)
    weather = Weather(SEED, arguments.log)
    net, _ = imitate(weather, generator)
    refine(net, weather, generator, FOLLOW)
    for seed, stage in THRIFT.items():
        own = torch.Generator().manual_seed(seed)
        refine(net, Weather(seed, arguments.log), own, stage)
    observations = calibration(net, Weather(CALIBRATION_SEED, arguments.log))
    model = export.build(net.weights())
    best = choose(HERE, model, observations)
    print(f"trained in {time.monotonic() - started:.0f} s, int8 by {best.method}", flush=True)
    evaluate.write_card(evaluate.evaluate(evaluate.EPISODES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
