"""Composition of what `run` drives: the microcontroller on its port, or a simulated world.

Owns: the ports that touch the machine, and whose word counts for each sensor. Must not: start
anything else. A simulated world needs the simulator and its plants, which a board never
loads: they are imported only when the configuration says so.
"""

import os
import secrets
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from edge_agent.app_key import serial_key
from edge_agent.config import SerialConfig, Settings
from edge_agent.core.clock import NS_PER_MS
from edge_agent.core.errors import ConfigError
from edge_agent.ports.modbus import ModbusPort
from edge_agent.ports.modbus_frames import Codec
from edge_agent.ports.modbus_master import ModbusMaster
from edge_agent.ports.modbus_settings import modbus_plan
from edge_agent.ports.protocol import Port
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.ports.serial_lines import SerialLinesPort
from edge_agent.ports.serial_lines_settings import line_decoder
from firmware_bridge.link import LinkSettings
from firmware_bridge.serial_port import Framing, SerialPort

_NONCE_BITS = 32


class Hardware(NamedTuple):
    """The ports by name, the channels that may also come from the gateway, and whether the
    gateway is what the actuators hang on."""

    ports: Mapping[str, Port]
    mqtt_channels: tuple[int, ...]
    on_broker: bool = False


def hardware_of(settings: Settings) -> Hardware:
    """What the configuration's mode asks for; ConfigError when that device cannot be simulated,
    the line's key cannot be had, or a package is missing."""
    if settings.config.mode == "simulated":
        return _simulated(settings)
    index = {name: channel for channel, name in enumerate(settings.envelope.channel_names)}
    mqtt = settings.config.mqtt
    sensors, actuators = (mqtt.sensor, mqtt.actuator) if mqtt is not None else ((), ())
    names = [*(row.channel for row in sensors), *(row.channel for row in actuators)]
    ports = _foreign_ports(settings)
    if settings.config.serial is not None:
        ports = {"serial": serial_bridge(settings, settings.config.serial), **ports}
    return Hardware(ports, tuple(index[name] for name in names), bool(actuators))


def serial_bridge(settings: Settings, serial: SerialConfig) -> SerialBridgePort:
    """The port of the configured microcontroller; ConfigError when its key cannot be had."""
    port = SerialBridgePort(
        serial.port,
        partial(SerialPort, serial.port, serial.baud, low_latency=serial.low_latency),
        settings.compiled,
        serial.sensors,
        lambda: secrets.randbits(_NONCE_BITS),
    )
    waits = LinkSettings(silence_ns=serial.silence_ms * NS_PER_MS)
    port.use_link(waits, serial_key(serial, os.environ))
    return port


def _foreign_ports(settings: Settings) -> dict[str, Port]:
    """Boards that are not ours: `serial_lines_0`, `modbus_0` and so on, in the order of the
    configuration; none is opened yet. ConfigError when Modbus lacks its package."""
    config = settings.config
    lines = {f"serial_lines_{n}": lines_port(settings, n) for n in range(len(config.serial_lines))}
    return lines | {f"modbus_{n}": modbus_port(settings, n) for n in range(len(config.modbus))}


def lines_port(settings: Settings, number: int) -> SerialLinesPort:
    """The port of one `[[serial_lines]]` section."""
    section = settings.config.serial_lines[number]
    decoder = line_decoder(section, settings.envelope.sensors, f"serial_lines[{number}]")
    return SerialLinesPort(section.port, partial(SerialPort, section.port, section.baud), decoder)


def modbus_port(settings: Settings, number: int) -> ModbusPort:
    """The port of one `[[modbus]]` section; ConfigError when the package for it is missing."""
    section = settings.config.modbus[number]
    where = f"modbus[{number}]"
    plan = modbus_plan(section, settings.envelope.sensors, where)
    master = ModbusMaster(plan, Codec(f"{settings.source}: {where}"))
    framing = Framing(section.parity, section.stop_bits)
    opener = partial(SerialPort, section.port, section.baud, framing)
    return ModbusPort(section.port, opener, master)


def _simulated(settings: Settings) -> Hardware:
    """Every sensor comes from the plant: what arrives over MQTT is refused and counted."""
    from edge_agent.sim.episodes import shoulder_morning
    from edge_agent.sim.live import LiveSensors
    from edge_agent.sim.mcu_process import FEEDBACK_SENSORS
    from edge_agent.sim.world import World, WorldPlan

    device = settings.config.device
    if device not in FEEDBACK_SENSORS:
        raise ConfigError(
            f"there is no simulation of {device!r}",
            where=f"{settings.source}: mode",
            fix='set mode = "real" and [serial], or a device of: ' + ", ".join(FEEDBACK_SENSORS),
        )
    feedback = FEEDBACK_SENSORS[device]
    seed = secrets.randbits(_NONCE_BITS)
    world = World(
        WorldPlan(
            envelope=settings.compiled,
            feedback=feedback,
            episode=shoulder_morning(seed),
            seed=seed,
        )
    )
    bridge = SerialBridgePort(
        world.cable.name, world.cable.open, settings.compiled, feedback, world.nonce
    )
    ports: dict[str, Port] = {"world": LiveSensors(world), "serial": bridge}
    return Hardware(ports, ())
