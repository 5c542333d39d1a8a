"""The page of metrics, read by Prometheus' own parser."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.config import Config, settings_of
from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.ipc import Welcome
from edge_agent.core.records import (
    Mode,
    Proposal,
    Quality,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.gateway.metrics import Instant, Metrics
from edge_agent.gateway.metrics_settings import MetricsSettings
from edge_agent.safety.devices.air_handler import ENVELOPE

CHANNELS = len(ENVELOPE.channel_names)
DAMPER = len(ENVELOPE.sensors)
HASHES = {"model": "m0", "config": "c0", "envelope": "e0", "compiled_envelope": "e1"}
INSTANT = Instant(5 * NS_PER_S, "1.2", Welcome("b", "air-handler", HASHES), True, {}, {})


def record(**changes: object) -> TickRecord:
    values: dict[str, object] = {
        "tick": 1,
        "now_ns": 4 * NS_PER_S,
        "readings": (),
        "intents": (),
        "snapshot": Snapshot(
            (2150,) + (0,) * (CHANNELS - 1),
            (30 * NS_PER_MS,) * CHANNELS,
            (Quality.GOOD, Quality.STALE) + (Quality.GOOD,) * (CHANNELS - 2),
        ),
        "features": (),
        "proposal": Proposal((0.0,), 60_000),
        "verdict": Verdict((500, 0, 0, 1000)),
        "mode": Mode.ACTIVE,
        "cause": None,
    }
    return TickRecord(**(values | changes))  # type: ignore[arg-type]


def read(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as Prometheus sees them."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type in {"gauge", "counter", "histogram"}
        for sample in family.samples:
            rows = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in rows, f"{sample.name} twice"
            rows[key] = sample.value
    return found


def page(
    *records: TickRecord, **changes: Any
) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    metrics = Metrics(ENVELOPE)
    for one in records:
        metrics.observe(one)
    return read(metrics.text(INSTANT._replace(**changes)))


def test_every_hash_is_a_label_of_build_info() -> None:
    ((labels, value),) = page()["edge_agent_build_info"].items()
    assert value == 1
    assert dict(labels) == {**HASHES, "version": "1.2", "device": "air-handler"}


def test_limit_hits_are_counted_by_actuator_and_limit() -> None:
    clamped = record(
        verdict=Verdict(
            (0,) * 4,
            (
                Reason(Rule.RATE_UP, DAMPER, 5),
                Reason(Rule.ABOVE_MAX, DAMPER + 1),
                Reason(Rule.LATE),
            ),
        )
    )
    found = page(clamped, clamped, record())["edge_agent_limit_hits_total"]
    assert found == {
        (("actuator", "outdoor_damper"), ("limit", "rate_up")): 2,
        (("actuator", "cooling_valve"), ("limit", "above_max")): 2,
    }


def test_reasons_for_no_proposal_are_counted_and_no_peer_can_add_a_label() -> None:
    refused = record(proposal=Proposal(None, 0, (Reason(Rule.NO_MODEL), Reason(4711, 99))))
    strange = record(verdict=Verdict((0,) * 4, (Reason(Rule.TRAVEL, 4711),)))
    found = page(refused, strange)
    assert found["edge_agent_refusals_total"] == {
        (("reason", "no_model"),): 1,
        (("reason", "unknown"),): 1,
    }
    assert found["edge_agent_limit_hits_total"] == {(("actuator", ""), ("limit", "travel")): 1}


def test_inference_is_a_histogram_whose_buckets_add_up() -> None:
    slow = record(proposal=Proposal(None, 30 * NS_PER_S))
    found = page(record(), record(), slow, record(proposal=Proposal(None)))
    buckets = found["edge_agent_inference_seconds_bucket"]
    assert buckets[("le", "5e-05"),] == 0
    assert buckets[("le", "0.0001"),] == 2
    assert buckets[("le", "0.1"),] == 2
    assert buckets[("le", "+Inf"),] == 3
    assert found["edge_agent_inference_seconds_count"][()] == 3
    assert found["edge_agent_inference_seconds_sum"][()] == pytest.approx(30.00012)


def test_values_have_their_unit_and_doubtful_ones_are_absent() -> None:
    found = page(record())
    values = found["edge_agent_value"]
    assert values[("channel", "supply_temperature"), ("unit", "degC")] == 21.5
    assert not any(("channel", "mixed_temperature") in labels for labels in values)
    assert found["edge_agent_sensor_good"][("channel", "mixed_temperature"),] == 0
    assert found["edge_agent_sensor_age_seconds"][("channel", "occupancy"),] == 0.03
    assert found["edge_agent_command"][("actuator", "outdoor_damper"), ("unit", "percent")] == 50
    assert found["edge_agent_tick_age_seconds"][()] == 1


@pytest.mark.parametrize(
    ("mode", "stop"),
    [(Mode.ACTIVE, 0), (Mode.RAMPING, 2), (Mode.ARMING, 3), (Mode.TRIPPED, 4)],
)
def test_exactly_one_mode_is_set_and_the_stop_state_follows(mode: Mode, stop: int) -> None:
    found = page(record(mode=mode))
    assert sum(found["edge_agent_mode"].values()) == 1
    assert found["edge_agent_mode"][("mode", mode.name),] == 1
    assert found["edge_agent_stop_state"][()] == stop


def test_loop_times_are_seconds() -> None:
    ticks = {"ticks": 9, "missed_deadlines": 2}
    ticks |= {f"{n}_{p}_us": 250 for n in ("duration", "lateness") for p in ("p50", "p99", "max")}
    found = page(status={"ticks": ticks})
    assert found["edge_agent_ticks_total"][()] == 9
    assert found["edge_agent_overruns_total"][()] == 2
    assert found["edge_agent_loop_duration_seconds"][("percentile", "99"),] == 0.00025
    assert found["edge_agent_loop_lateness_seconds"].keys() == {
        (("percentile", p),) for p in ("50", "99", "100")
    }


def test_losses_queues_and_events_are_told_apart_and_words_are_left_out() -> None:
    counters = {
        "mqtt.state": "connected",
        "records_lost": 3,
        "mqtt.messages_dropped": 4,
        "plane.outbox_waiting": 5,
        "plane.backlog_bytes": 7,
        "mqtt.connects": 6,
    }
    found = page(counters=counters)
    assert found["edge_agent_mqtt_connected"][()] == 1
    assert found["edge_agent_dropped_total"] == {
        (("what", "records_lost"),): 3,
        (("what", "mqtt.messages_dropped"),): 4,
    }
    assert "edge_agent_mqtt_connected" not in page(counters={"mqtt.state": "not configured"})
    assert found["edge_agent_waiting"] == {(("queue", "plane.outbox_waiting"),): 5}
    assert found["edge_agent_spool_bytes"] == {(("queue", "plane.backlog_bytes"),): 7}
    assert found["edge_agent_events_total"] == {(("event", "mqtt.connects"),): 6}


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"ticks": None},
        {"ticks": {}},
        {"ticks": {"ticks": "many", "duration_p50_us": "x", "missed_deadlines": None}},
    ],
)
def test_what_the_control_process_does_not_say_is_absent(status: Mapping[str, Any]) -> None:
    found = page(status=status, welcome=None, control_connected=False)
    assert not any(name.startswith(("edge_agent_ticks", "edge_agent_loop")) for name in found)
    assert found["edge_agent_control_connected"][()] == 0


@pytest.mark.parametrize(
    "strange",
    [
        record(mode=99),
        record(snapshot=Snapshot((), (), ())),
        record(snapshot=Snapshot((0,) * 99, (0,) * 99, (0,) * 99)),
        record(verdict=Verdict((1,))),
        record(snapshot=Snapshot((0,), (0,), (77,))),
    ],
)
def test_a_record_of_another_version_does_not_end_the_page(strange: TickRecord) -> None:
    assert "edge_agent_build_info" in page(strange)


def test_a_label_can_hold_any_text() -> None:
    hostile = Welcome("b", "d", {"model": 'a"b\\c\nedge_agent_ticks_total 7'})
    labels = dict(next(iter(page(welcome=hostile)["edge_agent_build_info"])))
    assert labels["model"] == 'a"b\\c\nedge_agent_ticks_total 7'
    assert "edge_agent_ticks_total" not in page(welcome=hostile)


# ---- configuration -------------------------------------------------------------------------


def _check(text: str) -> MetricsSettings | None:
    return settings_of(msgspec.convert(tomllib.loads(text), Config), "agent.toml").config.metrics


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[metrics]\nport = 0\n", "metrics.port"),
        ("[metrics]\nport = 65536\n", "metrics.port"),
        ('[metrics]\nport = 9100\naddress = "localhost"\n', "metrics.address"),
        ('[metrics]\nport = 9100\naddress = "0.0.0.0"\n', "metrics.address"),
        ('[metrics]\nport = 9100\naddress = "::"\n', "metrics.address"),
        ('[metrics]\nport = 9100\naddress = "192.168.1.7"\n', "metrics.address"),
    ],
)
def test_a_port_that_others_can_reach_must_be_said_in_so_many_words(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _check(text)
    assert refused.value.where.endswith(where)


@pytest.mark.parametrize(
    "text",
    [
        "[metrics]\nport = 9100\n",
        '[metrics]\nport = 9100\naddress = "::1"\n',
        '[metrics]\nport = 9100\naddress = "0.0.0.0"\nbeyond_loopback = true\n',
    ],
)
def test_loopback_needs_no_word(text: str) -> None:
    assert _check(text) is not None


def test_nothing_listens_unless_it_is_configured() -> None:
    assert _check("") is None


def test_the_page_of_documentation_names_every_family() -> None:
    counters: dict[str, int | str] = {
        "mqtt.state": "waiting",
        "x_lost": 1,
        "x_waiting": 1,
        "x_bytes": 1,
        "x": 1,
    }
    told = {"ticks": 1, "missed_deadlines": 1, "duration_p50_us": 1, "lateness_p50_us": 1}
    clamped = record(
        verdict=Verdict((0,) * 4, (Reason(Rule.RATE_UP, DAMPER),)),
        proposal=Proposal(None, 1, (Reason(Rule.NO_MODEL),)),
    )
    metrics = Metrics(ENVELOPE)
    metrics.observe(clamped)
    text = metrics.text(INSTANT._replace(counters=counters, status={"ticks": told}))
    documented = (Path(__file__).parents[3] / "docs/metrics.md").read_text("utf-8")
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == 21
    assert [name for name in heads if f"`{name}" not in documented] == []
