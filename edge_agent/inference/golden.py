"""Golden vectors: proof that this runtime, on this CPU, gives the answers the model was
shipped with.

Owns: reading the file a manifest names and comparing. Must not: decide; the caller reports.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_agent.core.errors import ModelError
from edge_agent.decision.policy import Policy
from edge_agent.inference.manifest import Manifest


class GoldenVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One observation and the action that each file of the model gives for it."""

    observation: tuple[float, ...]
    int8: tuple[float, ...]
    float32: tuple[float, ...]


def load_golden(folder: Path, manifest: Manifest) -> Sequence[GoldenVector]:
    """The vectors of `manifest`; ModelError when the file is absent, malformed or empty."""
    file = folder / manifest.golden.file
    try:
        vectors = msgspec.json.decode(file.read_bytes(), type=tuple[GoldenVector, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(str(error), where=str(file), fix="restore the file, or rebuild") from error
    if not vectors:
        raise ModelError("has no vectors", where=str(file), fix="rebuild the model")
    return vectors


def largest_deviation(policy: Policy, vectors: Sequence[GoldenVector]) -> float:
    """Largest difference of any output from its golden value, in the output's unit; infinite
    when an answer is not a number.

    Raises ModelError when the policy refuses a golden observation.
    """
    worst = 0.0
    for i, vector in enumerate(vectors):
        proposal = policy.propose(vector.observation)
        if proposal.values is None:
            raise ModelError(
                f"golden vector {i} is refused", where="golden", fix="rebuild the model"
            )
        for found, expected in zip(proposal.values, vector.int8, strict=True):
            if not abs(found - expected) <= worst:  # true for NaN, which max() would lose
                worst = abs(found - expected)
                if math.isnan(worst):
                    return math.inf
    return worst
