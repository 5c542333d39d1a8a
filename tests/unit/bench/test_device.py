"""The load generator's device speaks the real protocol and knows its answers."""

import os
import time
from collections.abc import Iterator

import pytest

from bench.device import BenchDevice
from edge_agent.core.records import Command, Quality
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety import devices
from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import DeviceState, Kind
from firmware_bridge.serial_port import SerialPort

ENVELOPE = devices.find("air-handler")
SENSORS = tuple(s.name for s in ENVELOPE.sensors)


@pytest.fixture
def device() -> Iterator[BenchDevice]:
    with BenchDevice(ENVELOPE, in_session=True) as made:
        yield made


@pytest.fixture
def port(device: BenchDevice) -> Iterator[SerialBridgePort]:
    made = SerialBridgePort(
        device.path, lambda: SerialPort(device.path, 115200), ENVELOPE, SENSORS, lambda: 7
    )
    yield made
    made.close()


def shake_hands(device: BenchDevice, port: SerialBridgePort) -> None:
    for _ in range(4):
        port.poll(time.monotonic_ns())
        device.serve(0.05)
    assert device.has_session


def send_telemetry(device: BenchDevice) -> None:
    os.write(device._master, device._telemetry())


def test_a_real_host_shakes_hands_arms_and_is_obeyed(
    device: BenchDevice, port: SerialBridgePort
) -> None:
    shake_hands(device, port)
    command = Command((100, 0, 200, 300), armed=True)
    for _ in range(3):
        send_telemetry(device)
        readings = port.poll(time.monotonic_ns())
        port.apply(time.monotonic_ns(), command)
        device.serve(0.05)
    assert device.state is DeviceState.ARMED
    send_telemetry(device)
    readings = port.poll(time.monotonic_ns())
    assert [r.counts for r in readings[len(SENSORS) :]] == [100, 0, 200, 300]
    assert {r.quality for r in readings} == {Quality.GOOD}


def test_every_sensor_stays_inside_its_plausible_range(device: BenchDevice) -> None:
    for now_ns in range(0, 25_000_000_000, 100_000_000):
        for counts, limits in zip(device._measured(now_ns), ENVELOPE.sensors, strict=True):
            assert limits.min_counts <= counts <= limits.max_counts


def test_an_answer_to_an_earlier_frame_is_not_an_answer() -> None:
    with BenchDevice(ENVELOPE, in_session=False) as device:
        late = encode_frame(Frame(Kind.SET, 1, 41, (1, 2, 3, 4)), 0)
        device._token = 41
        os.write(device._slave, late)
        assert device.exchange(0) is None
        assert device.commands == 1


def test_the_matching_answer_is_timed_from_the_write() -> None:
    with BenchDevice(ENVELOPE, in_session=False) as device:
        device._token = 41
        os.write(device._slave, encode_frame(Frame(Kind.SET, 1, 42, (1, 2, 3, 4)), 0))
        at_ns = time.monotonic_ns() + 5_000_000
        latency_ns = device.exchange(at_ns)
        assert latency_ns is not None
        assert 0 < latency_ns < 200_000_000
        assert time.monotonic_ns() >= at_ns
