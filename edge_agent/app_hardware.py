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
from edge_agent.core.errors import ConfigError
from edge_agent.ports.protocol import Port
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.ports.serial_lines import SerialLinesPort
from edge_agent.ports.serial_lines_settings import line_decoder
from firmware_bridge.serial_port import SerialPort

_NONCE_BITS = 32


class Hardware(NamedTuple):
    """The ports by name, the channels that may also come from the gateway, and whether the
    gateway is what the actuators hang on."""

    ports: Mapping[str, Port]
    mqtt_channels: tuple[int, ...]
    on_broker: bool = False


def hardware_of(settings: Settings) -> Hardware:
    """What the configuration's mode asks for; ConfigError when that device cannot be simulated,
    or the line's key cannot be had."""
    if settings.config.mode == "simulated":
        return _simulated(settings)
    index = {name: channel for channel, name in enumerate(settings.envelope.channel_names)}
    mqtt = settings.config.mqtt
    sensors, actuators = (mqtt.sensor, mqtt.actuator) if mqtt is not None else ((), ())
    names = [*(row.channel for row in sensors), *(row.channel for row in actuators)]
    ports = _line_ports(settings)
    if settings.config.serial is not None:
        ports = {"serial": serial_bridge(settings, settings.config.serial), **ports}
    return Hardware(ports, tuple(index[name] for name in names), bool(actuators))


def serial_bridge(settings: Settings, serial: SerialConfig) -> SerialBridgePort:
    """The port of the configured microcontroller; ConfigError when its key cannot be had."""
    port = SerialBridgePort(
        serial.port,
        partial(SerialPort, serial.port, serial.baud),
        settings.compiled,
        serial.sensors,
        lambda: secrets.randbits(_NONCE_BITS),
    )
    key = serial_key(serial, os.environ)
    if key is not None:
        port.use_key(key)
    return port


def _line_ports(settings: Settings) -> dict[str, Port]:
    """Boards that are not ours: `serial_lines_0` and so on, in the order of the configuration."""
    ports: dict[str, Port] = {}
    for number, section in enumerate(settings.config.serial_lines):
        name = f"serial_lines_{number}"
        decoder = line_decoder(section, settings.envelope.sensors, name)
        opener = partial(SerialPort, section.port, section.baud)
        ports[name] = SerialLinesPort(section.port, opener, decoder)
    return ports


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
