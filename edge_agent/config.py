"""The configuration: one TOML file and its drop-ins, typed, checked, read once.

Owns: the shape of `agent.toml`, where its defaults come from, and errors that name file, line,
key and fix. Must not: widen a limit (it can only tighten), hold a secret, or be read again
while running. Simulation is the default; real hardware is an explicit `mode = "real"`.
"""

import difflib
import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from edge_agent.config_text import check_types, merge, read_toml, refuse_unknown
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import require_range
from edge_agent.gateway.actuator_settings import driven
from edge_agent.gateway.metrics_settings import MetricsSettings, check_metrics
from edge_agent.gateway.plane_settings import PlaneSettings, check_plane
from edge_agent.gateway.settings import MqttSensor, MqttSettings, sensor_decoders
from edge_agent.ports.modbus_settings import Modbus, ModbusSensor, modbus_plan
from edge_agent.ports.serial_lines_settings import LineSensor, SerialLines, line_decoder
from edge_agent.safety import devices
from edge_agent.safety.limits import Envelope
from edge_agent.safety.tighten import tighten

# What Linux has a constant for; slower ones cannot carry a command vector at 10 Hz.
_BAUD_RATES = (
    *(9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600),
    *(1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000),
)
# Of the serial link: two frames of telemetry, and the longest dead man that firmware can have.
# A board whose own clock stood still would follow what has waited in the queue for that long.
_SILENCE_MS = (40, 500)
_LINE_BAUD_RATES = (1200, 2400, 4800, *_BAUD_RATES)  # sensors are slow; NMEA 0183 is 4800
_US_PER_S = 1_000_000
_CPUS_MAX = 1024  # more than any board has, and what a mask of the C library's holds
DEFAULT_PATH = Path("/etc/edge-agent/agent.toml")


class LoopConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[loop]`. `timer` ticks at `rate_hz`; `telemetry` also ticks as soon as the
    microcontroller reports, and then `rate_hz` is the slowest it may get."""

    rate_hz: float = 10.0
    trigger: Literal["timer", "telemetry"] = "timer"
    realtime_priority: int = 0  # SCHED_FIFO priority 1..80; 0 leaves the scheduler alone
    cpus: tuple[int, ...] = ()  # to run on; empty: any
    lock_memory: bool = False
    warm_before_us: int = 0  # an inference on the side, so long before each deadline; 0: none


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[model]`. Without a path, the model that ships for the device. `fallback`: while the model
    is not trusted, the device's plain controller decides, if it has one."""

    path: str = ""
    fallback: bool = True


class SerialConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[serial]`: the microcontroller and which sensor channels it reports, in its order. With
    `key_file`, or the systemd credential `key_credential`, every frame is proved with its key.
    Without telemetry for `silence_ms` the link counts as lost. `low_latency`: the driver is not
    to wait for more bytes before it passes some on."""

    port: str
    baud: int = 115200
    sensors: tuple[str, ...] = ()
    silence_ms: int = 100
    low_latency: bool = True
    key_file: str = ""
    key_credential: str = ""


class RecordingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recording]`: how much the flight recorder may keep."""

    segment_mb_max: int = 16
    total_mb_max: int = 512


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agent.toml`. `control` monitor: decide and record everything, drive nothing.
    `after_crashes`: what a start does after five quick ones, watch only or refuse."""

    device: str = "air-handler"
    mode: Literal["simulated", "real"] = "simulated"
    control: Literal["enforce", "monitor"] = "enforce"
    after_crashes: Literal["safe-mode", "stop"] = "safe-mode"
    state_dir: str = "/var/lib/edge-agent"
    runtime_dir: str = "/run/edge-agent"
    loop: LoopConfig = LoopConfig()
    model: ModelConfig = ModelConfig()
    serial: SerialConfig | None = None
    serial_lines: tuple[SerialLines, ...] = ()
    modbus: tuple[Modbus, ...] = ()
    mqtt: MqttSettings | None = None
    plane: PlaneSettings | None = None
    metrics: MetricsSettings | None = None
    recording: RecordingConfig = RecordingConfig()
    # Channel -> limit -> value in the channel's unit (or seconds): stricter only.
    limits: dict[str, dict[str, float]] = {}  # msgspec copies mutable defaults


# Configured name -> (name in the envelope, per unit or per second, rounding to the strict side).
_LIMIT_NAMES: Mapping[str, tuple[str, str, Callable[[float], int]]] = {
    "min": ("min_counts", "unit", math.ceil),
    "max": ("max_counts", "unit", math.floor),
    "max_step": ("max_step_counts", "unit", math.floor),
    "rate_up_per_s": ("rate_up_counts_per_s", "unit", math.floor),
    "rate_down_per_s": ("rate_down_counts_per_s", "unit", math.floor),
    "travel_max": ("travel_max_counts", "unit", math.floor),
    "max_age_s": ("max_age_ns", "second", math.floor),
    "proposal_max_age_s": ("proposal_max_age_ns", "second", math.floor),
    "feedback_max_age_s": ("feedback_max_age_ns", "second", math.floor),
    "lease_s": ("lease_ns", "second", math.floor),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of the program gets: the checked configuration and the device's limits."""

    config: Config
    compiled: Envelope  # as hard-coded; its hash is what the microcontroller must share
    envelope: Envelope  # as tightened; what the agent decides inside of
    source: str
    digest: str  # sha256 of the merged configuration
    texts: Mapping[str, str] = {}  # as read, by name beside the first; msgspec copies the default


def load(path: Path | None) -> Settings:
    """Read `path` (or the defaults, when None), its drop-ins, and check everything.

    Drop-ins are `config.d/*.toml` beside the file, in order of name; later keys win.
    Raises ConfigError with file, line where known, key and fix.
    """
    merged: dict[str, Any] = {}
    texts: dict[str, str] = {}
    files = [] if path is None else [path, *sorted((path.parent / "config.d").glob("*.toml"))]
    for file in files:
        raw, text = read_toml(file)
        refuse_unknown(raw, Config, "", (file, text))
        check_types(raw, Config, (file, text))
        merge(merged, raw)
        texts[str(file.relative_to(files[0].parent))] = text
    try:
        config = msgspec.convert(merged, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error), where=str(path), fix="see docs/configuration.md") from error
    settings = settings_of(config, str(path) if path else "built-in defaults")
    return msgspec.structs.replace(settings, texts=texts)


def settings_of(config: Config, source: str) -> Settings:
    """The checked configuration with its envelope; ConfigError when they do not fit."""
    try:
        compiled = devices.find(config.device)
        envelope = tighten(compiled, _limit_changes(config, compiled))
        _check_sources(config, envelope)
        _check_loop(config.loop)
        _check_files(config)
        if config.plane is not None:
            check_plane(config.plane)
        if config.metrics is not None:
            check_metrics(config.metrics)
    except ConfigError as error:
        where = f"{source}: {error.where}" if error.where else source
        raise ConfigError(error.what, where=where, fix=error.fix) from error
    digest = hashlib.sha256(msgspec.json.encode(config)).hexdigest()
    return Settings(
        config=config, compiled=compiled, envelope=envelope, source=source, digest=digest
    )


def with_state_dir(settings: Settings, folder: Path) -> Settings:
    """The same settings with all files of the running agent under `folder`."""
    config = msgspec.structs.replace(
        settings.config, state_dir=str(folder), runtime_dir=str(folder / "run")
    )
    return msgspec.structs.replace(settings, config=config)


def socket_path(settings: Settings) -> Path:
    """The Unix socket between the two processes."""
    return Path(settings.config.runtime_dir) / "control.sock"


def command_socket_path(settings: Settings) -> Path:
    """The Unix socket for commands, beside the other."""
    return Path(settings.config.runtime_dir) / "commands.sock"


def state_folder(settings: Settings) -> Path:
    """Where a running agent keeps what must outlive it."""
    return Path(settings.config.state_dir)


def recordings_folder(settings: Settings) -> Path:
    """Where the flight recorder keeps its segments."""
    return Path(settings.config.state_dir) / "recordings"


def outbox_folder(settings: Settings) -> Path:
    """Where the gateway keeps what must still be answered: a folder of its own, so that it need
    not be able to write beside the latch."""
    return Path(settings.config.state_dir) / "outbox"


def json_schema() -> dict[str, Any]:
    """JSON Schema of `agent.toml`, published as docs/agent.schema.json."""
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Config)))
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return schema


def _limit_changes(config: Config, envelope: Envelope) -> dict[str, dict[str, int]]:
    """`[limits.<channel>]` in counts and nanoseconds, rounded to the strict side."""
    resolution = {s.name: s.counts_per_unit for s in envelope.sensors}
    resolution |= {a.name: a.counts_per_unit for a in envelope.actuators}
    changes: dict[str, dict[str, int]] = {}
    for channel, rows in config.limits.items():
        changes[channel] = {}
        for key, value in rows.items():
            where = f"limits.{channel}.{key}"
            if key not in _LIMIT_NAMES:
                close = difflib.get_close_matches(key, _LIMIT_NAMES, n=1)
                fix = (
                    f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(_LIMIT_NAMES)}"
                )
                raise ConfigError("unknown limit", where=where, fix=fix)
            if not math.isfinite(value):
                raise ConfigError(f"{value} is not a number", where=where, fix="give a number")
            name, per, strict = _LIMIT_NAMES[key]
            factor = NS_PER_S if per == "second" else resolution.get(channel, 1)
            changes[channel][name] = strict(value * factor)
    for row in _source_rows(config):
        if row.max_age_s is not None:
            age = changes.setdefault(row.channel, {})
            age["max_age_ns"] = math.floor(row.max_age_s * NS_PER_S)
    return changes


def _source_rows(config: Config) -> list[MqttSensor | LineSensor | ModbusSensor]:
    """Every row that gives a channel its value, but for those of the microcontroller."""
    mqtt = config.mqtt.sensor if config.mqtt else ()
    lines = (row for section in config.serial_lines for row in section.sensor)
    modbus = (row for section in config.modbus for row in section.sensor)
    return [*mqtt, *lines, *modbus]


def _check_sources(config: Config, envelope: Envelope) -> None:
    """In real mode every needed sensor has exactly one source, and actuators have a port."""
    rows = [row.channel for row in _source_rows(config)]
    serial = list(config.serial.sensors) if config.serial else []
    if config.mqtt is not None:
        sensor_decoders(config.mqtt, envelope.sensors)
        driven(config.mqtt.actuator, envelope)
    for number, section in enumerate(config.serial_lines):
        where = f"serial_lines[{number}]"
        _check_port(section.port, section.baud, _LINE_BAUD_RATES, where)
        line_decoder(section, envelope.sensors, where)
    for number, bus in enumerate(config.modbus):
        where = f"modbus[{number}]"
        _check_port(bus.port, bus.baud, _LINE_BAUD_RATES, where)
        modbus_plan(bus, envelope.sensors, where)
    if config.mode == "simulated":
        return
    _check_drives(config)
    names = [s.name for s in envelope.sensors]
    for name in serial:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(names)}"
            raise ConfigError(f"unknown channel {name!r}", where="serial.sensors", fix=fix)
    for sensor in envelope.sensors:
        sources = (*rows, *serial).count(sensor.name)
        if sources > 1 or (sensor.needed and sources == 0):
            raise ConfigError(
                f"channel {sensor.name!r} has {sources or 'no'} sources",
                where="mqtt.sensor",
                fix="give it exactly one: a row of mqtt.sensor, a row of a [[serial_lines]]"
                " or [[modbus]] section, or a place in serial.sensors",
            )


def _check_drives(config: Config) -> None:
    """In real mode one port drives the actuators."""
    on_broker = config.mqtt is not None and bool(config.mqtt.actuator)
    if config.serial is None and not on_broker:
        raise ConfigError(
            "real mode needs the microcontroller that drives the actuators",
            where="serial",
            fix='add [serial] with port = "/dev/serial/by-id/..."',
        )
    if config.serial is not None and on_broker:
        raise ConfigError(
            "two ports drive the same actuators",
            where="mqtt.actuator",
            fix="remove [serial] or every [[mqtt.actuator]]; a board that only measures is a"
            " [[serial_lines]] or [[modbus]] section",
        )


def _check_loop(loop: LoopConfig) -> None:
    require_range(loop.rate_hz, 1, 1000, "loop.rate_hz")
    if not 0 <= loop.realtime_priority <= 80:
        raise ConfigError(
            f"{loop.realtime_priority} is out of range",
            where="loop.realtime_priority",
            fix="choose 1 to 80, or 0 for the normal scheduler",
        )
    cpus = set(loop.cpus)
    if len(cpus) != len(loop.cpus) or not cpus <= set(range(_CPUS_MAX)):
        raise ConfigError(
            f"{list(loop.cpus)} are no processors",
            where="loop.cpus",
            fix=f"choose from 0 to {_CPUS_MAX - 1}, each once; `nproc` says how many there are",
        )
    _check_warming(loop)


def warm_before_us_max(loop: LoopConfig) -> int:
    """Half a period."""
    return round(_US_PER_S / loop.rate_hz / 2)


def _check_warming(loop: LoopConfig) -> None:
    most_us = warm_before_us_max(loop)
    if loop.warm_before_us and not 50 <= loop.warm_before_us <= most_us:
        raise ConfigError(
            f"{loop.warm_before_us} is out of range",
            where="loop.warm_before_us",
            fix=f"choose 50 to {most_us}, half a period, or 0 for none",
        )
    if loop.warm_before_us and loop.trigger == "telemetry":
        raise ConfigError(
            "nobody knows when telemetry will come",
            where="loop.warm_before_us",
            fix='choose 0, or trigger = "timer"',
        )


def _check_files(config: Config) -> None:
    """What would otherwise be found out by a process that is already running."""
    serial = config.serial
    if serial is not None:
        _check_port(serial.port, serial.baud, _BAUD_RATES, "serial")
        require_range(serial.silence_ms, *_SILENCE_MS, "serial.silence_ms")
        if serial.key_file and serial.key_credential:
            raise ConfigError("two keys", where="serial", fix="key_file or key_credential")
    limits = config.recording
    if not 1 <= limits.segment_mb_max <= limits.total_mb_max // 2:
        raise ConfigError(
            f"a segment of {limits.segment_mb_max} MB does not fit twice into"
            f" {limits.total_mb_max} MB",
            where="recording",
            fix="choose segment_mb_max of 1 or more, and total_mb_max of at least twice that",
        )


def _check_port(port: str, baud: int, rates: tuple[int, ...], where: str) -> None:
    if not port:
        raise ConfigError("is empty", where=f"{where}.port", fix="such as /dev/serial/by-id/...")
    if baud not in rates:
        raise ConfigError(
            f"{baud} is not a standard baud rate",
            where=f"{where}.baud",
            fix=f"one of: {', '.join(map(str, rates))}",
        )
