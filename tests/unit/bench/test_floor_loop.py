"""The floor answers, clamps and checks the CRC, and stays as short as it claims."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.device import BenchDevice
from bench.processes import ROOT, Process, Subject, start_floor
from edge_agent.safety import devices
from firmware_bridge.frames import Frame, encode_frame

ENVELOPE = devices.find("air-handler")
# 10 times the third output is above the range, 10 times the fourth below.
BIAS = (12.3, 0.0, 500.0, -500.0)


def constant_model(path: Path) -> Path:
    """Nine observations in, BIAS out."""
    weights = numpy_helper.from_array(np.zeros((9, 4), np.float32), "weights")
    bias = numpy_helper.from_array(np.array(BIAS, np.float32), "bias")
    node = helper.make_node("Gemm", ["observation", "weights", "bias"], ["action"])
    graph = helper.make_graph(
        [node],
        "constant",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", 9])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", 4])],
        [weights, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BenchDevice, Process]]:
    folder = tmp_path_factory.mktemp("floor")
    subject = Subject(ENVELOPE, folder, constant_model(folder / "model.onnx"), 0)
    with BenchDevice(ENVELOPE, in_session=False) as device:
        process, _ = start_floor(subject, device)
        with process:
            yield device, process


def test_a_frame_is_answered_with_a_clamped_one(floor: tuple[BenchDevice, Process]) -> None:
    device, _ = floor
    assert device.exchange(0) is not None
    assert device._applied == (123, 0, 1000, 0)


def test_a_damaged_frame_is_not_answered(floor: tuple[BenchDevice, Process]) -> None:
    device, process = floor
    good = bytearray(encode_frame(Frame(0x90, 1, 1, (1, 2, 3)), 0))
    good[8] ^= 0x01
    answers = device.commands
    os.write(device._master, good)
    assert not device.serve(0.1)
    assert device.commands == answers
    assert process.alive()
    assert device.exchange(0) is not None


def test_the_floor_is_under_sixty_lines() -> None:
    assert len((ROOT / "bench" / "floor_loop.py").read_text("utf-8").splitlines()) < 60
