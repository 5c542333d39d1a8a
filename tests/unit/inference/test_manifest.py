"""A model that does not fit is refused before it runs, with the key and the fix."""

from pathlib import Path

import pytest

from edge_agent.core.errors import ModelError
from edge_agent.inference.manifest import features_of, load_manifest
from tests.unit.inference.tiny import LAB, write_model


def test_a_fitting_manifest_is_read(tmp_path: Path) -> None:
    manifest = load_manifest(write_model(tmp_path), LAB)
    assert manifest.outputs == ("pump", "valve")
    assert [f.channel for f in manifest.feature] == ["level", "pump"]
    assert features_of(manifest, LAB).compute([5.0], [2.0, 3.0], 0.1) == [5.0, 2.0]


BAD = {
    "schema": ("schema = 1", "schema = 2", "schema is 2, but lab needs 1"),
    "device": ('device = "lab"', 'device = "pond"', "device is 'pond', but lab needs 'lab'"),
    "envelope": ("envelope_version = 1", "envelope_version = 7", "envelope_version is 7"),
    "actuator unknown": ('"pump", "valve"]', '"pump", "gate"]', "outputs is ('pump', 'gate')"),
    "actuators swapped": ('["pump", "valve"]', '["valve", "pump"]', "outputs is"),
    "actuator missing": ('["pump", "valve"]', '["pump"]', "outputs is ('pump',)"),
    "channel": ('channel = "level"', 'channel = "lever"', "unknown channel 'lever'"),
    "sensor as command": ('channel = "pump"', 'channel = "level"', "unknown channel 'level'"),
    "kind": ('kind = "value"', 'kind = "values"', "Invalid enum value 'values'"),
    "range reversed": ("minimum = -50.0", "minimum = 51.0", "minimum must be below maximum"),
    "range empty": ("minimum = -50.0", "minimum = 50.0", "minimum must be below maximum"),
    "range NaN": ("minimum = -50.0", "minimum = nan", "minimum must be below maximum"),
    "range without a bottom": ("minimum = -50.0", "minimum = -inf", "both finite"),
    "difference without minus": ('kind = "value"', 'kind = "difference"', "minus belongs to"),
    "value with minus": (
        'kind = "value"',
        'kind = "value"\nminus = "level"',
        "minus belongs to",
    ),
    "time without end": (
        'kind = "value"',
        'kind = "mean"\ntime_constant_s = inf',
        "time_constant_s belongs to a mean",
    ),
    "mean without time": ('kind = "value"', 'kind = "mean"', "time_constant_s belongs to a mean"),
    "time without mean": (
        'kind = "value"',
        'kind = "value"\ntime_constant_s = 9.0',
        "time_constant_s belongs to a mean",
    ),
    "time negative": (
        'kind = "value"',
        'kind = "mean"\ntime_constant_s = -9.0',
        "time_constant_s belongs to a mean",
    ),
    "garbage": ("schema = 1", "schema = = 1", "Invalid value"),
    "unknown key": ("schema = 1", "schema = 1\nlimit = 5", "contains unknown field `limit`"),
    "unknown key in a feature": ('kind = "value"', 'kind = "value"\nmin = 1', "unknown field"),
    "missing key": ('name = "tiny"', "", "missing required field `name`"),
    "wrong type": ("schema = 1", 'schema = "1"', "Expected `int`, got `str`"),
    "hash": ('sha256 = "', 'sha256 = "0', "the manifest says 0"),
    "missing file": ('file = "tiny.onnx"', 'file = "tony.onnx"', "cannot read tony.onnx"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_manifest_that_does_not_fit_is_refused(case: str, tmp_path: Path) -> None:
    before, after, words = BAD[case]
    write_model(tmp_path, replace=(before, after))
    with pytest.raises(ModelError) as caught:
        load_manifest(tmp_path, LAB)
    assert words in caught.value.what
    assert caught.value.where.startswith(str(tmp_path / "manifest.toml"))
    assert caught.value.fix
    assert caught.value.exit_code == 78


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        load_manifest(tmp_path, LAB)


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "manifest.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="decode"):
        load_manifest(tmp_path, LAB)


def test_one_changed_byte_of_the_model_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    file = tmp_path / "tiny.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match="damaged or was replaced"):
        load_manifest(tmp_path, LAB)
