"""A model file as a controller of the closed loop.

Owns: asking it as the device does. Must not: train, score or know how it was made.
"""

import numpy as np
import onnxruntime as ort
from export import session
from observation import new_features

from edge_agent.sim.episodes import FloatArray


class OnnxController:
    """A model file as a controller. The int8 model is asked row by row, as the device asks:
    dynamic quantization takes its scale from all rows that it is given at once."""

    def __init__(self, model: bytes, row_by_row: bool) -> None:
        self._session: ort.InferenceSession = session(model)
        self._features = new_features()
        self._row_by_row = row_by_row

    def decide(self, values: list[FloatArray], commands: FloatArray, dt_s: float) -> FloatArray:
        """Wanted positions (4, B) in percent."""
        rows = self._features.compute(values, list(commands), dt_s)
        observation = np.stack(rows, axis=1).astype(np.float32)
        run_one, names = self._session.run, ["action"]
        if not self._row_by_row:
            action: FloatArray = run_one(names, {"observation": observation})[0].T
            return action
        answers = [run_one(names, {"observation": row})[0] for row in observation[:, None]]
        return np.concatenate(answers).T
