"""The log of events: what is noticed, numbered, told again, and never more than its bounds."""

import msgspec
import pytest

from edge_agent.authority.documents import Event
from edge_agent.authority.events import KEPT, REFUSAL_EVERY_NS, REFUSALS_BURST, EventLog, Refusal
from edge_agent.core.command_ipc import EventsKept, Happened
from edge_agent.core.records import Intent, Mode, Op, Reason, Rule
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import T0, Office, record

UTC_MS = 1_700_000_000_000


def _log() -> EventLog:
    return EventLog("b1", ENVELOPE)


def _read(happened: Happened) -> Event:
    return msgspec.msgpack.decode(happened.body, type=Event)


def _events(log: EventLog) -> list[Event]:
    return [_read(happened) for happened in log.unsent()]


def _tick(log: EventLog, mode: Mode, *, monitor: bool = False, cause: Reason | None = None) -> None:
    stop = Intent(Op.STOP, "plane:ops:alice")
    log.watch(record(mode, T0, (stop,), cause, ({}, monitor)), UTC_MS)


def test_a_tick_that_changes_nothing_is_no_event() -> None:
    log = _log()
    for _ in range(3):
        _tick(log, Mode.SAFE)
    assert log.unsent() == []


def test_a_change_of_mode_says_from_where_who_asked_and_why() -> None:
    log = _log()
    _tick(log, Mode.ARMING)
    _tick(log, Mode.TRIPPED, cause=Reason(Rule.STOP_REQUESTED))
    arming, trip = _events(log)
    assert (arming.kind, arming.sev, arming.data["from"], arming.data["to"]) == (
        *("mode", "info", "SAFE", "ARMING"),
    )
    assert (trip.kind, trip.sev, trip.seq, trip.boot) == ("trip", "alarm", 2, "b1")
    assert trip.data["by"] == ["plane:ops:alice"]
    assert trip.data["cause"]["rule"] == "STOP_REQUESTED"
    assert (trip.at, trip.utc_ms) == (T0, UTC_MS)


def test_a_run_that_begins_tripped_says_so() -> None:
    log = _log()
    _tick(log, Mode.TRIPPED, cause=Reason(Rule.TRIP_UNREADABLE))
    assert [event.kind for event in _events(log)] == ["trip"]


def test_a_change_to_monitor_is_told_and_what_it_was_made_with_is_not() -> None:
    log = _log()
    _tick(log, Mode.SAFE, monitor=True)
    _tick(log, Mode.SAFE, monitor=False)
    (event,) = _events(log)
    assert (event.kind, event.data) == ("control", {"to": "enforce"})


def test_refusals_are_told_up_to_a_rate_and_the_rest_is_counted() -> None:
    log = _log()
    for _ in range(REFUSALS_BURST + 7):
        log.refused(Refusal("expired", "ops", "arm", "c1"), T0, UTC_MS)
    told = _events(log)
    assert len(told) == REFUSALS_BURST
    assert told[0].data == {"reason": "expired", "kid": "ops", "op": "arm", "id": "c1"}
    log.refused(Refusal("bad_signature"), T0 + REFUSAL_EVERY_NS, UTC_MS)
    assert _events(log)[-1].data == {"reason": "bad_signature", "untold": 7}
    log.refused(Refusal("bad_signature"), T0 + 2 * REFUSAL_EVERY_NS, UTC_MS)
    assert _events(log)[-1].data == {"reason": "bad_signature"}


def test_what_one_gateway_has_not_kept_is_told_to_the_next() -> None:
    log = _log()
    for mode in (Mode.ARMING, Mode.ACTIVE, Mode.HOLDING):
        _tick(log, mode)
    log.sent(3)
    log.kept(EventsKept("b1", 1))
    assert log.unsent() == []
    log.send_again()
    assert [event.seq for event in _events(log)] == [2, 3]


def test_a_confirmation_of_another_run_confirms_nothing() -> None:
    log = _log()
    _tick(log, Mode.ARMING)
    log.kept(EventsKept("b0", 9))
    assert [event.seq for event in _events(log)] == [1]


def test_the_log_is_bounded_and_a_missing_number_shows_it() -> None:
    log = _log()
    for number in range(KEPT + 5):
        _tick(log, Mode.ARMING if number % 2 else Mode.ACTIVE)
    seqs = [event.seq for event in _events(log)]
    assert (len(seqs), seqs[0], seqs[-1]) == (KEPT, 6, KEPT + 5)


@pytest.mark.parametrize("op", ["reset", "fly"])
def test_the_desk_tells_whose_command_it_refused(op: str) -> None:
    office = Office()
    refused = office.ask(op)
    (refusal,) = office.desk.take_refusals()
    assert refusal == Refusal(refused.reason, "ops", op, refused.id)
    assert office.desk.take_refusals() == []


def test_the_desk_believes_no_name_on_a_bad_signature() -> None:
    office = Office()
    office.hand_in(office.sealed("stop")[:-4] + b"xops")
    assert all((r.kid, r.op, r.id) == ("", "", "") for r in office.desk.take_refusals())
    office.ask("ping")
    assert office.desk.take_refusals() == []
