"""From weights to files: float32 and int8 ONNX, golden vectors, manifest.

Owns: the graph, the two ways of quantizing it and the files' text. Must not: train or score.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from observation import ACTUATORS, MIXED, OCCUPANCY, ROWS, SEEN
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.episodes import FloatArray

OPSET = 17
NAME, VERSION = "air-handler-policy", "1.0.0"
FLOAT_FILE, INT8_FILE, GOLDEN_FILE = "policy.fp32.onnx", "policy.int8.onnx", "golden.json"
# Exact whatever the quantization: these are rules, not weights.
_RULES = (
    "split",
    "mixed_air",
    "occupied",
    "gap",
    "half_gap",
    "warm",
    "share",
    "least",
    "target",
    "beyond",
    "twice",
    "above",
    "held",
    "below",
    "action",
)
GOLDEN_TOLERANCE_PERCENT = 2.0  # int8 kernels of different CPUs round differently


class _Graph:
    """Nodes and constants of a graph under construction."""

    def __init__(self) -> None:
        self.constants: list[Any] = []
        self.nodes: list[Any] = []

    def constant(self, name: str, value: Any, kind: Any = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output))
        return output


def build(weights: dict[str, Any]) -> onnx.ModelProto:
    """The graph, [batch, n] to [batch, m]: standardise, two hidden layers, stops, rules."""
    graph = _Graph()
    constant, node = graph.constant, graph.node
    parts = constant("parts", [SEEN, len(ACTUATORS)], np.int64)
    split = helper.make_node("Split", ["observation", parts], ["seen", "last"], "split", axis=1)
    graph.nodes.append(split)
    x = node("Sub", ["seen", constant("mean", weights["mean"])], "centred")
    x = node("Mul", [x, constant("scale", weights["scale"])], "standardised")
    for i, (weight, bias) in enumerate(weights["layers"]):
        x = node("MatMul", [x, constant(f"weight{i}", weight.T)], f"product{i}")
        x = node("Add", [x, constant(f"bias{i}", bias)], f"sum{i}")
        if i < len(weights["layers"]) - 1:
            x = node("Relu", [x], f"hidden{i}")
    node("Clip", [x, constant("low", 0.0), constant("high", 100.0)], "position")
    _rules(graph, weights)
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("observation", len(ROWS)), ("action", len(ACTUATORS)))
    ]
    built = helper.make_graph(graph.nodes, NAME, ports[:1], ports[1:], graph.constants)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _rules(graph: _Graph, weights: dict[str, Any]) -> None:
    """Least outdoor air and the play, as network.py has them: from "position" to "action"."""
    constant, node = graph.constant, graph.node
    for name, column in (("mixed_air", MIXED), ("occupied", OCCUPANCY)):
        picked = helper.make_node(
            "Gather", ["seen", constant(f"{name}_at", [column], np.int64)], [name], name, axis=1
        )
        graph.nodes.append(picked)
    gap = node("Sub", ["mixed_air", constant("no_air", weights["no_air"])], "gap")
    half = node("Mul", [gap, constant("half", 0.5)], "half_gap")
    warm = node("Clip", [half, "low", constant("one", 1.0)], "warm")
    share = node("Mul", [warm, "occupied"], "share")
    least = node("Mul", [share, constant("damper_least", weights["least"])], "least")
    target = node("Max", ["position", least], "target")
    play = constant("play", weights["play"])
    above = node(
        "Min",
        [node("Add", [target, play], "beyond"), node("Add", [target, target], "twice")],
        "above",
    )
    held = node("Min", ["last", above], "held")
    node("Max", [held, node("Sub", [target, play], "below"), least], "action")


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, observations: FloatArray) -> None:
        self._batches = iter(np.array_split(observations.astype(np.float32), 16))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"observation": batch}


def quantize(model: onnx.ModelProto, method: str, observations: FloatArray) -> bytes:
    """An int8 copy of the float model by one of choose.METHODS.

    The "-inner" ways leave the first layer float: its inputs are of many kinds, and eight bits
    over the widest of them are too few for the control error. "weight-only" keeps every
    weight in int8, a scale per output, and computes in float.
    """
    if method == "weight-only":
        small: bytes = _rounded_weights(model).SerializeToString()
        return small
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        excluded = [*_RULES]
        if method.endswith("-inner"):
            excluded += ["product0", "sum0", "hidden0", "centred", "standardised"]
        if method.startswith("dynamic"):
            quantize_dynamic(
                source,
                target,
                per_channel=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
            )
        else:
            quantize_static(
                source,
                target,
                _Calibration(observations),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
            )
        return target.read_bytes()


def _rounded_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Each MatMul's weight as int8 with a scale per column, widened on loading."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    weights = {t.name: t for t in small.graph.initializer if t.name.startswith("weight")}
    nodes = []
    for name, tensor in weights.items():
        values = numpy_helper.to_array(tensor)
        scale = (np.abs(values).max(axis=0) / 127.0).clip(min=1e-9).astype(np.float32)
        rounded = np.round(values / scale).clip(-127, 127).astype(np.int8)
        small.graph.initializer.remove(tensor)
        small.graph.initializer.extend(
            [
                numpy_helper.from_array(rounded, f"{name}_int8"),
                numpy_helper.from_array(scale, f"{name}_scale"),
            ]
        )
        # Not DequantizeLinear: ONNX Runtime folds these two away when it loads the file, and
        # would run that one at every inference.
        wide, scaled = f"{name}_wide", [f"{name}_wide", f"{name}_scale"]
        nodes.append(
            helper.make_node("Cast", [f"{name}_int8"], [wide], name=wide, to=TensorProto.FLOAT)
        )
        nodes.append(helper.make_node("Mul", scaled, [name], name=name))
    nodes.extend(small.graph.node)
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    onnx.checker.check_model(small)
    return small


def session(model: bytes) -> ort.InferenceSession:
    """As the runtime opens it: one thread, every optimisation."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def act(opened: ort.InferenceSession, observations: FloatArray) -> FloatArray:
    """Actions (N, 4) of a session for observations (N, n)."""
    actions: FloatArray = opened.run(["action"], {"observation": observations.astype(np.float32)})[
        0
    ]
    return actions


def write(
    folder: Path, model: onnx.ModelProto, chosen: tuple[bytes, str], observations: FloatArray
) -> None:
    """All files the runtime reads. `chosen`: the int8 model and how it was made.

    `observations` is the calibration set; the golden ones are picked from it.
    """
    int8, method = chosen
    float32 = model.SerializeToString()
    (folder / FLOAT_FILE).write_bytes(float32)
    (folder / INT8_FILE).write_bytes(int8)
    pick = observations[np.linspace(0, len(observations) - 1, 40).astype(int)].astype(np.float32)
    # One at a time, as the device asks: dynamic quantization scales over the whole batch.
    answers = {
        name: [act(opened, row[None])[0] for row in pick]
        for name, opened in (("int8", session(int8)), ("float32", session(float32)))
    }
    vectors = [
        {
            "observation": [float(v) for v in row],
            "int8": [round(float(v), 4) for v in answers["int8"][i]],
            "float32": [round(float(v), 4) for v in answers["float32"][i]],
        }
        for i, row in enumerate(pick)
    ]
    lines = ",\n".join(json.dumps(vector) for vector in vectors)
    (folder / GOLDEN_FILE).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (folder / "manifest.toml").write_text(
        _manifest(float32, int8, method, len(observations)), encoding="utf-8"
    )


def _manifest(float32: bytes, int8: bytes, method: str, samples: int) -> str:
    outputs = ", ".join(f'"{name}"' for name in ACTUATORS)
    lines = [
        "# Written by train.py. Rule of the ranges: a policy is asked only inside them.",
        "schema = 1",
        'device = "air-handler"',
        f"envelope_version = {ENVELOPE.version}",
        f'name = "{NAME}"',
        f'version = "{VERSION}"',
        f'file = "{INT8_FILE}"',
        f'sha256 = "{hashlib.sha256(int8).hexdigest()}"',
        f'float_file = "{FLOAT_FILE}"',
        f'float_sha256 = "{hashlib.sha256(float32).hexdigest()}"',
        'input = "observation"',
        'output = "action"',
        f"outputs = [{outputs}]",
        "",
    ]
    for row in ROWS:
        lines += ["[[feature]]", f'kind = "{row.spec.kind}"', f'channel = "{row.spec.channel}"']
        if row.spec.minus:
            lines.append(f'minus = "{row.spec.minus}"')
        if row.spec.time_constant_s > 0.0:
            lines.append(f"time_constant_s = {row.spec.time_constant_s}")
        lines += [f"minimum = {row.minimum}", f"maximum = {row.maximum}", ""]
    lines += [
        "[quantization]",
        f'method = "{method}"',
        "per_channel = true",
        f"calibration_samples = {samples}",
        "",
        "[golden]",
        f'file = "{GOLDEN_FILE}"',
        f"tolerance = {GOLDEN_TOLERANCE_PERCENT}",
        "",
    ]
    return "\n".join(lines)
