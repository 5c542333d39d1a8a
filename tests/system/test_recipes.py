"""The recipes of the guide do what they say."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.mosquitto import Mosquitto
from edge_agent.config import (
    Config,
    LoopConfig,
    ModelConfig,
    RecordingConfig,
    SerialConfig,
    load,
)
from edge_agent.core.errors import ConfigError
from edge_agent.decision.features import FeatureKind
from edge_agent.gateway.decode import Cause
from edge_agent.gateway.feed_map import load_map
from edge_agent.gateway.settings import MqttSensor, MqttSettings
from edge_agent.inference.manifest import FeatureRow, Manifest
from edge_agent.ports.modbus_frames import Fault
from edge_agent.ports.modbus_settings import Modbus, ModbusSensor
from edge_agent.ports.serial_lines_settings import SerialLines
from tests.system.recipes import ROOT, Block, Kitchen, blocks, steps

DOCS = ROOT / "docs"
EXAMPLES = ROOT / "deploy" / "examples"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def test_a_sensor_is_added_and_seen_live(tmp_path: Path, broker: Mosquitto) -> None:
    with Kitchen(tmp_path, {"1883": str(broker.port)}) as kitchen:
        kitchen.follow("add-a-sensor.md", "A source for an existing channel")


def test_a_board_that_is_not_ours_is_read_and_seen_live(tmp_path: Path) -> None:
    with Kitchen(tmp_path, {}) as kitchen:
        kitchen.follow("serial.md", "A board that is not ours")


def test_a_line_of_modbus_devices_is_read_and_seen_live(tmp_path: Path) -> None:
    with Kitchen(tmp_path, {}) as kitchen:
        kitchen.follow("serial.md", "A line of Modbus devices")


def test_a_device_a_model_and_one_more_channel_are_made_from_the_guide(tmp_path: Path) -> None:
    with Kitchen(tmp_path, {}) as kitchen:
        kitchen.follow("add-an-actuator.md")
        kitchen.follow("bring-your-own-model.md")
        kitchen.follow("add-a-sensor.md", "A new channel")


def test_the_example_package_is_the_one_of_the_recipe() -> None:
    written = {b.file: b.text for b in blocks(DOCS / "add-an-actuator.md") if b.file}
    for file in ("pyproject.toml", "pump_device/__init__.py"):
        example = (EXAMPLES / "pump_device" / file).read_text(encoding="utf-8")
        assert written[f"pump_device/{file}"] == example
    example = (EXAMPLES / "pump_device" / "agent.toml").read_text(encoding="utf-8")
    assert written["agent.toml"] == example


def _document(folder: Path, text: str) -> Path:
    document = folder / "recipe.md"
    document.write_text(text, encoding="utf-8")
    return document


@pytest.mark.parametrize(
    ("printed", "fits"),
    [
        ("one\ntwo three", True),
        ("one\n...", True),
        ("one\n  two   three", True),
        ("one", False),
        ("one\ntwo four", False),
        ("", False),
    ],
)
def test_a_recipe_is_held_to_its_word(tmp_path: Path, printed: str, *, fits: bool) -> None:
    text = f"```text file=seen\none\ntwo three\n```\n\n```console\n$ cat seen\n{printed}\n```\n"
    document = _document(tmp_path, text)
    with Kitchen(tmp_path, {}) as kitchen:
        if fits:
            kitchen.follow(str(document))
        else:
            with pytest.raises(AssertionError, match=r"recipe\.md:6"):
                kitchen.follow(str(document))


def test_a_command_that_fails_fails_the_recipe(tmp_path: Path) -> None:
    document = _document(tmp_path, "```console\n$ false\n```\n")
    with Kitchen(tmp_path, {}) as kitchen, pytest.raises(AssertionError, match="exit 1"):
        kitchen.follow(str(document))


def test_a_background_program_that_ends_badly_fails_the_recipe(tmp_path: Path) -> None:
    with Kitchen(tmp_path, {}) as kitchen:
        kitchen.follow(str(_document(tmp_path, "```console\n$ sleep 60 &\n```\n")))
        with pytest.raises(AssertionError, match="sleep 60"):
            kitchen.__exit__(None, None, None)


def test_a_section_that_is_gone_is_noticed(tmp_path: Path) -> None:
    document = _document(tmp_path, "## One\n\n```console\n$ true\n```\n")
    with pytest.raises(AssertionError, match="no section 'Two'"):
        list(blocks(document, "Two"))


def test_a_command_may_go_on_in_the_next_line() -> None:
    block = Block("console", (), "$ echo a \\\n    b\na b\n$ true\n", "here")
    assert [tuple(step) for step in steps(block)] == [("echo a b", "a b"), ("true", "")]


_ROW = re.compile(r"^\| (`[^|]+) \| (?:([^|]*) \| )?", re.MULTILINE)


def _documented(document: str, section: str) -> dict[str, str]:
    """First and second cell of every table row of a section whose first cell holds keys."""
    text = (DOCS / document).read_text(encoding="utf-8")
    part = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return {
        key: second
        for first, second in _ROW.findall(part)
        for key in re.findall(r"`([^`]+)`", first)
    }


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("Top level", Config),
        ("`[loop]`", LoopConfig),
        ("`[model]`", ModelConfig),
        ("`[serial]`", SerialConfig),
        ("`[[serial_lines]]`", SerialLines),
        ("`[[modbus]]`", Modbus),
        ("`[[modbus.sensor]]`", ModbusSensor),
        ("`[mqtt]`", MqttSettings),
        ("`[[mqtt.sensor]]`", MqttSensor),
        ("`[recording]`", RecordingConfig),
    ],
)
def test_every_key_of_the_configuration_is_documented_with_its_default(
    section: str, kind: type[msgspec.Struct]
) -> None:
    documented = _documented("configuration.md", section)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    assert set(documented) == set(fields)
    for key, cell in documented.items():
        default = fields[key].default
        if cell == "required":
            assert default is msgspec.NODEFAULT
        elif cell == "absent":
            assert default is None
        elif cell == "see below":
            assert isinstance(default, msgspec.Struct)
        else:
            stated = tomllib.loads(f"x = {cell.strip('`')}")["x"]
            actual = fields[key].default_factory() if default is msgspec.NODEFAULT else default
            assert msgspec.json.encode(actual) == msgspec.json.encode(stated), key


def test_every_configurable_limit_is_documented(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[limits.supply_fan]\nzzz = 1", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(file)
    known = refused.value.fix.removeprefix("one of: ").split(", ")
    assert sorted(_documented("configuration.md", "`[limits]`")) == sorted(known)


def test_every_key_of_a_manifest_is_documented() -> None:
    for section, kind in (("Keys", Manifest), ("`[[feature]]`", FeatureRow)):
        documented = set(_documented("models.md", section))
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        if kind is FeatureRow:
            fields |= set(FeatureKind)
        assert documented == fields


def test_every_cause_of_a_refused_payload_is_documented() -> None:
    documented = set(_documented("mqtt.md", "In: sensors")) - {"number", "json", "msgpack", "21.5"}
    of_lines = {Cause.CHECKSUM, Cause.WRONG_COLUMNS}
    assert set(Cause) - of_lines <= documented
    serial = (DOCS / "serial.md").read_text(encoding="utf-8")
    assert all(f"`{cause}`" in serial for cause in (*of_lines, *Fault))


def test_every_fault_names_a_test_that_exists() -> None:
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    rows = [r for r in text.splitlines() if r.startswith("| ") and "---" not in r]
    unproven = [r for r in rows if "::test_" not in r and not r.startswith("| What happens")]
    assert unproven == []
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    gone = [n for n in named if f"def {n[1]}(" not in (ROOT / n[0]).read_text(encoding="utf-8")]
    assert gone == []


def test_the_example_configuration_is_accepted_and_reads_the_topics_of_the_example_map() -> None:
    settings = load(EXAMPLES / "agent.toml")
    assert settings.config.mode == "real"
    assert settings.config.mqtt is not None
    topics = {row.topic for row in settings.config.mqtt.sensor}
    assert topics == {column.topic for column in load_map(EXAMPLES / "mzvav.map.toml").column}
