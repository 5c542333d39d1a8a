"""The policy network in PyTorch: standardise, two hidden layers, four outputs in percent.

Owns: the architecture and the plain weights that the export needs. Must not: know the plant.

Heating and cooling are the two signs of one signal: the rows of the last layer are negatives
of each other, with a shared margin, so that the network cannot ask for both, whatever its
inputs, and still cannot after per-channel quantization, which treats both rows alike.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from edge_agent.sim.episodes import FloatArray

HIDDEN = 64
MARGIN_PERCENT = 1.0  # each valve opens only when the coil signal passes this
# Where an output stands at its stop, this share of the gradient still passes, or a network
# that starts on the wrong side of a stop would never leave it.
_THROUGH_STOP = 0.1


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    """Weights in 8 bits, one symmetric scale per output, with the gradient of exact ones."""
    step = (weight.detach().abs().amax(1, keepdim=True) / 127.0).clamp(min=1e-9)
    return weight + (torch.round(weight / step) * step - weight).detach()


class PolicyNet(nn.Module):  # type: ignore[misc]  # torch is not installed beside mypy
    """Maps features (B, n) to damper, cooling, heating and fan in percent (B, 4)."""

    def __init__(self, mean: FloatArray, deviation: FloatArray) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(mean, dtype=torch.float32))
        self.scale = nn.Buffer(torch.tensor(1.0 / deviation, dtype=torch.float32))
        self.rounding = False  # compute with the weights that the int8 file will have
        n = len(mean)
        self.first = nn.Linear(n, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, 3)  # damper, coil (heating positive), fan
        with torch.no_grad():
            self.last.weight *= 30.0
            self.last.bias += torch.tensor([30.0, 0.0, 30.0])

    def raw(self, features: torch.Tensor) -> torch.Tensor:
        """Outputs before the stops at 0 and 100."""
        hidden = torch.relu(self._layer(self.first, (features - self.mean) * self.scale))
        hidden = torch.relu(self._layer(self.second, hidden))
        damper, coil, fan = self._layer(self.last, hidden).unbind(1)
        return torch.stack([damper, -coil - MARGIN_PERCENT, coil - MARGIN_PERCENT, fan], dim=1)

    def _layer(self, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        weight = _rounded(layer.weight) if self.rounding else layer.weight
        return nn.functional.linear(x, weight, layer.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        raw = self.raw(features)
        soft = _THROUGH_STOP * raw
        stopped: torch.Tensor = raw.detach().clamp(0.0, 100.0)
        inside = (raw > 0.0) & (raw < 100.0)
        through = torch.where(inside, raw, soft)
        return stopped + through - through.detach()

    def weights(self) -> dict[str, Any]:
        """The arrays of the graph: standardisation, then (weight, bias) of three layers."""
        last_w, last_b = self.last.weight.detach().numpy(), self.last.bias.detach().numpy()
        rows = [(0, 1.0, 0.0), (1, -1.0, -MARGIN_PERCENT), (1, 1.0, -MARGIN_PERCENT), (2, 1.0, 0.0)]
        return {
            "mean": self.mean.numpy(),
            "scale": self.scale.numpy(),
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
