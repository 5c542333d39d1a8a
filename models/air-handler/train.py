"""Trains, quantizes and scores the air handler's policy: one command, seeded, CPU only.

    python models/air-handler/train.py [--log MZVAV-2-1.csv]

Without a log the extract under data/ is used, which gives the same model. Owns: the order of
the steps and their sizes. Must not: hold any step itself.
"""

import argparse
import sys
import time
from pathlib import Path

import evaluate
import export
import numpy as np
import torch
from airlog import EXTRACT
from choose import choose
from imitate import Samples, fit, gather
from network import PolicyNet
from refine import Recipe, Rollout
from weather import Weather

from edge_agent.sim.episodes import FloatArray

SEED = 0
HERE = Path(__file__).parent
TEACHER_SHARE = 0.2  # of the units, driven by the teacher while the learner is watched
ROUNDS, LESSONS_BATCH, FIT_STEPS, LAST_FIT_STEPS = 4, 96, 1500, 4000
EPISODE_S, LESSON_DT_S = 3600.0, 1.0
RECIPE = Recipe(batch=256, duration_s=EPISODE_S, dt_s=3.0, chunk_s=240.0)
EPISODES = 90  # of refinement, each EPISODE_S / chunk_s updates
ROUNDING_FROM = 0.6  # share of the refinement after which weights are rounded to int8
RATE, LAST_RATE = 2e-3, 5e-5
CALIBRATION = 4000


def imitate(weather: Weather, generator: torch.Generator) -> tuple[PolicyNet, list[Samples]]:
    """A first network from the teacher, and the samples it learned from."""
    data = [gather(weather.draw(LESSONS_BATCH, EPISODE_S), None, 1.0, LESSON_DT_S)]
    seen = data[0][0]
    net = PolicyNet(seen.mean(axis=0), np.maximum(seen.std(axis=0), 0.05))
    for number in range(ROUNDS):
        error = fit(net, data, FIT_STEPS, generator)
        print(f"imitation {number}: {error:.2f} % from the teacher", flush=True)
        episode = weather.draw(LESSONS_BATCH, EPISODE_S)
        data.append(gather(episode, net, TEACHER_SHARE, LESSON_DT_S))
    print(f"imitation: {fit(net, data, LAST_FIT_STEPS, generator):.2f} %", flush=True)
    return net, data


def refine(net: PolicyNet, weather: Weather, generator: torch.Generator) -> None:
    """Descend on the closed loop's cost; the second part with int8 weights in place."""
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    for number in range(EPISODES):
        done = number / EPISODES
        net.rounding = done >= ROUNDING_FROM
        for group in optimiser.param_groups:
            group["lr"] = LAST_RATE + (RATE - LAST_RATE) * (1.0 - done)
        rollout = Rollout(weather.draw(RECIPE.batch, RECIPE.duration_s), RECIPE, generator)
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
    net.rounding = False


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
    refine(net, weather, generator)
    observations = calibration(net, weather)
    model = export.build(net.weights())
    best = choose(HERE, model, observations)
    print(f"trained in {time.monotonic() - started:.0f} s, int8 by {best.method}", flush=True)
    evaluate.write_card(evaluate.evaluate(evaluate.EPISODES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
