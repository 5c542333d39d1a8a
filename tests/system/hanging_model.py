"""A model that never answers again once it is asked about a certain observation.

Owns: a copy of the shipped model whose graph enters a loop without an end when the supply
set-point is above `HANGS_ABOVE`. It passes every check of a model, its golden answers too: that
a model answers now does not mean that it always will.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SHIPPED = Path(__file__).parents[2] / "models" / "air-handler"
HANGS_ABOVE = 30.0  # degC, of the first feature; inside its range, above every golden answer's
_ROUNDS = 2**62  # of some microseconds each


def write_hanging_model(folder: Path) -> Path:
    """Make `folder` with the model and its manifest; returns it."""
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "data", "*.int8.onnx"))
    shipped = (SHIPPED / "policy.int8.onnx").read_bytes()
    hanging = _hanging(onnx.load_from_string(shipped)).SerializeToString()
    (folder / "policy.int8.onnx").write_bytes(hanging)
    manifest = folder / "manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    old, new = (hashlib.sha256(model).hexdigest() for model in (shipped, hanging))
    assert old in text
    manifest.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def _hanging(model: ModelProto) -> ModelProto:
    """The same graph, whose output waits for a loop: no round, or `_ROUNDS` of them."""
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["answer" if name == output else name for name in node.output]
    constants: dict[str, NDArray[Any]] = {
        "hang_first": np.array([0], np.int64),
        "hang_above": np.array(HANGS_ABOVE, np.float32),
        "hang_rounds": np.array(_ROUNDS, np.int64),
        "hang_nothing": np.array(0, np.int64),
        "hang_zero": np.array(0.0, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    graph.node.extend(
        [
            helper.make_node("Gather", [graph.input[0].name, "hang_first"], ["hang_seen"], axis=1),
            helper.make_node("ReduceMax", ["hang_seen"], ["hang_value"], keepdims=0),
            helper.make_node("Greater", ["hang_value", "hang_above"], ["hang_now"]),
            helper.make_node("Where", ["hang_now", "hang_rounds", "hang_nothing"], ["hang_count"]),
            _loop(),
            helper.make_node("Add", ["answer", "hang_end"], [output]),
        ]
    )
    onnx.checker.check_model(model)
    return model


def _loop() -> NodeProto:
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Neg", ["before"], ["after"]),
        ],
        "round",
        [
            scalar("number", TensorProto.INT64, []),
            scalar("go_on", TensorProto.BOOL, []),
            scalar("before", TensorProto.FLOAT, []),
        ],
        [scalar("still", TensorProto.BOOL, []), scalar("after", TensorProto.FLOAT, [])],
    )
    return helper.make_node("Loop", ["hang_count", "", "hang_zero"], ["hang_end"], body=body)
