"""The documents that the gateway publishes."""

import json

import pytest

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
from edge_agent.gateway.documents import Documents
from edge_agent.safety.devices.air_handler import ENVELOPE

CHANNELS = len(ENVELOPE.channel_names)


def _record(**changes: object) -> TickRecord:
    values: dict[str, object] = {
        "tick": 7,
        "now_ns": 1000,
        "readings": (),
        "intents": (),
        "snapshot": Snapshot(
            (2150,) + (0,) * (CHANNELS - 1),
            (0,) * CHANNELS,
            (Quality.GOOD, Quality.STALE) + (Quality.GOOD,) * (CHANNELS - 2),
        ),
        "features": (),
        "proposal": Proposal(None),
        "verdict": Verdict((500, 0, 0, 1000), (Reason(Rule.RATE_UP, 9, 50), Reason(Rule.LATE))),
        "mode": Mode.ACTIVE,
        "cause": Reason(Rule.STALE_INPUT, 1, 5),
    }
    return TickRecord(**(values | changes))  # type: ignore[arg-type]


def test_telemetry_speaks_the_devices_names_and_units() -> None:
    document = json.loads(Documents(ENVELOPE).telemetry(_record(), "b00t"))
    assert (document["boot"], document["tick"], document["mode"]) == ("b00t", 7, "ACTIVE")
    assert document["measured"]["supply_temperature"] == 21.5
    assert document["measured"]["mixed_temperature"] is None
    assert document["doubtful"] == {"mixed_temperature": "STALE"}
    assert document["command"] == {
        "outdoor_damper": 50.0, "cooling_valve": 0.0, "heating_valve": 0.0, "supply_fan": 100.0,
    }  # fmt: skip
    assert document["reasons"] == [
        {"rule": "RATE_UP", "channel": "outdoor_damper", "number": 50},
        {"rule": "LATE", "channel": None, "number": 0},
    ]
    assert document["cause"]["channel"] == "mixed_temperature"


@pytest.mark.parametrize(
    "record",
    [
        _record(mode=99),
        _record(verdict=Verdict((0,))),
        _record(cause=Reason(9999)),
        _record(snapshot=Snapshot((0,), (0,), (77,))),
    ],
)
def test_a_record_of_another_version_is_a_value_error(record: TickRecord) -> None:
    with pytest.raises(ValueError, match=r"."):
        Documents(ENVELOPE).telemetry(record, "")


def test_status_names_boot_and_hashes_once_they_are_known() -> None:
    documents = Documents(ENVELOPE)
    alone = json.loads(documents.status(None, "gone", {"mode": "ACTIVE"}))
    assert alone == {
        "on": True,
        "device": "air-handler",
        "control": "gone",
        "hashes": {"envelope": ENVELOPE.sha256()},
    }
    welcome = Welcome("b00t", "air-handler", {"model": "m", "envelope": "e"})
    full = json.loads(documents.status(welcome, "up", {"mode": "ACTIVE", "other": 1}))
    assert (full["boot"], full["mode"]) == ("b00t", "ACTIVE")
    assert full["hashes"] == {"envelope": "e", "model": "m"}


def test_will_and_goodbye_say_off() -> None:
    assert json.loads(Documents(ENVELOPE).will())["on"] is False
    assert json.loads(Documents(ENVELOPE).offline("stopped"))["reason"] == "stopped"
