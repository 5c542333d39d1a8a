"""A tiny real model in a folder with its manifest, and ways to spoil either."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_agent.core.clock import ManualClock
from edge_agent.inference.manifest import load_manifest
from edge_agent.inference.session import OnnxPolicy
from tests.unit.safety.lab import envelope

LAB = envelope()
WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0]], dtype=np.float32)


class Graph(NamedTuple):
    """What the model file declares; the default fits the manifest below."""

    input: str = "observation"
    output: str = "action"
    kind: int = TensorProto.FLOAT
    in_shape: Sequence[int | str] = ("batch", 2)
    out_shape: Sequence[int | str] = ("batch", 2)
    op: str = "MatMul"  # or "Sqrt" (NaN for what is negative), "Cast" of all to 1


def model_bytes(graph: Graph) -> bytes:
    """The serialised model: action = observation x WEIGHTS, or the square root of it."""
    dtype = helper.tensor_dtype_to_np_dtype(graph.kind)
    weights = numpy_helper.from_array(WEIGHTS.astype(dtype), "weights")
    nodes = [helper.make_node("MatMul", [graph.input, "weights"], ["product"])]
    last = graph.op if graph.op != "MatMul" else "Identity"
    nodes.append(helper.make_node(last, ["product"], [graph.output]))
    made = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(graph.input, graph.kind, graph.in_shape)],
        [helper.make_tensor_value_info(graph.output, graph.kind, graph.out_shape)],
        [weights],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


MANIFEST = """
schema = 1
device = "lab"
envelope_version = 1
name = "tiny"
version = "1"
file = "tiny.onnx"
sha256 = "{sha256}"
float_file = "tiny.onnx"
float_sha256 = "{sha256}"
input = "observation"
output = "action"
outputs = ["pump", "valve"]
quantization = {{ method = "none", per_channel = false, calibration_samples = 0 }}
golden = {{ file = "golden.json", tolerance = 1e-6 }}

[[feature]]
kind = "value"
channel = "level"
minimum = -50.0
maximum = 50.0

[[feature]]
kind = "command"
channel = "pump"
minimum = -10.0
maximum = 30.0
"""


def write_model(
    folder: Path, graph: Graph | None = None, *, replace: tuple[str, str] = ("", "")
) -> Path:
    """Write model and manifest (with one text replaced) into `folder`."""
    data = model_bytes(graph or Graph())
    (folder / "tiny.onnx").write_bytes(data)
    text = MANIFEST.format(sha256=hashlib.sha256(data).hexdigest())
    assert replace[0] in text
    text = text.replace(replace[0], replace[1], 1) if replace[0] else text
    (folder / "manifest.toml").write_text(text, encoding="utf-8")
    return folder


def open_policy(folder: Path) -> OnnxPolicy:
    """The policy of a folder, as the agent opens it."""
    return OnnxPolicy(folder, load_manifest(folder, LAB), ManualClock())
