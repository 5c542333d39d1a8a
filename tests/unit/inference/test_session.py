"""The real runtime with a tiny real model: the same numbers, and a refusal for all else."""

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto

from edge_agent.core.clock import ManualClock
from edge_agent.core.errors import ModelError
from edge_agent.core.records import Proposal, Reason, Rule
from edge_agent.inference.manifest import load_manifest
from edge_agent.inference.session import OnnxPolicy, open_session
from edge_agent.safety.gate import admit
from tests.unit.inference.tiny import LAB, Graph, open_policy, write_model


class SteppingClock(ManualClock):
    """Every look at the clock takes 70 microseconds."""

    def now_ns(self) -> int:
        self.advance_ns(70_000)
        return super().now_ns()


@pytest.mark.parametrize("observation", [(0.0, 0.0), (50.0, -10.0), (-50.0, 30.0), (1.1, 2.2)])
def test_a_proposal_equals_the_runtimes_own_answer(
    observation: tuple[float, float], tmp_path: Path
) -> None:
    policy = open_policy(write_model(tmp_path))
    session = ort.InferenceSession(str(tmp_path / "tiny.onnx"), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"observation": np.array([observation], dtype=np.float32)})
    proposal = policy.propose(observation)
    assert proposal.values == tuple(expected[0].tolist())
    assert proposal.reasons == ()


def test_an_answer_is_never_that_of_an_earlier_question(tmp_path: Path) -> None:
    policy = open_policy(write_model(tmp_path))
    first = policy.propose([1.0, 0.0])
    second = policy.propose([2.0, 0.0])
    assert first.values == (1.0, -2.0)
    assert second.values == (2.0, -4.0)
    assert policy.propose([1.0, 0.0]) == first


def test_a_warming_run_leaves_no_trace(tmp_path: Path) -> None:
    """It computes with the last features, into buffers that no decision reads."""
    policy, other = open_policy(write_model(tmp_path)), open_policy(tmp_path)
    for observation in ((1.0, 0.0), (2.0, -3.0), (-50.0, 30.0)):
        expected = other.propose(observation)
        policy.warm()
        assert policy.propose(observation) == expected
        before = policy._output.tobytes()
        policy.warm()
        assert policy._output.tobytes() == before
        assert policy._scratch_output.tobytes() == before


def test_a_warming_run_of_a_model_that_fails_is_silent(tmp_path: Path) -> None:
    policy = open_policy(write_model(tmp_path))

    def failing(_binding: object) -> None:
        raise RuntimeError

    policy._session = SimpleNamespace(run_with_iobinding=failing)
    policy.warm()
    assert policy.propose((1.0, 1.0)).reasons == (Reason(Rule.MODEL_ERROR),)


def test_a_proposal_is_made_of_plain_floats(tmp_path: Path) -> None:
    values = open_policy(write_model(tmp_path)).propose([1.0, 1.0]).values
    assert values is not None
    assert [type(v) for v in values] == [float, float]


def test_the_time_of_an_inference_is_measured_with_the_given_clock(tmp_path: Path) -> None:
    write_model(tmp_path)
    policy = OnnxPolicy(tmp_path, load_manifest(tmp_path, LAB), SteppingClock())
    assert policy.propose([1.0, 1.0]).elapsed_ns == 70_000


@pytest.mark.parametrize(
    ("observation", "feature"),
    [
        ((50.1, 0.0), 0),
        ((-50.1, 0.0), 0),
        ((0.0, 30.1), 1),
        ((math.nan, 0.0), 0),
        ((0.0, math.nan), 1),
        ((math.inf, 0.0), 0),
        ((0.0, -math.inf), 1),
        ((1e300, 0.0), 0),
    ],
)
def test_a_world_outside_the_training_range_is_not_asked_about(
    observation: Sequence[float], feature: int, tmp_path: Path
) -> None:
    proposal = open_policy(write_model(tmp_path)).propose(observation)
    assert proposal == Proposal(None, 0, (Reason(Rule.OUTSIDE_TRAINING_RANGE, -1, feature),))


def test_an_input_beyond_float32_never_passes_the_gate(tmp_path: Path) -> None:
    write_model(tmp_path, replace=("maximum = 50.0", "maximum = 1e300"))
    proposal = open_policy(tmp_path).propose([1e299, 0.0])
    assert admit(proposal, LAB) == (None, [Reason(Rule.NOT_FINITE, 1)])


def test_a_model_that_answers_nan_is_refused_at_the_gate(tmp_path: Path) -> None:
    policy = open_policy(write_model(tmp_path, Graph(op="Sqrt")))
    proposal = policy.propose([1.0, 0.0])  # sqrt(1), sqrt(-2)
    assert proposal.values is not None
    assert math.isnan(proposal.values[1])
    assert admit(proposal, LAB) == (None, [Reason(Rule.NOT_FINITE, 2)])


def test_a_model_that_answers_infinity_is_refused_at_the_gate(tmp_path: Path) -> None:
    policy = open_policy(write_model(tmp_path, Graph(op="Reciprocal")))
    proposal = policy.propose([0.0, 0.0])
    assert proposal.values == (math.inf, math.inf)
    assert admit(proposal, LAB) == (None, [Reason(Rule.NOT_FINITE, 1)])


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (Graph(input="obs"), "needs one input 'observation'"),
        (Graph(output="act"), "needs one output 'action'"),
        (Graph(kind=TensorProto.DOUBLE), "tensor(double)"),
        (Graph(in_shape=("a", "b", 2), out_shape=("a", "b", 2)), "needs one input"),
        (Graph(in_shape=("batch", "any")), "needs one input"),
    ],
)
def test_a_graph_of_another_form_is_refused(graph: Graph, words: str, tmp_path: Path) -> None:
    write_model(tmp_path, graph)
    with pytest.raises(ModelError) as caught:
        open_policy(tmp_path)
    assert words in caught.value.what
    assert caught.value.where == str(tmp_path / "tiny.onnx")


def test_a_manifest_with_more_features_than_inputs_is_refused(tmp_path: Path) -> None:
    more = (
        '[[feature]]\nkind = "command"\nchannel = "valve"\nminimum = 0\nmaximum = 1\n\n[[feature]]'
    )
    write_model(tmp_path, replace=("[[feature]]", more))
    with pytest.raises(ModelError, match=r"tensor\(float\) \[batch, 3\]"):
        open_policy(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x09" * 500])
def test_a_file_that_is_no_model_is_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        open_session(file)
    assert caught.value.where == str(file)


def test_a_truncated_model_with_its_own_hash_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    file = tmp_path / "tiny.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    manifest = tmp_path / "manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    was, now = (hashlib.sha256(d).hexdigest() for d in (whole, file.read_bytes()))
    manifest.write_text(text.replace(was, now), encoding="utf-8")
    with pytest.raises(ModelError):
        open_policy(tmp_path)


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        open_session(tmp_path / "absent.onnx")


TELEMETRY = """
import sys
from pathlib import Path
from tests.unit.inference.tiny import open_policy, write_model
folder = Path(sys.argv[1])
assert open_policy(write_model(folder)).propose([1.0, 1.0]).values == (1.5, 1.0)
"""


def test_the_runtime_writes_nothing_into_a_home(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "model"
    home.mkdir()
    folder.mkdir()
    drop = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "PYTHONPATH"}
    env = {k: v for k, v in os.environ.items() if k not in drop}
    env |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not (home / ".cache" / "Microsoft").exists()
    assert list(home.rglob("*")) == []
