"""Refinement: the closed loop's own cost, differentiated through the simulator's physics.

Owns: roll-outs with gradients and the cost. Must not: hold physics of its own; it calls
edge_agent/sim/thermal.py with tensors, and the runtime's features with tensors.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from closed_loop import FAN, FREEZE_BELOW_DEGC, RATE_PERCENT_S
from network import PolicyNet
from observation import ACTUATORS, ROWS, SENSORS
from teacher import COLDEST_MIXED_DEGC, MIN_OUTDOOR_DAMPER
from teacher import FAN as FAN_SPEED

from edge_agent.decision.features import Features
from edge_agent.sim.episodes import KNOT_S, OCCUPANCY, OUTDOOR, SETPOINT, Episode
from edge_agent.sim.plant import initial_state
from edge_agent.sim.plant_fitted import FITTED
from edge_agent.sim.thermal import State, advance, coefficients

DEVICE_DT_S = 0.1
# Prices that never change, per second, in K2.
ERROR_BEND_K = 1.5  # beyond it the squared error goes on as a straight line
FREEZE_PER_K2 = 1.0
VENTILATION_PER_PERCENT2 = 0.002
REST_PER_PERCENT2 = 0.001  # anything open or turning while nobody is there
FAN_PER_PERCENT2 = 0.01


class _TensorFeatures(Features):
    """The runtime's features on tensors; `detach` cuts the gradient between two chunks."""

    def detach(self) -> None:
        self._means = [m.detach() if m is not None else None for m in self._means]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How long and how finely to refine."""

    batch: int
    duration_s: float
    dt_s: float
    chunk_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a step costs beside its squared error, in K2: per kW of both coils, and per percent
    that damper and valves move in it."""

    energy: float
    travel: float


class Rollout:
    """A batch of units under a network, advanced in chunks."""

    def __init__(
        self,
        episode: Episode,
        recipe: Recipe,
        generator: torch.Generator,
        prices: Prices,
    ) -> None:
        def tensor(value: Any) -> torch.Tensor:
            return torch.tensor(np.asarray(value), dtype=torch.float32)

        self._recipe, self._generator = recipe, generator
        self._prices = prices
        self._knots = tensor(episode.knots)
        self._capacity = tensor(np.stack([episode.cooling_capacity, episode.heating_capacity]))
        # Filtered noise must be as large as it is at the device's rate.
        scale = FITTED.temperature_noise_k * math.sqrt(DEVICE_DT_S / recipe.dt_s)
        self._noise = tensor(episode.noise) * scale
        self._c = coefficients(FITTED, recipe.dt_s, torch.tensor, torch.stack)
        self._state: State = State(*(tensor(x) for x in initial_state(episode, FITTED)))
        self._features = _TensorFeatures([row.spec for row in ROWS], SENSORS, ACTUATORS)
        self._commands = torch.zeros(len(ACTUATORS), recipe.batch)
        self._frozen = torch.zeros(recipe.batch, dtype=torch.bool)
        self._most = tensor(RATE_PERCENT_S * recipe.dt_s)
        self._step = 0

    def detach(self) -> None:
        """Cut the gradient here."""
        self._state = State(*(x.detach() for x in self._state))
        self._commands = self._commands.detach()
        self._features.detach()

    def chunk(self, net: PolicyNet) -> torch.Tensor:
        """Mean cost of the next chunk, with gradient."""
        steps = round(self._recipe.chunk_s / self._recipe.dt_s)
        total = torch.zeros(())
        for _ in range(steps):
            total = total + self._advance(net)
        return total / steps

    def _advance(self, net: PolicyNet) -> torch.Tensor:
        s, dt_s = self._state, self._recipe.dt_s
        world = self._world()
        proved = (s.fan_proof_s >= FITTED.prove_delay_s).float()
        noise = torch.randn(4, self._recipe.batch, generator=self._generator) * self._noise
        zero = torch.zeros_like(proved)
        values = [
            s.sensors_degc[0] + noise[0],
            s.sensors_degc[1] + noise[1],
            world[OUTDOOR] + noise[2],
            s.return_degc + noise[3],
            world[SETPOINT],
            proved,
            world[OCCUPANCY],
            zero,
            zero,
        ]
        features = torch.stack(self._features.compute(values, self._commands, dt_s), dim=1)
        wanted = net(features).T
        self._frozen = torch.where(
            self._frozen, values[1] < FREEZE_BELOW_DEGC + 2.0, values[1] < FREEZE_BELOW_DEGC
        )
        flowing, warm = proved, (~self._frozen).float()
        allow = torch.stack([warm, flowing * warm, flowing, torch.ones_like(warm)])
        move = (wanted - self._commands).clamp(-self._most, self._most)
        commands = (self._commands + move) * allow
        after = advance(s, commands * 0.01, world, self._capacity, self._c)
        energy = after.coil_w.abs().sum(0) * (self._prices.energy / 1000.0)
        travel = (commands - self._commands)[:FAN].abs().sum(0) * self._prices.travel
        cost = _cost(after, wanted, (energy, travel), world, proved)
        self._state, self._commands = after, commands
        self._step += 1
        return cost

    def _world(self) -> torch.Tensor:
        position = self._step * self._recipe.dt_s / KNOT_S
        k = min(int(position), len(self._knots) - 2)
        now = self._knots[k].clone()
        now[:SETPOINT] += (self._knots[k + 1, :SETPOINT] - now[:SETPOINT]) * (position - k)
        return now


def _cost(
    s: State,
    wanted: torch.Tensor,
    priced: tuple[torch.Tensor, torch.Tensor],
    world: torch.Tensor,
    proved: torch.Tensor,
) -> torch.Tensor:
    """Mean over the batch of what a step costs; `priced`: energy and travel, already in K2."""
    energy, travel = priced
    occupied = world[OCCUPANCY]
    error = s.supply_degc - world[SETPOINT]
    bent = torch.nn.functional.huber_loss(
        error, torch.zeros_like(error), reduction="none", delta=ERROR_BEND_K
    )
    cold = (COLDEST_MIXED_DEGC - s.mixed_degc).clamp(min=0.0) ** 2 * FREEZE_PER_K2
    closed = (100.0 * MIN_OUTDOOR_DAMPER - wanted[0]).clamp(min=0.0) ** 2 * VENTILATION_PER_PERCENT2
    # Too cold outside for the minimum: the damper may close to keep the coil from freezing.
    closed = closed * (s.mixed_degc > COLDEST_MIXED_DEGC + 1.0)
    speed = (wanted[FAN] - 100.0 * FAN_SPEED * occupied) ** 2 * FAN_PER_PERCENT2
    rest = (wanted[:FAN] ** 2).sum(0) * REST_PER_PERCENT2 * (1.0 - occupied)
    running = proved * occupied
    return (running * (2.0 * bent + energy + travel + cold + closed) + speed + rest).mean()
