"""Records for the recording's tests: small, and every field set to something."""

import msgspec

from edge_agent.core.records import (
    Intent,
    Mode,
    Op,
    Proposal,
    Reading,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.recording.format import Header, channel_infos
from edge_agent.safety.devices.air_handler import ENVELOPE


def tick(number: int) -> TickRecord:
    return TickRecord(
        number,
        number * 100_000_000,
        (Reading(0, 1234 + number, 99, 0),),
        (Intent(Op.ARM, "test"),),
        Snapshot((1, 2), (3, 4), (0, 1)),
        (0.5, -1.25),
        Proposal((1.0, 2.0), 7),
        Verdict((10, 20), (Reason(Rule.RATE_UP, 10, 11),)),
        Mode.ACTIVE,
        None,
    )


def encoded(number: int) -> bytes:
    return msgspec.msgpack.encode(tick(number))


def header(boot: str = "b00t", started_utc_ns: int = 1_700_000_000_000_000_000) -> Header:
    sensors, actuators = channel_infos(ENVELOPE)
    return Header(
        device=ENVELOPE.device,
        boot=boot,
        code_version="0.1.0",
        hashes={"envelope": ENVELOPE.sha256()},
        sensors=sensors,
        actuators=actuators,
        started_utc_ns=started_utc_ns,
        seed=1,
        scenario="normal",
    )
