"""The policy network in PyTorch: standardise, two hidden layers, four outputs in percent.

Owns: the architecture and the plain weights that the export needs. Must not: know the plant.

Heating and cooling are the two signs of one signal: the rows of the last layer are negatives
of each other, with a shared margin, so that the network cannot ask for both, whatever its
inputs, and still cannot after per-channel quantization, which treats both rows alike.

The least outdoor air of an occupied building is a stop of the damper's output, which gives way
over two degrees where the mixed air nears freezing: the rule that the tuned PI follows too.

Behind it stands a play, as in a worn linkage: a command moves only when the wanted
position is more than PLAY_PERCENT away from it, and then just as far as to that distance. So
the noise of the sensors moves nothing, whatever the rate of the decisions, where a filter
alone would let a little of it through ten times a second.
"""

from typing import Any

import numpy as np
import torch
from observation import MIXED, OCCUPANCY, SEEN
from teacher import COLDEST_MIXED_DEGC, MIN_OUTDOOR_DAMPER
from torch import nn

from edge_agent.sim.episodes import FloatArray

HIDDEN = 64
MARGIN_PERCENT = 1.0  # each valve opens only when the coil signal passes this
LEAST_PERCENT = (100.0 * MIN_OUTDOOR_DAMPER, 0.0, 0.0, 0.0)
NO_AIR_DEGC = COLDEST_MIXED_DEGC - 2.0  # of mixed air: here the damper may shut
PLAY_PERCENT = 2.0
_THROUGH_PLAY = 0.1  # share of the gradient that a command at rest still passes to its target
# Where an output stands at its stop, this share of the gradient still passes, or a network
# that starts on the wrong side of a stop would never leave it.
_THROUGH_STOP = 0.1


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    """Weights in 8 bits, one symmetric scale per output, with the gradient of exact ones."""
    step = (weight.detach().abs().amax(1, keepdim=True) / 127.0).clamp(min=1e-9)
    return weight + (torch.round(weight / step) * step - weight).detach()


def _least(features: torch.Tensor) -> torch.Tensor:
    """Least positions (B, 4): outdoor air while occupied, unless it would freeze the coil."""
    warm = ((features[:, MIXED] - NO_AIR_DEGC) * 0.5).clamp(0.0, 1.0)
    share = (warm * features[:, OCCUPANCY]).detach().unsqueeze(1)
    return share * torch.tensor(LEAST_PERCENT)


class PolicyNet(nn.Module):  # type: ignore[misc]  # torch is not installed beside mypy
    """Maps features (B, SEEN) and the last commands (B, 4), side by side, to damper, cooling,
    heating and fan in percent (B, 4). `mean` and `deviation`: of the features."""

    def __init__(self, mean: FloatArray, deviation: FloatArray) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(mean, dtype=torch.float32))
        self.scale = nn.Buffer(torch.tensor(1.0 / deviation, dtype=torch.float32))
        self.rounding = False  # compute with the weights that the int8 file will have
        self.ruled = True  # False: without least air and play, as a beginner is taught
        self.first = nn.Linear(SEEN, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, 3)  # damper, coil (heating positive), fan
        with torch.no_grad():
            self.last.weight *= 30.0
            self.last.bias += torch.tensor([30.0, 0.0, 30.0])

    def raw(self, features: torch.Tensor) -> torch.Tensor:
        """Outputs before the stops at 0 and 100."""
        seen = (features[:, :SEEN] - self.mean) * self.scale
        hidden = torch.relu(self._layer(self.first, seen))
        hidden = torch.relu(self._layer(self.second, hidden))
        damper, coil, fan = self._layer(self.last, hidden).unbind(1)
        return torch.stack([damper, -coil - MARGIN_PERCENT, coil - MARGIN_PERCENT, fan], dim=1)

    def _layer(self, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        weight = _rounded(layer.weight) if self.rounding else layer.weight
        return nn.functional.linear(x, weight, layer.bias)

    def target(self, features: torch.Tensor) -> torch.Tensor:
        """Positions before the play."""
        raw = self.raw(features)
        least = _least(features) if self.ruled else torch.zeros_like(raw)
        soft = _THROUGH_STOP * raw
        stopped: torch.Tensor = torch.maximum(raw.detach().clamp(0.0, 100.0), least)
        inside = (raw > least) & (raw < 100.0)
        through = torch.where(inside, raw, soft)
        return stopped + through - through.detach()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        target, last = self.target(features), features[:, SEEN:]
        if not self.ruled:
            return target
        # Towards a shut target the play closes, so that a shut valve is shut.
        above = torch.minimum(target + PLAY_PERCENT, 2.0 * target)
        moved = torch.maximum(target - PLAY_PERCENT, torch.minimum(last, above))
        moved = torch.maximum(moved, _least(features))
        leak = _THROUGH_PLAY * (moved.detach() == last.detach()) * target
        return moved + leak - leak.detach()

    def weights(self) -> dict[str, Any]:
        """The arrays of the graph: standardisation, then (weight, bias) of three layers."""
        last_w, last_b = self.last.weight.detach().numpy(), self.last.bias.detach().numpy()
        rows = [(0, 1.0, 0.0), (1, -1.0, -MARGIN_PERCENT), (1, 1.0, -MARGIN_PERCENT), (2, 1.0, 0.0)]
        return {
            "mean": self.mean.numpy(),
            "scale": self.scale.numpy(),
            "play": PLAY_PERCENT,
            "least": LEAST_PERCENT,
            "no_air": NO_AIR_DEGC,
            "layers": [
                (self.first.weight.detach().numpy(), self.first.bias.detach().numpy()),
                (self.second.weight.detach().numpy(), self.second.bias.detach().numpy()),
                (
                    np.stack([sign * last_w[i] for i, sign, _ in rows]),
                    np.array([sign * last_b[i] + extra for i, sign, extra in rows], np.float32),
                ),
            ],
        }


class NetController:
    """A network as a controller of the closed loop."""

    def __init__(self, net: PolicyNet, features: Any) -> None:
        self._net = net
        self._features = features
        self.observation = np.empty((0, 0), np.float32)

    def decide(self, values: list[FloatArray], commands: FloatArray, dt_s: float) -> FloatArray:
        """Wanted positions (4, B) in percent."""
        rows = self._features.compute(values, commands, dt_s)
        self.observation = np.stack(rows, axis=1).astype(np.float32)
        with torch.no_grad():
            action: FloatArray = self._net(torch.from_numpy(self.observation)).numpy().T
        return action
