"""The configuration: what is refused, how it is said, and that it can only tighten."""

import json
from pathlib import Path

import pytest

from edge_agent.app import options_of
from edge_agent.config import Config, Settings, json_schema, load, settings_of, with_state_dir
from edge_agent.core.errors import EXIT_CONFIG, ConfigError

REAL = """\
device = "air-handler"
mode = "real"

[serial]
port = "/dev/ttyACM0"
sensors = ["fan_current", "damper_position"]

[mqtt]
host = "127.0.0.1"
"""
ON_BROKER = "".join(
    f"""[[mqtt.actuator]]
channel = "{name}"
unit = "percent"
command_topic = "{name}/set"
state_topic = "{name}"
timeout_s = 0.3
"""
    for name in ("outdoor_damper", "cooling_valve", "heating_valve", "supply_fan")
)
TEMPERATURES = ("supply", "mixed", "outdoor", "return")


def sensor_row(channel: str, unit: str) -> str:
    return f'[[mqtt.sensor]]\nchannel = "{channel}"\ntopic = "ahu/{channel}"\nunit = "{unit}"\n'


REAL_COMPLETE = (
    REAL
    + "".join(sensor_row(f"{t}_temperature", "degF") for t in TEMPERATURES)
    + sensor_row("supply_setpoint", "degF")
    + sensor_row("fan_status", "bool")
    + sensor_row("occupancy", "bool")
)


def _silent_for(silence_ms: int) -> str:
    return REAL_COMPLETE.replace("[mqtt]", f"silence_ms = {silence_ms}\n[mqtt]")


def load_text(folder: Path, text: str) -> Settings:
    file = folder / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text)
    assert caught.value.exit_code == EXIT_CONFIG
    return str(caught.value)


def test_without_a_file_everything_is_simulated() -> None:
    assert load(None).config.mode == "simulated"


def test_a_complete_real_configuration_is_accepted(tmp_path: Path) -> None:
    settings = load_text(tmp_path, REAL_COMPLETE)
    assert settings.config.serial is not None
    assert settings.envelope == settings.compiled


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("devize = 'x'", ["agent.toml:1", "unknown key 'devize'", "did you mean 'device'?"]),
        (
            "[loop]\n\nrate_hertz = 10.0",
            ["agent.toml:3", "'loop.rate_hertz'", "did you mean 'rate_hz'?"],
        ),
        ("[loop]\nrate_hz = 'ten'", ["agent.toml:2", "loop.rate_hz", "Expected `float`"]),
        ("device = 3", ["agent.toml:1", "device", "Expected `str`"]),
        ("mode = 'pretend'", ["agent.toml:1", "mode", "Invalid enum value"]),
        ("device = 'air-handlr'", ["device 'air-handlr'", "air-handler"]),
        ("[loop]\nrate_hz = 0.0", ["loop.rate_hz", "1 to 1000"]),
        ("[loop]\nrate_hz = nan", ["loop.rate_hz", "1 to 1000"]),
        ("[loop]\nrealtime_priority = 99", ["loop.realtime_priority", "1 to 80"]),
        ("[loop]\ncpus = [0, 0]", ["loop.cpus", "each once"]),
        ("[loop]\ncpus = [-1]", ["loop.cpus", "from 0"]),
        ("[loop]\ncpus = [1024]", ["loop.cpus", "0 to 1023"]),
        ("[loop]\ncpus = [2147483648]", ["loop.cpus", "0 to 1023"]),
        ("[loop]\nwarm_before_us = 49", ["loop.warm_before_us", "50 to 50000"]),
        ("[loop]\nrate_hz = 200.0\nwarm_before_us = 2501", ["loop.warm_before_us", "50 to 2500"]),
        (
            '[loop]\nwarm_before_us = 500\ntrigger = "telemetry"',
            ["loop.warm_before_us", "nobody knows when", 'trigger = "timer"'],
        ),
        ("not toml at all", ["agent.toml", "not TOML"]),
        ("mode = 'real'", ["serial", "needs the microcontroller"]),
        (REAL + ON_BROKER, ["mqtt.actuator", "two ports drive the same actuators"]),
        (REAL + ON_BROKER.replace("0.3", "0.5"), ["mqtt.actuator[0].timeout_s", "lease"]),
        (_silent_for(39), ["serial.silence_ms", "39", "40 to 500"]),
        (_silent_for(501), ["serial.silence_ms", "501", "40 to 500"]),
        ("[serial]\nbaud = 9600", ["missing required field `port`"]),
    ],
)
def test_a_bad_file_is_refused_with_place_key_and_fix(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    message = refusal(tmp_path, text)
    for part in parts:
        assert part in message
    assert "fix:" in message


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "absent.toml")


def test_a_needed_channel_without_a_source_is_refused(tmp_path: Path) -> None:
    text = REAL_COMPLETE.replace(sensor_row("occupancy", "bool"), "")
    assert "channel 'occupancy' has no sources" in refusal(tmp_path, text)


def test_a_channel_with_two_sources_is_refused(tmp_path: Path) -> None:
    text = REAL_COMPLETE.replace('["fan_current"', '["occupancy", "fan_current"')
    assert "channel 'occupancy' has 2 sources" in refusal(tmp_path, text)


def test_an_unknown_serial_channel_is_refused_with_the_nearest(tmp_path: Path) -> None:
    text = REAL_COMPLETE.replace('"fan_current"', '"fan_curent"')
    assert "did you mean 'fan_current'?" in refusal(tmp_path, text)


def test_a_limit_may_be_tightened(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        "[limits.cooling_valve]\nmax = 80.07\nrate_up_per_s = 2\n"
        "[limits.supply_temperature]\nmin = -10.001\nmax_age_s = 30\n",
    )
    valve = settings.envelope.actuators[1]
    supply = settings.envelope.sensors[0]
    assert (valve.max_counts, valve.rate_up_counts_per_s) == (800, 20)
    assert (supply.min_counts, supply.max_age_ns) == (-1000, 30_000_000_000)
    assert settings.envelope.sha256() != settings.compiled.sha256()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[limits.cooling_valve]\nmax = 101", "1010 is wider than the hard-coded 1000"),
        ("[limits.cooling_valve]\nmin = -1", "-10 is wider than the hard-coded 0"),
        ("[limits.cooling_valve]\nmax = inf", "inf is not a number"),
        ("[limits.cooling_valve]\nmaximum = 50", "did you mean 'max'?"),
        ("[limits.cooling_valve]\nmax_age_s = 5", "this limit cannot be configured"),
        ("[limits.cool_valve]\nmax = 50", "did you mean 'cooling_valve'?"),
        ("[limits.supply_temperature]\nmax_age_s = 200", "is wider than the hard-coded"),
    ],
)
def test_a_limit_may_not_be_widened_or_invented(tmp_path: Path, text: str, part: str) -> None:
    assert part in refusal(tmp_path, text)


def test_a_sensor_row_may_tighten_its_age(tmp_path: Path) -> None:
    row = sensor_row("occupancy", "bool")
    settings = load_text(tmp_path, REAL_COMPLETE.replace(row, row + "max_age_s = 5.0\n"))
    assert settings.envelope.sensors[6].max_age_ns == 5_000_000_000


def test_drop_ins_are_merged_in_order_of_name(tmp_path: Path) -> None:
    folder = tmp_path / "config.d"
    folder.mkdir()
    (folder / "20.toml").write_text("[loop]\nrate_hz = 30.0\n", encoding="utf-8")
    (folder / "10.toml").write_text("[loop]\nrate_hz = 20.0\ntrigger = 'telemetry'\n", "utf-8")
    loop = load_text(tmp_path, "[loop]\nrate_hz = 10.0\n").config.loop
    assert (loop.rate_hz, loop.trigger) == (30.0, "telemetry")


def test_an_error_in_a_drop_in_names_the_drop_in(tmp_path: Path) -> None:
    folder = tmp_path / "config.d"
    folder.mkdir()
    (folder / "10.toml").write_text("\nrate = 1\n", encoding="utf-8")
    assert "10.toml:2" in refusal(tmp_path, "")


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    one = load_text(tmp_path, "[loop]\nrate_hz = 10.0\n")
    two = load_text(tmp_path, "[loop]\nrate_hz = 11.0\n")
    assert one.digest == load(None).digest
    assert one.digest != two.digest


def test_a_state_folder_moves_every_file_of_the_agent(tmp_path: Path) -> None:
    config = with_state_dir(settings_of(Config(), "test"), tmp_path).config
    assert (config.state_dir, config.runtime_dir) == (str(tmp_path), str(tmp_path / "run"))


def test_the_published_schema_is_current() -> None:
    published = Path(__file__).parents[2] / "docs" / "agent.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == json_schema()


def test_control_is_enforced_and_the_fallback_on_unless_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    plain = options_of(load_text(tmp_path, ""))
    assert (plain.monitor, plain.fallback is not None) == (False, True)
    other = options_of(load_text(tmp_path, 'control = "monitor"\n[model]\nfallback = false\n'))
    assert (other.monitor, other.fallback) == (True, None)


@pytest.mark.parametrize("text", ['control = "off"', "control = false", 'controls = "monitor"'])
def test_no_other_way_of_control_exists(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="control"):
        load_text(tmp_path, text)
