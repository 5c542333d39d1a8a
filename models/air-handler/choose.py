"""Which int8 file is shipped: every way is made, asked and driven; the one that controls most
like float is kept, the quicker of two that do it alike.

Owns: the comparison and its table. Must not: change a weight.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import export
import numpy as np
import onnx
from closed_loop import run
from onnx_controller import OnnxController

from edge_agent.sim.episodes import FloatArray, sample

COMPARISON_FILE = "quantization.md"
METHODS = ("dynamic", "dynamic-inner", "static-qdq", "static-qdq-inner", "weight-only")
SEEDS, DURATION_S, DEVICE_DT_S = range(30_000, 30_012), 1200.0, 0.1
ALIKE = 0.02  # closed-loop distances below this are not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One way of quantizing, beside float."""

    method: str
    model: bytes
    mean_percent: float  # difference of single answers, in percent of stroke
    worst_percent: float
    rms_k: float
    travel_percent_h: float
    micros: float

    def line(self) -> str:
        return (
            f"| {self.method} | {self.mean_percent:.3f} | {self.worst_percent:.2f} |"
            f" {self.rms_k:.3f} | {self.travel_percent_h:.0f} | {self.micros:.1f} |"
            f" {len(self.model)} |"
        )


def choose(folder: Path, model: onnx.ModelProto, observations: FloatArray) -> Trial:
    """Make and compare every way; write the table and the files of the best."""
    asked = observations[:1000]
    plain = model.SerializeToString()
    exact = _answers(plain, asked)[0]
    reference = _trial("float32", plain, asked, exact)
    trials = [
        _trial(method, export.quantize(model, method, observations), asked, exact)
        for method in METHODS
    ]
    lines = [trial.line() for trial in (*trials, reference)]
    (folder / COMPARISON_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    best = min(trials, key=lambda t: (max(_distance(t, reference), ALIKE), t.micros))
    export.write(folder, model, (best.model, best.method), observations)
    return best


def _distance(trial: Trial, reference: Trial) -> float:
    """How differently it controls: relative differences of error and travel."""
    return abs(trial.rms_k / reference.rms_k - 1.0) + abs(
        trial.travel_percent_h / reference.travel_percent_h - 1.0
    )


def _trial(method: str, model: bytes, asked: FloatArray, exact: FloatArray) -> Trial:
    answers, micros = _answers(model, asked)
    controller = OnnxController(model, row_by_row=True)
    score = run(sample(SEEDS, DURATION_S), controller, DEVICE_DT_S)
    return Trial(
        method=method,
        model=model,
        mean_percent=float(np.abs(answers - exact).mean()),
        worst_percent=float(np.abs(answers - exact).max()),
        rms_k=score.rms_k(),
        travel_percent_h=score.travel_percent_h(),
        micros=micros,
    )


def _answers(model: bytes, observations: FloatArray) -> tuple[FloatArray, float]:
    """Answers as the device asks for them, and the median time of one in microseconds."""
    opened = export.session(model)
    answers, times = [], []
    for row in observations.astype(np.float32):
        began = time.perf_counter()
        answers.append(opened.run(["action"], {"observation": row[None]})[0][0])
        times.append(time.perf_counter() - began)
    return np.array(answers), float(np.median(times)) * 1e6
