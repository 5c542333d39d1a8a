"""The learned policy: one ONNX model behind the Policy protocol.

Owns: the ONNX Runtime session, its preallocated buffers, and the range guard on its inputs.
Must not: let an exception or a foreign object out; a failed inference is a Proposal without
values.

ONNX Runtime's own telemetry is switched off here, the only place that imports it, before the
import. One thread and no spinning: the default pool burns a core for ever at 50 Hz. Inputs
are packed into the bound buffer: half the cost of a feed dictionary.
"""

import contextlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _ort_state

from edge_agent.core.clock import Clock
from edge_agent.core.errors import ModelError
from edge_agent.core.records import Proposal, Reason, Rule
from edge_agent.decision.policy import first_outside
from edge_agent.inference.manifest import Manifest

_WARM_UP_RUNS = 20
# ONNX Runtime's exceptions share no base class but Exception, so they are listed.
_ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    struct.error,
    OverflowError,
    *(
        kind
        for kind in vars(_ort_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)


def open_session(file: Path) -> ort.InferenceSession:
    """A session for a control loop: CPU, one thread, all optimisations, no spinning.

    Raises ModelError when the file is not a model this runtime can load.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise ModelError(
            f"ONNX Runtime cannot load it: {error}",
            where=str(file),
            fix="rebuild the model for this version of onnxruntime",
        ) from error


class OnnxPolicy:
    """A policy that runs a model: features in, one float per actuator out."""

    def __init__(self, folder: Path, manifest: Manifest, clock: Clock) -> None:
        """Load, bind and warm up. Raises ModelError when shapes or names do not fit."""
        self._clock = clock
        self._minima = [row.minimum for row in manifest.feature]
        self._maxima = [row.maximum for row in manifest.feature]
        file = folder / manifest.file
        session = open_session(file)
        n_in, n_out = len(manifest.feature), len(manifest.outputs)
        _require_io(session, manifest, file)
        self._input = np.zeros((1, n_in), dtype=np.float32)
        self._output = np.zeros((1, n_out), dtype=np.float32)
        self._input_bytes = self._input.data.cast("B")
        self._output_bytes = self._output.data.cast("B")
        self._pack = struct.Struct(f"{n_in}f").pack_into
        self._unpack = struct.Struct(f"{n_out}f").unpack_from
        binding = _bound(session, manifest, self._input, self._output)
        self._session = session
        self._binding = binding
        # Buffers of its own, so that a warming run can leave nothing in those of a decision.
        self._scratch_input = np.zeros_like(self._input)
        self._scratch_output = np.zeros_like(self._output)
        self._scratch = _bound(session, manifest, self._scratch_input, self._scratch_output)
        for _ in range(_WARM_UP_RUNS):
            session.run_with_iobinding(binding)

    def propose(self, features: Sequence[float]) -> Proposal:
        """One decision; `elapsed_ns` is the measured time of the inference."""
        i = first_outside(features, self._minima, self._maxima)
        if i >= 0:
            return Proposal(None, 0, (Reason(Rule.OUTSIDE_TRAINING_RANGE, -1, i),))
        start_ns = self._clock.now_ns()
        try:
            self._pack(self._input_bytes, 0, *features)
            self._session.run_with_iobinding(self._binding)
        except _ORT_ERRORS:
            elapsed_ns = self._clock.now_ns() - start_ns
            return Proposal(None, elapsed_ns, (Reason(Rule.MODEL_ERROR),))
        return Proposal(self._unpack(self._output_bytes), self._clock.now_ns() - start_ns)

    def warm(self) -> None:
        """Run the model on a copy of the last features; no decision sees anything of it. A model
        that fails says so in the next decision."""
        self._scratch_input[:] = self._input
        with contextlib.suppress(*_ORT_ERRORS):
            self._session.run_with_iobinding(self._scratch)


def _bound(
    session: ort.InferenceSession,
    manifest: Manifest,
    features: "np.ndarray[Any, Any]",
    proposal: "np.ndarray[Any, Any]",
) -> ort.IOBinding:
    """Runs that read `features` and write `proposal` where they are."""
    binding = session.io_binding()
    binding.bind_cpu_input(manifest.input, features)
    binding.bind_output(manifest.output, "cpu", 0, np.float32, proposal.shape, proposal.ctypes.data)
    return binding


def _require_io(session: ort.InferenceSession, manifest: Manifest, file: Path) -> None:
    """Exactly one float input [batch, n] and one float output [batch, m] of the right names."""
    for role, nodes, name, width in (
        ("input", session.get_inputs(), manifest.input, len(manifest.feature)),
        ("output", session.get_outputs(), manifest.output, len(manifest.outputs)),
    ):
        found = [(n.name, n.type, n.shape) for n in nodes]
        fits = (
            len(nodes) == 1
            and nodes[0].name == name
            and nodes[0].type == "tensor(float)"
            and len(nodes[0].shape) == 2
            and nodes[0].shape[1] == width
        )
        if not fits:
            raise ModelError(
                f"needs one {role} {name!r}, tensor(float) [batch, {width}]; found {found}",
                where=str(file),
                fix=f"correct the manifest's {role} and features, or re-export the model",
            )
