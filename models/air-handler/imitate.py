"""Imitation: the teacher's answers at the states that the learner itself reaches.

Owns: gathering and fitting (data set aggregation). Must not: judge the result.
"""

import numpy as np
import torch
from closed_loop import Limits
from network import NetController, PolicyNet
from observation import new_features
from teacher import teach

from edge_agent.sim.episodes import Episode, FloatArray
from edge_agent.sim.plant import AirHandlerPlant

Samples = tuple[FloatArray, FloatArray]
KEEP_EVERY = 5  # steps; neighbours in time hardly differ


def gather(episode: Episode, net: PolicyNet | None, teacher_share: float, dt_s: float) -> Samples:
    """Features (N, n) and the teacher's commands (N, 4) along a roll-out in which each unit is
    driven by the teacher with probability `teacher_share`, by the network otherwise."""
    plant = AirHandlerPlant(episode)
    limits = Limits(plant.batch)
    features = new_features()
    learner = NetController(net, features) if net is not None else None
    led = np.random.default_rng(episode.seeds[0]).random(plant.batch) < teacher_share
    seen, taught = [], []
    for k in range(round(episode.duration_s / dt_s)):
        values = plant.measure_batch()
        lesson = teach(plant)
        if learner is None:
            wanted = lesson
            observation = np.stack(features.compute(values, list(limits.commands), dt_s), axis=1)
        else:
            wanted = np.where(led, lesson, learner.decide(values, limits.commands, dt_s))
            observation = learner.observation
        if k % KEEP_EVERY == 0:
            seen.append(observation.astype(np.float32))
            taught.append(lesson.T.astype(np.float32))
        plant.step(list(limits.apply(wanted, values, dt_s)), dt_s)
    return np.concatenate(seen), np.concatenate(taught)


def fit(net: PolicyNet, data: list[Samples], steps: int, generator: torch.Generator) -> float:
    """Fit the network to the aggregated samples; returns the last mean absolute error, %."""
    x = torch.from_numpy(np.concatenate([seen for seen, _ in data]))
    y = torch.from_numpy(np.concatenate([taught for _, taught in data]))
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=1e-4)
    error = 0.0
    for _ in range(steps):
        pick = torch.randint(len(x), (2048,), generator=generator)
        difference = net.target(x[pick]) - y[pick]
        loss = torch.nn.functional.huber_loss(difference, torch.zeros_like(difference), delta=10.0)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 50.0)
        optimiser.step()
        schedule.step()
        error = 0.98 * error + 0.02 * float(difference.detach().abs().mean())
    return error
