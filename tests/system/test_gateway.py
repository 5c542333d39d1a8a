"""The gateway against a real Mosquitto and a real relay socket."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.mosquitto import Mosquitto
from edge_agent.core.clock import SystemClock
from edge_agent.core.ipc import Tick
from edge_agent.core.records import Quality, TickRecord
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.process import Gateway, GatewayJob
from edge_agent.gateway.session import MAX_MESSAGES
from edge_agent.ports.gateway_relay import GatewayRelay
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.system.gateway_bench import CHANNELS, WELCOME, Bench, ListRecorder, job, tick_record
from tests.system.mqtt_peer import MqttPeer, wait_until

STATUS = "edge/air-handler/status"
TELEMETRY = "edge/air-handler/telemetry"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def test_values_arrive_as_counts_of_the_channel(broker: Mosquitto, tmp_path: Path) -> None:
    with Bench(broker.port, tmp_path) as bench, MqttPeer(broker.port) as plant:
        bench.until_connected()
        before_ns = time.monotonic_ns()
        bench.until(lambda: bench.count("mqtt.subscriptions") == 3, "subscribed")
        plant.publish("plant/supply", "68")
        plant.publish("plant/mixed", '{"a": {"t": 12.345}}')
        plant.publish("plant/fan", msgspec.msgpack.encode({"on": True}))
        bench.until(lambda: len(bench.readings) == 3, "three readings")
        assert [(r.channel, r.counts, r.quality) for r in bench.readings] == [
            (0, 2000, Quality.GOOD),
            (1, 1234, Quality.GOOD),
            (5, 1, Quality.GOOD),
        ]
        assert all(before_ns <= r.stamp_ns <= time.monotonic_ns() for r in bench.readings)


def test_unusable_payloads_become_invalid_readings_with_a_named_cause(
    broker: Mosquitto, tmp_path: Path
) -> None:
    zoo: dict[str, bytes] = {
        "empty": b"",
        "too_large": b"9" * 10_000_000,
        "not_text": b"\xff\xfe\x00",
        "not_a_number": b"#VALUE!",
        "not_finite": b"NaN",
        "beyond_counts": b"1e300",
    }
    with Bench(broker.port, tmp_path) as bench, MqttPeer(broker.port) as plant:
        bench.until_connected()
        bench.until(lambda: bench.count("mqtt.subscriptions") == 3, "subscribed")
        for payload in zoo.values():
            plant.publish("plant/supply", payload)
        plant.publish("plant/supply", "32")
        bench.until(lambda: len(bench.readings) == len(zoo) + 1, "all readings")
        assert [r.quality for r in bench.readings] == [Quality.INVALID] * len(zoo) + [Quality.GOOD]
        assert bench.readings[-1].counts == 0
        for cause in zoo:
            assert bench.count(f"sensor.supply_temperature.{cause}") == 1, cause
        assert bench.count("mqtt.disconnects") == 0


def test_a_retained_reading_is_counted_and_not_used(broker: Mosquitto, tmp_path: Path) -> None:
    with MqttPeer(broker.port) as plant:
        plant.publish("plant/supply", "70", retain=True)
        with Bench(broker.port, tmp_path) as bench:
            bench.until(
                lambda: bench.count("sensor.supply_temperature.stale_retained") == 1, "counted"
            )
            assert bench.readings == []
            plant.publish("plant/supply", "71", retain=True)
            bench.until(lambda: len(bench.readings) == 1, "the live one is used")


def test_status_is_retained_and_telemetry_follows_the_ticks(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with MqttPeer(broker.port, STATUS, TELEMETRY) as operator:
        with Bench(broker.port, tmp_path, telemetry_rate_hz=20.0) as bench:
            bench.until_connected()
            assert bench.relay is not None
            ticks = [tick_record(n, time.monotonic_ns()) for n in range(5)]
            for tick in ticks:
                bench.relay.publish(tick)
            bench.relay.publish_status({"mode": "ACTIVE"})
            bench.until(lambda: len(bench.recorder.records) == 5, "five records")
            bench.until(lambda: operator.payloads(TELEMETRY), "telemetry")
            bench.until(lambda: b"ACTIVE" in b"".join(operator.payloads(STATUS)), "mode in status")
            decode = msgspec.msgpack.Decoder(TickRecord).decode
            assert [decode(r) for r in bench.recorder.records] == ticks
        wait_until(lambda: b'"stopped"' in operator.payloads(STATUS)[-1], "clean last word")
        status = json.loads(operator.payloads(STATUS)[-2])
        assert (status["on"], status["control"], status["boot"]) == (True, "up", "b00t")
        assert set(status["hashes"]) == {"envelope", "model"}
        telemetry = json.loads(operator.payloads(TELEMETRY)[0])
        assert telemetry["measured"]["supply_temperature"] == 21.0
        assert telemetry["command"]["cooling_valve"] == 0.0
    with MqttPeer(broker.port, STATUS) as late:
        wait_until(lambda: late.received, "retained status")
        assert late.received[0][2], "status is retained"
        assert json.loads(late.received[0][1])["on"] is False


def test_a_broker_that_is_absent_at_start_is_found_when_it_comes(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with Bench(broker.port, tmp_path) as bench:
        bench.until(lambda: bench.count("mqtt.connect_failures"), "a first refusal")
        assert bench.relay is not None
        bench.relay.publish(tick_record(1, time.monotonic_ns()))
        bench.until(lambda: len(bench.recorder.records) == 1, "recording goes on without a broker")
        try:
            broker.start()
            bench.until_connected()
        finally:
            bench.gateway.close()
            broker.stop()


def test_after_a_broker_restart_subscriptions_are_back_and_nothing_is_sent_twice(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with Bench(broker.port, tmp_path, telemetry_rate_hz=20.0) as bench:
        bench.until(lambda: bench.count("mqtt.subscriptions") == 3, "subscribed")
        broker.stop()
        bench.until(lambda: bench.count("mqtt.state") != "connected", "loss noticed")
        assert bench.relay is not None
        bench.relay.publish(tick_record(7, time.monotonic_ns()))
        bench.until(lambda: len(bench.recorder.records) == 1, "recorded during the outage")
        broker.start()
        with MqttPeer(broker.port, TELEMETRY, STATUS) as plant:
            bench.until(lambda: bench.count("mqtt.subscriptions") == 6, "subscribed again")
            bench.relay.publish(tick_record(8, time.monotonic_ns()))
            plant.publish("plant/supply", "50")
            bench.until(lambda: bench.readings, "a reading")
            bench.until(lambda: plant.payloads(TELEMETRY), "telemetry")
            bench.until(lambda: plant.payloads(STATUS), "birth status again")
            ticks = [json.loads(p)["tick"] for p in plant.payloads(TELEMETRY)]
            assert ticks == [8], "tick 7 was due while there was no broker, and is not sent later"
            assert [r.counts for r in bench.readings] == [1000]


def test_a_control_process_that_goes_is_reported_and_one_that_comes_back_is_served(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with MqttPeer(broker.port, STATUS) as operator, Bench(broker.port, tmp_path) as bench:
        bench.until_connected()
        bench.until(lambda: b'"up"' in b"".join(operator.payloads(STATUS)), "control up")
        assert bench.relay is not None
        bench.relay.close()
        bench.relay = None
        bench.until(lambda: b'"gone"' in operator.payloads(STATUS)[-1], "control gone")
        assert bench.count("mqtt.disconnects") == 0
        bench.relay = GatewayRelay(bench.path, WELCOME, CHANNELS)
        bench.until(lambda: b'"up"' in operator.payloads(STATUS)[-1], "control up again")


def test_a_burst_beyond_the_queue_drops_the_oldest_and_counts(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with Bench(broker.port, tmp_path) as bench, MqttPeer(broker.port) as plant:
        bench.until(lambda: bench.count("mqtt.subscriptions") == 3, "subscribed")
        total = MAX_MESSAGES + 500
        for n in range(total):
            plant.publish("plant/supply", str(n % 100), qos=0)
        plant.publish("plant/supply", "212")
        wait_until(lambda: _queue_is_quiet(bench), "the network thread took everything")
        bench.until(lambda: bench.readings and bench.readings[-1].counts == 10_000, "the newest")
        dropped = bench.count("mqtt.messages_dropped")
        received = bench.count("mqtt.messages")
        assert isinstance(dropped, int)
        assert isinstance(received, int)
        assert dropped >= 1
        assert received + dropped == total + 1


def _queue_is_quiet(bench: Bench) -> bool:
    link = bench.gateway._link
    session = link._session if isinstance(link, MqttLink) else None
    return session is not None and b"212" in {m.payload for m in list(session.messages)}


def test_a_disk_that_fails_ends_neither_the_gateway_nor_the_telemetry(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        MqttPeer(broker.port, TELEMETRY) as operator,
        Bench(broker.port, tmp_path, telemetry_rate_hz=20.0) as bench,
    ):
        bench.recorder.full = True
        bench.until_connected()
        assert bench.relay is not None
        bench.relay.publish(tick_record(1, time.monotonic_ns()))
        bench.until(lambda: bench.count("records_lost") == 1, "counted")
        assert bench.count("recordings_failed") == 1
        bench.until(lambda: operator.payloads(TELEMETRY), "telemetry goes on")


def test_records_of_another_version_are_kept_and_counted_but_not_published(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with Bench(broker.port, tmp_path, telemetry_rate_hz=20.0) as bench:
        bench.until_connected()
        bench.gateway._hear(Tick(b"\x93\x01\x02\x03"))
        bench.until(lambda: bench.count("records_malformed") == 1, "counted")
        assert bench.recorder.records == [b"\x93\x01\x02\x03"]


def test_a_second_gateway_is_sent_away_and_keeps_asking(broker: Mosquitto, tmp_path: Path) -> None:
    with Bench(broker.port, tmp_path) as bench:
        bench.until_connected()
        assert bench.relay is not None
        second = Gateway(
            job(broker.port, bench.path, client_id="second"),
            ListRecorder(),
            SystemClock(),
            random.Random(2),
        )

        def step_both() -> bool:
            second.step(0.01)
            assert bench.relay is not None
            return bench.relay.status()["peers_refused"] == 2

        bench.until(step_both, "asked twice")
        assert bench.relay.gateway_connected
        second.close()


def test_without_a_broker_in_the_configuration_the_gateway_records(tmp_path: Path) -> None:
    recorder = ListRecorder()
    path = tmp_path / "control.sock"
    gateway = Gateway(
        GatewayJob(envelope=ENVELOPE, settings=None, socket_path=path),
        recorder,
        SystemClock(),
        random.Random(1),
    )
    relay = GatewayRelay(path, WELCOME, CHANNELS)

    def stepped() -> bool:
        gateway.step(0.01)
        relay.poll(time.monotonic_ns())
        return relay.gateway_connected

    wait_until(stepped, "connected to control")
    relay.publish(tick_record(1, time.monotonic_ns()))
    wait_until(lambda: (stepped(), recorder.records)[1], "recorded")
    assert gateway.counters()["mqtt.state"] == "not configured"
    assert recorder.runs == [WELCOME]
    gateway.close()
    relay.close()


def test_a_connection_that_comes_or_goes_is_one_line(tmp_path: Path) -> None:
    told: list[str] = []
    with Mosquitto(tmp_path) as broker:
        base = replace(job(broker.port, tmp_path / "control.sock"), tell=told.append)
        gateway = Gateway(base, ListRecorder(), SystemClock(), random.Random(1))

        def stepped_until(words: str) -> None:
            def said() -> bool:
                gateway.step(0.01)
                return any(words in line for line in told)

            wait_until(said, words)

        stepped_until("mqtt=connected control=gone")
        broker.stop()
        stepped_until("mqtt=waiting control=gone")
        gateway.close()
    assert len(told) == 2  # not a line for each attempt
