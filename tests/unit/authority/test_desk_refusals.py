"""What is not followed, and that each refusal has its reason and its count."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.authority.admission import MAX_PENDING
from edge_agent.authority.seal import Sealed, seal
from edge_agent.authority.sessions import RENEW_EVERY_NS
from edge_agent.core.command_ipc import MAX_SEALED_BYTES
from edge_agent.core.records import Mode, Op
from tests.unit.authority.office import MS, SECRETS, TOPIC, Office, S, outcome


def _dropped(office: Office, sealed: bytes, cause: str) -> None:
    answer = office.hand_in(sealed)
    assert (answer.final, answer.body) == (True, b"")
    assert office.desk.counters() == {f"dropped.{cause}": 1}
    assert office.tick()[0] == []


def test_a_tampered_body_is_dropped_and_never_answered() -> None:
    office = Office()
    body, sig, kid = msgspec.msgpack.decode(office.sealed("arm"))
    _dropped(
        office, msgspec.msgpack.encode([body.replace(b"arm", b"ARM"), sig, kid]), "bad_signature"
    )


def test_a_tampered_signature_is_dropped() -> None:
    office = Office()
    body, sig, kid = msgspec.msgpack.decode(office.sealed("arm"))
    _dropped(office, msgspec.msgpack.encode([body, sig[:-1] + b"\0", kid]), "bad_signature")


def test_a_short_signature_is_dropped() -> None:
    office = Office()
    body, _sig, kid = msgspec.msgpack.decode(office.sealed("arm"))
    _dropped(office, msgspec.msgpack.encode([body, b"", kid]), "bad_signature")


def test_an_unknown_key_is_dropped() -> None:
    office = Office()
    _dropped(office, seal(b"x" * 32, "mallory", TOPIC, b"\x80"), "unknown_key")


def test_another_key_under_a_known_name_is_dropped() -> None:
    office = Office()
    body = msgspec.msgpack.encode(office.body("arm"))
    _dropped(office, seal(b"x" * 32, "ops", TOPIC, body), "bad_signature")


def test_a_command_signed_for_another_topic_is_dropped() -> None:
    office = Office()
    _dropped(office, office.sealed("arm", topic="ed/v1/ahu-8/cmd"), "bad_signature")


def test_an_oversized_message_is_dropped_before_it_is_opened() -> None:
    office = Office()
    _dropped(office, office.sealed("arm", by="x" * MAX_SEALED_BYTES), "oversized")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,  # nested deeper than anything
        b"\x93" * 2000,
        msgspec.msgpack.encode([b"", b""]),
        msgspec.msgpack.encode([b"", b"", "ops", 1]),
        msgspec.msgpack.encode(["", "", "ops"]),
        msgspec.msgpack.encode({"body": b"", "sig": b"", "kid": "ops"}),
        b"\x93\xc4\x00\xc4\x00\xa1\xff",  # a key id that is not UTF-8
    ],
)
def test_what_is_no_sealed_command_is_dropped(data: bytes) -> None:
    _dropped(Office(), data, "malformed")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x80", b"\x81" * 4000, b"\x91" * 4000, msgspec.msgpack.encode({"id": "x"})],
)
def test_a_signed_body_that_says_nothing_is_dropped(body: bytes) -> None:
    _dropped(Office(), seal(SECRETS["ops"], "ops", TOPIC, body), "bad_body")


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 65},
        {"id": 7},
        {"op": ""},
        {"ctr": -1},
        {"ctr": 2**53},
        {"ctr": 1.5},
        {"ttl": 0},
        {"ttl": 10_001},
        {"ttl": None},
        {"ctr": None},
        {"by": "x" * 65},
        {"age": -1},
        {"age": 60_001},
        {"age": 0.5},
        {"must": ["x"] * 17},
        {"dry": "yes"},
    ],
    ids=str,
)
def test_a_field_out_of_its_range_is_no_command(change: dict[str, Any]) -> None:
    office = Office()
    _dropped(office, office.sealed("ping", **change), "bad_body")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dev": "ahu-8"}, "wrong_device"),
        ({"boot": "0" * 16}, "stale_session"),
        ({"boot": None}, "stale_session"),
        ({"sess": "0" * 16}, "stale_session"),
        ({"sess": None}, "stale_session"),
        ({"sess": ""}, "stale_session"),
        ({"op": "self-destruct"}, "unknown_op"),
        ({"args": {"within_s": 0}}, "bad_args"),
        ({"args": {"within_s": 61}}, "bad_args"),
        ({"args": {"within_s": float("nan")}}, "bad_args"),
        ({"args": {"withn_s": 1}}, "bad_args"),
        ({"args": [1]}, "bad_args"),
        ({"args": {"within_s": [[[[]]]]}}, "bad_args"),
        ({"must": ["quorum"]}, "bad_args"),
    ],
    ids=str,
)
def test_a_genuine_command_that_does_not_fit_is_answered_with_the_reason(
    change: dict[str, Any], reason: str
) -> None:
    office = Office()
    answer = office.ask("arm", **change)
    assert (answer.st, answer.reason) == ("rejected", reason)
    assert office.count(f"rejected.{reason}") == 1
    assert office.tick()[0] == []


def test_a_retained_command_is_refused() -> None:
    office = Office()
    answer = outcome(office.hand_in(office.sealed("arm"), retained=True))
    assert answer.reason == "retained"
    assert office.tick()[0] == []


def test_a_command_that_came_too_late_is_refused() -> None:
    office = Office()
    sealed = office.sealed("arm", ttl=500)
    answer = outcome(office.hand_in(sealed, stamp_ns=office.now_ns - 501 * MS))
    assert (answer.reason, answer.why["age_ms"]) == ("expired", 501)


def test_an_age_makes_the_time_to_live_count_from_sending() -> None:
    office = Office()
    office.now_ns = office.desk.sessions.since_ns + 5000 * MS
    # It knew the session for 4 s when it sent this, so the ways took at most 1 s together.
    assert office.ask("ping", age=4000, ttl=1000).st == "done"
    refused = office.ask("ping", age=3999, ttl=1000)
    assert (refused.reason, refused.why["age_ms"]) == ("expired", 1001)


def test_an_age_counts_from_the_session_that_the_command_names() -> None:
    office = Office()
    first = office.desk.sessions.current
    office.now_ns += 9000 * MS
    office.desk.sessions = office.desk.sessions.renewed("a" * 16, office.now_ns)
    office.now_ns += 1000 * MS
    assert office.ask("ping", sess=first, age=8000, ttl=1000).reason == "expired"
    assert office.ask("ping", age=900, ttl=1000).st == "done"


def test_an_age_that_is_too_great_makes_no_command_younger_than_its_receipt() -> None:
    office = Office()
    sealed = office.sealed("arm", ttl=500, age=60_000)
    late = outcome(office.hand_in(sealed, stamp_ns=office.now_ns - 501 * MS))
    assert late.reason == "expired"
    office.hand_in(office.sealed("arm", ttl=500, age=60_000))
    assert office.tick(dt_ns=501 * MS)[0] == []


def test_a_command_at_its_limit_is_followed() -> None:
    office = Office()
    sealed = office.sealed("arm", ttl=500)
    assert outcome(office.hand_in(sealed, stamp_ns=office.now_ns - 500 * MS)).st == "accepted"


def test_a_stamp_from_the_future_makes_no_command_last_longer() -> None:
    office = Office()
    office.hand_in(office.sealed("arm", ttl=500), stamp_ns=office.now_ns + 3600 * S)
    assert office.tick(dt_ns=501 * MS)[0] == []


def test_an_accepted_command_that_no_tick_took_in_time_is_not_given_to_one() -> None:
    office = Office()
    office.ask("arm", ttl=50)
    ops, (answer,) = office.tick()
    assert ops == []
    assert (answer.st, answer.reason) == ("failed", "expired")


@pytest.mark.parametrize("counter", [1, 7])
def test_a_counter_that_does_not_grow_is_a_replay(counter: int) -> None:
    office = Office()
    assert office.ask("ping", ctr=7).st == "done"
    answer = office.ask("ping", ctr=counter)
    assert (answer.reason, answer.why["last"]) == ("replayed", 7)


def test_counters_of_two_keys_are_their_own() -> None:
    office = Office()
    assert office.ask("ping", "halt", ctr=2**53 - 1).st == "done"
    assert office.ask("ping", ctr=3).st == "done"


def test_a_refused_command_has_used_its_counter_up() -> None:
    office = Office()
    assert office.ask("reset", ctr=9).reason == "wrong_state"
    assert office.ask("ping", ctr=9).reason == "replayed"


def test_another_command_with_a_known_id_is_refused_and_changes_nothing() -> None:
    office = Office()
    office.ask("arm", id="one")
    assert office.ask("disarm", id="one").reason == "replayed"
    assert office.tick(Mode.ARMING)[0] == [Op.ARM]


@pytest.mark.parametrize(
    ("kid", "op", "state"),
    [
        ("halt", "stop", "accepted"),
        ("halt", "disarm", "accepted"),
        ("halt", "ping", "done"),
        ("halt", "arm", "rejected"),
        ("halt", "reset", "rejected"),
        ("pinger", "ping", "done"),
        ("pinger", "stop", "rejected"),
        ("pinger", "query", "rejected"),
    ],
)
def test_a_key_may_do_what_its_roles_and_operations_say(kid: str, op: str, state: str) -> None:
    office = Office()
    args = {"args": {"id": "x"}} if op == "query" else {}
    answer = office.ask(op, kid, **args)
    assert answer.st == state
    if state == "rejected":
        assert answer.reason == "not_authorized"


@pytest.mark.parametrize(
    ("op", "mode"),
    [
        ("arm", Mode.TRIPPED),
        ("arm", Mode.RAMPING),
        *(("reset", m) for m in Mode if m != Mode.TRIPPED),
    ],
)
def test_an_operation_is_refused_in_a_mode_that_it_does_not_fit(op: str, mode: Mode) -> None:
    office = Office()
    office.tick(mode)
    answer = office.ask(op)
    assert (answer.reason, answer.why["mode"]) == ("wrong_state", mode.name)


def test_more_than_a_few_unfinished_commands_are_refused_and_a_stop_is_not() -> None:
    office = Office()
    for _ in range(MAX_PENDING):
        assert office.ask("disarm").st == "accepted"
    assert office.ask("disarm").reason == "busy"
    assert office.ask("stop", "halt").st == "accepted"


def test_an_old_session_is_good_until_the_next_but_one() -> None:
    office = Office()
    first = office.desk.sessions.current
    office.desk.sessions = office.desk.sessions.renewed("a" * 16, office.now_ns)
    assert office.ask("ping", sess=first).st == "done"
    office.desk.sessions = office.desk.sessions.renewed("b" * 16, office.now_ns)
    assert office.ask("ping", sess=first).reason == "stale_session"


def test_a_new_connection_ends_every_session_before_it() -> None:
    office = Office()
    first = office.desk.sessions.current
    office.desk.sessions = office.desk.sessions.reconnected("a" * 16, office.now_ns, 4)
    assert office.ask("ping", sess=first).reason == "stale_session"
    assert (office.desk.standing.session, office.desk.standing.link) == ("a" * 16, 4)


def test_a_session_is_due_after_its_time() -> None:
    sessions = Office().desk.sessions
    assert not sessions.due(sessions.since_ns + RENEW_EVERY_NS - 1)
    assert sessions.due(sessions.since_ns + RENEW_EVERY_NS)


def test_an_unfinished_command_of_an_earlier_run_is_reported_and_not_run() -> None:
    office = Office()
    sealed = office.sealed("arm", boot="0" * 16)
    answer = outcome(office.hand_in(sealed, interrupted=True))
    assert (answer.st, answer.reason) == ("failed", "interrupted")
    assert office.tick()[0] == []


@given(st.binary(max_size=300))
def test_no_bytes_raise_or_are_answered(data: bytes) -> None:
    assert Office().hand_in(data).body == b""


@given(st.binary(max_size=200))
def test_no_signed_bytes_raise(body: bytes) -> None:
    office = Office()
    office.hand_in(seal(SECRETS["ops"], "ops", TOPIC, body))
    assert office.tick()[0] == []


def test_a_sealed_message_is_three_parts() -> None:
    data = msgspec.msgpack.encode(Sealed(b"b", b"s", "k"))
    assert msgspec.msgpack.decode(data) == [b"b", b"s", "k"]
