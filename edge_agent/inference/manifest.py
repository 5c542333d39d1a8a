"""The manifest: what a model is, what it expects, and what it was made for.

Owns: reading and checking `manifest.toml` and the files it names against a device's
envelope. Must not: run the model. Everything is checked before anything moves: device,
envelope version, channels, hashes, ranges. A manifest cannot change a limit.
"""

import hashlib
import math
import tomllib
from pathlib import Path

import msgspec

from edge_agent.core.errors import ModelError
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.safety.limits import Envelope


class FeatureRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the model and the range it was trained on, in the feature's unit."""

    kind: FeatureKind
    channel: str
    minimum: float
    maximum: float
    minus: str | None = None
    time_constant_s: float = 0.0

    def spec(self) -> FeatureSpec:
        """The row as the feature computer wants it."""
        return FeatureSpec(
            kind=self.kind,
            channel=self.channel,
            minus=self.minus,
            time_constant_s=self.time_constant_s,
        )


class Quantization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the int8 file was made from the float one."""

    method: str
    per_channel: bool
    calibration_samples: int


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Observations with the actions that this model must give for them."""

    file: str
    tolerance: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`manifest.toml`, schema 1."""

    schema: int
    device: str
    envelope_version: int
    name: str
    version: str
    file: str
    sha256: str
    float_file: str
    float_sha256: str
    input: str
    output: str
    outputs: tuple[str, ...]
    feature: tuple[FeatureRow, ...]
    quantization: Quantization
    golden: Golden


def load_manifest(folder: Path, envelope: Envelope) -> Manifest:
    """Read and check `folder/manifest.toml`; ModelError says which key is wrong and the fix."""
    path = folder / "manifest.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        manifest = msgspec.convert(raw, Manifest)
    except OSError as error:
        raise ModelError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            fix="set [model] path to a folder with a manifest",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ModelError(str(error), where=str(path), fix="see docs/models.md") from error
    _require_fit(manifest, envelope, path)
    _require_hash(folder / manifest.file, manifest.sha256, path)
    return manifest


def _require_fit(manifest: Manifest, envelope: Envelope, path: Path) -> None:
    """The model must be made for this very device and envelope version."""
    expected = {
        "schema": (manifest.schema, 1),
        "device": (manifest.device, envelope.device),
        "envelope_version": (manifest.envelope_version, envelope.version),
        "outputs": (manifest.outputs, tuple(a.name for a in envelope.actuators)),
    }
    for key, (found, wanted) in expected.items():
        if found != wanted:
            raise ModelError(
                f"{key} is {found!r}, but {envelope.device} needs {wanted!r}",
                where=str(path),
                fix="use a model made for this device, or train one: docs/models.md",
            )
    for i, row in enumerate(manifest.feature):
        where = f"{path}: feature {i} ({row.kind} {row.channel})"
        if not -math.inf < row.minimum < row.maximum < math.inf:
            raise ModelError(
                "minimum must be below maximum, both finite", where=where, fix="correct the range"
            )
        if (row.kind is FeatureKind.MEAN) != (0 < row.time_constant_s < math.inf):
            raise ModelError(
                "time_constant_s belongs to a mean, and must be positive and finite there",
                where=where,
                fix="add or remove time_constant_s",
            )
        needs_minus = row.kind is FeatureKind.DIFFERENCE
        if row.kind is not FeatureKind.MEAN and (row.minus is not None) != needs_minus:
            raise ModelError(
                "minus belongs to a difference, which needs it, or to a mean",
                where=where,
                fix="add or remove minus",
            )
    try:
        features_of(manifest, envelope)
    except ValueError as error:
        raise ModelError(str(error), where=str(path), fix="correct the channel name") from error


def _require_hash(file: Path, sha256: str, path: Path) -> None:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"cannot read {file.name}: {error.strerror}", where=str(path), fix="restore the file"
        ) from error
    if found != sha256:
        raise ModelError(
            f"{file.name} has sha256 {found}, the manifest says {sha256}",
            where=str(path),
            fix="the file is damaged or was replaced: restore it, or rebuild the model",
        )


def features_of(manifest: Manifest, envelope: Envelope) -> Features:
    """A fresh feature computer for this model; ValueError for an unknown channel."""
    return Features(
        [row.spec() for row in manifest.feature],
        [s.name for s in envelope.sensors],
        [a.name for a in envelope.actuators],
    )
