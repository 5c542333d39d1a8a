"""A value by hand: what is refused, whose it is, and the last word of every end."""

from typing import Any

import msgspec
import pytest

from edge_agent.client.outcome import Outcome
from edge_agent.core.records import Manual, Mode, Op
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import CALM, Office, S

SENSORS = len(ENVELOPE.sensors)
DAMPER = SENSORS + ENVELOPE.actuator_index["outdoor_damper"]
ARGS = {"channel": "outdoor_damper", "value": 40.0, "lease_s": 10.0}


def active(**configured: Any) -> Office:
    office = Office(**configured)
    office.shown = dict(CALM)
    office.tick(Mode.ACTIVE)
    return office


def ask(office: Office, kid: str = "ops", /, **changes: Any) -> Outcome:
    outer = {k: changes.pop(k) for k in ("id", "by", "dry") if k in changes}
    return office.ask("manual", kid, args=ARGS | changes, **outer)


def holds(office: Office, command: str, source: str = "plane:ops:alice", left_s: int = 9) -> None:
    """The next records say so."""
    office.manual = (Manual(DAMPER, 400, source, command, left_s * S),)


def under_way() -> Office:
    office = active()
    assert ask(office, id="one").st == "accepted"
    holds(office, "one")
    assert [a.st for a in office.tick(Mode.ACTIVE)[1]] == ["running"]
    return office


def test_it_is_given_to_the_agent_with_key_person_command_and_lease() -> None:
    office = active()
    ask(office, id="one")
    (intent,) = office.desk.intents(office.now_ns)
    assert (intent.op, intent.channel, intent.counts) == (Op.MANUAL, DAMPER, 400)
    assert (intent.lease_ns, intent.source, intent.command) == (10 * S, "plane:ops:alice", "one")


def test_it_runs_while_it_is_held_and_is_done_when_the_lease_has_ended() -> None:
    office = under_way()
    assert office.tick(Mode.HOLDING) == ([], [])
    office.manual = ()
    ops, (answer,) = office.tick(Mode.ACTIVE)
    assert (ops, answer.id, answer.st) == ([], "one", "done")


def test_a_renewal_is_the_end_of_the_one_before() -> None:
    office = under_way()
    assert ask(office, id="two").st == "accepted"
    holds(office, "two")
    _, answers = office.tick(Mode.ACTIVE)
    assert [(a.id, a.st) for a in answers] == [("one", "done"), ("two", "running")]


@pytest.mark.parametrize("mode", [Mode.RAMPING, Mode.TRIPPED, Mode.SAFE])
def test_a_mode_that_ends_it_is_its_failure(mode: Mode) -> None:
    office = under_way()
    office.manual = ()
    _, (answer,) = office.tick(mode)
    assert (answer.st, answer.reason, answer.why["mode"]) == ("failed", "ended", mode.name)


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.TRIPPED])
def test_what_the_agent_never_held_is_not_done(mode: Mode) -> None:
    office = active()
    ask(office, id="one")
    _, (answer,) = office.tick(mode)
    assert (answer.st, answer.reason) == ("failed", "not_taken")


def test_one_that_another_was_given_first_is_not_taken() -> None:
    office = active()
    ask(office, id="one")
    ask(office, id="two", by="bob")
    holds(office, "one")
    _, answers = office.tick(Mode.ACTIVE)
    assert [(a.id, a.st) for a in answers] == [("one", "running"), ("two", "failed")]


def test_a_cancel_releases_it_in_the_next_tick() -> None:
    office = under_way()
    assert office.ask("cancel", args={"id": "one"}).data["cancelled"]
    _, (answer,) = office.tick(Mode.ACTIVE)
    assert (answer.id, answer.st) == ("one", "cancelled")
    (intent,) = office.desk.intents(office.now_ns)
    assert (intent.op, intent.channel, intent.command) == (Op.RELEASE, DAMPER, "one")


def test_one_that_the_agent_never_lets_go_ends_by_the_desks_own_time() -> None:
    office = under_way()
    _, (answer,) = office.tick(Mode.ACTIVE, dt_ns=22 * S)
    assert (answer.st, answer.reason) == ("failed", "timeout")
    assert office.tick(Mode.ACTIVE)[0] == [Op.RELEASE]


@pytest.mark.parametrize(("kid", "by"), [("bench", "alice"), ("ops", "bob"), ("ops", "")])
def test_another_key_or_person_is_told_whose_it_is(kid: str, by: str) -> None:
    office = active()
    holds(office, "one", f"plane:{'halt' if kid == 'bench' else 'ops'}:carol", left_s=3)
    office.tick(Mode.ACTIVE)
    refused = ask(office, by=by)
    assert (refused.st, refused.reason) == ("rejected", "held")
    assert refused.why["by"].endswith(":carol")
    assert (refused.why["id"], refused.why["left_ms"]) == ("one", 3000)
    assert ask(office, channel="supply_fan").st == "accepted"


@pytest.mark.parametrize(
    ("value", "limit"), [(100.1, 100.0), (-0.1, 0.0), (1e300, 100.0), (float("inf"), 100.0)]
)
def test_a_value_outside_the_envelope_is_refused_with_limit_and_value(
    value: float, limit: float
) -> None:
    answer = ask(active(), value=value)
    assert (answer.reason, answer.why["limit"], answer.why["value"]) == ("envelope", limit, value)
    assert answer.why["unit"] == "percent"


def test_no_number_is_outside_the_envelope() -> None:
    office = active()
    assert ask(office, value=float("nan")).reason == "envelope"
    assert office.tick(Mode.ACTIVE)[0] == []


@pytest.mark.parametrize(
    "change",
    [
        {"value": "40"},
        {"value": None},
        {"value": True},
        {"value": [40.0]},
        {"lease_s": 0},
        {"lease_s": -1},
        {"lease_s": 60.1},
        {"lease_s": float("nan")},
        {"lease_s": float("inf")},
        {"lease_s": None},
        {"channel": ""},
        {"channel": "x" * 65},
        {"extra": 1},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    office = active()
    assert ask(office, **change).reason == "bad_args"
    assert office.tick(Mode.ACTIVE)[0] == []


@pytest.mark.parametrize("channel", ["supply_setpoint", "mixed_temperature", "nothing"])
def test_a_sensor_cannot_be_held(channel: str) -> None:
    refused = ask(active(), channel=channel)
    assert (refused.reason, refused.why["settable"]) == (
        "bad_args",
        sorted(ENVELOPE.actuator_index),
    )


def test_a_lease_is_required() -> None:
    args = {k: v for k, v in ARGS.items() if k != "lease_s"}
    assert active().ask("manual", args=args).reason == "bad_args"


@pytest.mark.parametrize("mode", [m for m in Mode if m != Mode.ACTIVE])
def test_it_needs_a_device_that_is_active(mode: Mode) -> None:
    office = Office()
    office.tick(mode)
    assert ask(office).reason == "wrong_state"


def test_before_the_first_tick_there_is_nothing_to_hold() -> None:
    assert ask(Office()).reason == "wrong_state"


def test_a_stop_key_cannot_hold_anything() -> None:
    assert ask(active(), "halt").reason == "not_authorized"


def test_what_is_configured_at_the_device_comes_first() -> None:
    office = active(monitor_only=True)
    refused = ask(office)
    assert (refused.reason, refused.why["control"]) == ("local_control", "monitor")
    kept = active(local_only=("manual", "arm"))
    assert (ask(kept).reason, ask(kept).why["op"]) == ("local_control", "manual")
    assert kept.ask("arm").reason == "local_control"
    assert kept.ask("stop", "halt").st == "accepted"


def test_in_monitor_there_is_nothing_to_hold() -> None:
    office = active()
    office.monitor = True
    office.tick(Mode.ACTIVE)
    refused = ask(office)
    assert (refused.reason, refused.why["control"]) == ("wrong_state", "monitor")


@pytest.mark.parametrize(
    ("sensor", "counts", "channel", "which"),
    [
        ("fan_status", 0, "heating_valve", "airflow"),
        ("mixed_temperature", 299, "outdoor_damper", "freeze"),
    ],
)
def test_where_an_interlock_holds_it_elsewhere_it_is_refused_with_its_name(
    sensor: str, counts: int, channel: str, which: str
) -> None:
    office = active()
    office.shown[ENVELOPE.sensor_index[sensor]] = counts
    office.tick(Mode.ACTIVE)
    refused = ask(office, channel=channel)
    assert (refused.reason, refused.why["which"], refused.why["channel"]) == (
        "interlock",
        which,
        sensor,
    )
    assert ask(office, channel=channel, value=0).st == "accepted"  # where it holds it anyway
    assert ask(office, channel="supply_fan").st == "accepted"


def test_a_dry_run_holds_nothing() -> None:
    office = active()
    assert ask(office, dry=True).data["dry"]
    assert ask(office, dry=True, value=101).reason == "envelope"
    assert office.tick(Mode.ACTIVE)[0] == []


def test_the_answer_says_no_more_than_the_schema() -> None:
    office = active()
    body = msgspec.msgpack.decode(office.hand_in(office.sealed("manual", args=ARGS)).body)
    assert set(body) == {"id", "st", "boot", "seq", "at"}
