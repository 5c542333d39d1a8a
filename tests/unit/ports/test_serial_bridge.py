"""The control process's serial port against the simulated device, over a real pty."""

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.app_hardware import serial_bridge
from edge_agent.config import Config, SerialConfig, settings_of
from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.protocol import Port
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import SimulatedMcu
from edge_agent.sim.mcu_terminal import Terminal
from firmware_bridge.serial_port import SerialPort

MS = 1_000_000
FEEDBACK = ("fan_current", "damper_position")
ARMED = Command((1, 0, 0, 1), armed=True)
SAFE = Command((0, 0, 0, 0), armed=False)


class Rig:
    """A port and a device at the two ends of a pty, on one injected clock."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = 1_000 * MS
        self.link = folder / "tty"
        self.terminal = Terminal(self.link)
        self.nonces = itertools.count(1)
        self.mcu = SimulatedMcu(ENVELOPE, FEEDBACK, 7, now_ns=self.now_ns)
        path = str(self.link)
        self.port = SerialBridgePort(
            path, lambda: SerialPort(path, 115_200), ENVELOPE, FEEDBACK, lambda: next(self.nonces)
        )

    def tick(self, command: Command) -> list[Reading]:
        self.now_ns += 20 * MS
        self.mcu.receive(self.now_ns, self.terminal.read())
        self.terminal.write(self.mcu.advance(self.now_ns))
        readings = self.port.poll(self.now_ns)
        self.port.apply(self.now_ns, command)
        return readings

    def until(self, state: str, command: Command = ARMED) -> None:
        for _ in range(300):
            self.tick(command)
            if self.port.status()["state"] == state:
                return
        raise AssertionError(self.port.status())


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.port.close()
    made.terminal.unplug()


def test_it_is_a_port_and_closing_twice_is_harmless(rig: Rig) -> None:
    port: Port = rig.port
    assert port.fileno() is None
    port.close()
    port.apply(0, ARMED)


def test_applied_values_are_good_only_while_the_device_is_armed(rig: Rig) -> None:
    rig.mcu.set_sensors((52, 340))
    rig.until("ready", SAFE)
    readings = rig.tick(SAFE)
    assert [r.channel for r in readings] == [7, 8, 9, 10, 11, 12]
    assert [r.counts for r in readings[:2]] == [52, 340]
    assert [r.quality for r in readings] == [Quality.GOOD] * 2 + [Quality.INVALID] * 4
    assert {r.stamp_ns for r in readings} == {rig.now_ns}
    rig.until("armed")
    rig.tick(ARMED)
    readings = rig.tick(ARMED)
    assert [r.quality for r in readings] == [Quality.GOOD] * 6
    assert [r.counts for r in readings[2:]] == [1, 0, 0, 1]


def test_disarming_makes_the_outputs_safe(rig: Rig) -> None:
    rig.until("armed")
    rig.tick(SAFE)
    rig.tick(SAFE)
    assert rig.mcu.outputs == (0, 0, 0, 0)
    rig.until("ready", SAFE)
    assert rig.port.status()["safe_reason"] == "REQUESTED"


def test_an_absent_device_is_silence_with_backoff_and_is_found_later(rig: Rig) -> None:
    rig.terminal.unplug()
    for _ in range(500):
        assert rig.tick(ARMED) == []
    status = rig.port.status()
    assert (status["state"], status["low_latency"]) == ("closed", "")
    assert "No such file" in str(status["fault"])
    assert 5 <= int(status["open_failures"]) <= 12  # 10 s with doubling waits
    rig.terminal.plug()
    rig.until("armed")
    assert rig.port.status()["fault"] == ""
    assert str(rig.port.status()["low_latency"]).startswith("the driver cannot: ")


def test_unplugging_and_replugging_is_survived_without_a_restart(rig: Rig) -> None:
    rig.until("armed")
    rig.terminal.unplug()
    assert rig.tick(ARMED) == []
    assert rig.port.fileno() is None
    assert rig.port.status()["unplugged"] == 1
    for _ in range(30):
        rig.tick(ARMED)
    assert rig.mcu.outputs == (0, 0, 0, 0)  # its dead man
    rig.terminal.plug()
    rig.until("armed")
    assert rig.port.status()["reconnects"] == 1
    assert rig.port.fileno() is not None


def test_an_unplugging_between_poll_and_apply_is_survived(rig: Rig) -> None:
    rig.until("armed")
    rig.terminal.unplug()
    rig.port.apply(rig.now_ns, ARMED)
    assert rig.port.status()["unplugged"] == 1


def test_silence_opens_a_new_session(rig: Rig) -> None:
    rig.until("armed")
    for _ in range(20):
        rig.now_ns += 20 * MS
        rig.port.poll(rig.now_ns)
    assert rig.port.status()["lost_silent"] == 1
    rig.until("armed")
    assert rig.port.status()["sessions"] == 2


def test_a_board_that_is_slow_by_design_is_given_the_configured_time(rig: Rig) -> None:
    serial = SerialConfig(port=str(rig.link), sensors=FEEDBACK, silence_ms=300)
    rig.port = serial_bridge(settings_of(Config(), "test"), serial)
    rig.until("armed")
    for _ in range(15):
        rig.now_ns += 20 * MS
        rig.port.poll(rig.now_ns)
    assert rig.port.status()["lost_silent"] == 0
    rig.now_ns += 20 * MS
    rig.port.poll(rig.now_ns)
    assert rig.port.status()["lost_silent"] == 1


def test_a_device_reset_is_survived(rig: Rig) -> None:
    rig.until("armed")
    rig.mcu = SimulatedMcu(ENVELOPE, FEEDBACK, 8, now_ns=rig.now_ns)
    rig.tick(ARMED)
    assert rig.port.status()["lost_reset"] == 1
    rig.until("armed")


def test_a_device_with_another_envelope_is_named_and_never_armed(rig: Rig) -> None:
    other = dataclasses.replace(ENVELOPE, version=2)
    rig.mcu = SimulatedMcu(other, FEEDBACK, 7, now_ns=rig.now_ns)
    rig.until("refused")
    for _ in range(20):
        assert rig.tick(ARMED) == []
    assert "envelope hash differs" in str(rig.port.status()["fault"])
    assert rig.mcu.state == 0


def test_garbage_is_counted_and_survived(rig: Rig) -> None:
    rig.until("armed")
    for seed in range(50):
        rig.terminal.write(b"\0" + bytes([seed + 1] * 40) + b"\0")
        rig.tick(ARMED)
    assert rig.port.status()["state"] == "armed"
    assert rig.port.status()["bad_frames"] == 50


def test_a_device_that_does_not_read_costs_dropped_writes_and_no_time(rig: Rig) -> None:
    rig.until("armed")
    for _ in range(100):  # the kernel moves what it holds, and then there is room again
        line = rig.port._line.line
        while line is not None and line.write(b"\x01" * 4096):
            pass
        rig.port.poll(rig.now_ns)
        rig.port.apply(rig.now_ns, ARMED)
        if rig.port.status()["dropped_writes"]:
            break
    assert int(rig.port.status()["dropped_writes"]) >= 1
    os.read(rig.terminal.fileno() or -1, 65_536)


def test_status_has_only_numbers_and_text(rig: Rig) -> None:
    rig.until("armed")
    for name, value in rig.port.status().items():
        assert isinstance(name, str)
        assert isinstance(value, int | str)
