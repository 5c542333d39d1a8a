"""A board that is not ours behind a real pseudo-terminal, and a configuration that lacks it."""

import os
import pty
import tty
from typing import Any

from edge_agent.config import Config, SerialConfig
from edge_agent.gateway.settings import MqttSensor, MqttSettings
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.errors import PortUnavailableError
from firmware_bridge.serial_port import SerialPort


class Board:
    """The other end of the cable."""

    def __init__(self) -> None:
        self.master = self.slave = -1
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.slave)
            os.close(self.master)
            self.master = -1

    def open(self) -> SerialPort:
        if self.master < 0:
            raise PortUnavailableError("absent")
        return SerialPort(os.ttyname(self.slave), 9600)

    def heard(self) -> bytes:
        """All that was sent to it and not looked at yet."""
        os.set_blocking(self.master, False)
        try:
            return os.read(self.master, 65_536)
        except BlockingIOError:
            return b""


def config(**sections: Any) -> Config:
    """An air handler in real mode whose `supply_temperature` has no source but `sections`."""
    elsewhere = {"supply_temperature", "fan_current", "damper_position"}
    rows = tuple(
        MqttSensor(channel=s.name, topic=s.name, unit=s.unit)
        for s in ENVELOPE.sensors
        if s.name not in elsewhere
    )
    return Config(
        mode="real",
        serial=SerialConfig(port="mcu", sensors=("fan_current", "damper_position")),
        mqtt=MqttSettings(sensor=rows),
        **sections,
    )
