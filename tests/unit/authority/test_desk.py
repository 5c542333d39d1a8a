"""What is followed: the life of a command from its arrival to its last answer."""

import pytest

from edge_agent.authority.memory import KEPT
from edge_agent.authority.topics import ALL_STOP
from edge_agent.client.outcome import Outcome
from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.decision.words import explain_reason
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import MS, Office, S, outcome


def test_an_arm_is_accepted_runs_and_is_done() -> None:
    office = Office()
    assert office.ask("arm").st == "accepted"
    ops, (running,) = office.tick(Mode.ARMING)
    assert (ops, running.st, running.why["mode"]) == ([Op.ARM], "running", "ARMING")
    assert office.tick(Mode.ARMING) == ([], [])
    ops, (done,) = office.tick(Mode.ACTIVE)
    assert (ops, done.st, done.data) == ([], "done", {"mode": "ACTIVE"})
    assert office.tick(Mode.ACTIVE) == ([], [])


@pytest.mark.parametrize(
    ("op", "before", "after", "intent"),
    [
        ("disarm", Mode.ACTIVE, Mode.SAFE, Op.DISARM),
        ("disarm", Mode.TRIPPED, Mode.TRIPPED, Op.DISARM),
        ("stop", Mode.ACTIVE, Mode.TRIPPED, Op.STOP),
        ("stop", Mode.TRIPPED, Mode.TRIPPED, Op.STOP),
        ("reset", Mode.TRIPPED, Mode.SAFE, Op.RESET),
        ("arm", Mode.ACTIVE, Mode.ACTIVE, Op.ARM),
    ],
)
def test_an_operation_that_a_tick_completes_is_done(
    op: str, before: Mode, after: Mode, intent: Op
) -> None:
    office = Office()
    office.tick(before)
    office.ask(op)
    ops, (answer,) = office.tick(after)
    assert (ops, answer.st, answer.data["mode"]) == ([intent], "done", after.name)


def test_a_disarm_runs_while_the_outputs_go_to_safe() -> None:
    office = Office()
    office.tick(Mode.ACTIVE)
    office.ask("disarm")
    assert [a.st for a in office.tick(Mode.RAMPING)[1]] == ["running"]
    assert [a.st for a in office.tick(Mode.SAFE)[1]] == ["done"]


def test_a_reset_that_the_agent_refuses_fails_with_the_cause() -> None:
    office = Office()
    cause = Reason(Rule.INTERLOCK, 0, 6100)
    office.tick(Mode.TRIPPED, cause)
    office.ask("reset")
    _, (answer,) = office.tick(Mode.TRIPPED, cause)
    assert (answer.st, answer.reason) == ("failed", "not_taken")
    assert answer.why["cause"] == {
        "rule": "INTERLOCK",
        "channel": "supply_temperature",
        "number": 6100,
        "text": explain_reason(cause, ENVELOPE),
    }


def test_an_arm_that_is_not_done_in_time_fails_and_is_taken_back() -> None:
    office = Office()
    office.ask("arm", args={"within_s": 0.5})
    office.tick(Mode.ARMING)
    _, (answer,) = office.tick(Mode.ARMING, dt_ns=S)
    assert (answer.st, answer.reason) == ("failed", "timeout")
    assert office.tick(Mode.SAFE)[0] == [Op.DISARM]


def test_an_arm_that_ends_on_the_way_to_safe_does_not_come_back_by_itself() -> None:
    office = Office()
    office.ask("arm")
    office.tick(Mode.ARMING)
    _, (answer,) = office.tick(Mode.RAMPING)
    assert answer.reason == "not_taken"
    assert office.tick(Mode.RAMPING)[0] == [Op.DISARM]


def test_an_arm_that_meets_a_trip_fails_and_needs_nothing_taken_back() -> None:
    office = Office()
    office.ask("arm")
    _, (answer,) = office.tick(Mode.TRIPPED)
    assert answer.reason == "not_taken"
    assert office.tick(Mode.TRIPPED)[0] == []


def test_a_stop_reaches_the_same_tick_as_what_was_accepted_before() -> None:
    office = Office()
    office.ask("arm")
    office.ask("stop", "halt")
    ops, answers = office.tick(Mode.TRIPPED)
    assert ops == [Op.ARM, Op.STOP]
    assert [a.st for a in answers] == ["failed", "done"]


def test_an_intent_names_the_key_and_the_person() -> None:
    office = Office()
    office.ask("arm")
    office.ask("stop", "halt", by="")
    assert [i.source for i in office.desk.intents(office.now_ns)] == [
        "plane:ops:alice",
        "plane:halt",
    ]


def test_a_ping_is_answered_at_once_with_the_mode() -> None:
    office = Office()
    office.tick(Mode.HOLDING, Reason(Rule.LATE, -1, 9))
    answer = office.ask("ping")
    assert (answer.st, answer.data["mode"]) == ("done", "HOLDING")
    assert answer.data["cause"]["rule"] == "LATE"


def test_a_query_tells_what_became_of_a_command() -> None:
    office = Office()
    office.ask("arm", id="one")
    assert office.ask("query", args={"id": "one"}).data == {"id": "one", "st": "accepted"}
    office.tick(Mode.ACTIVE)
    assert office.ask("query", args={"id": "one"}).data["st"] == "done"
    assert office.ask("query", args={"id": "two"}).data["st"] == "unknown"


def test_a_dry_run_says_what_would_happen_and_does_nothing() -> None:
    office = Office()
    answer = office.ask("arm", dry=True)
    assert (answer.st, answer.data) == ("done", {"dry": True, "mode": "SAFE"})
    assert office.ask("reset", dry=True).reason == "wrong_state"
    assert office.tick()[0] == []


def test_a_copy_of_a_command_gets_the_same_answer_and_is_not_followed_again() -> None:
    office = Office()
    sealed = office.sealed("arm")
    first = office.hand_in(sealed)
    copy = office.hand_in(sealed)
    assert (copy.row, copy.body) == (first.row + 1, first.body)
    ops, answers = office.tick(Mode.ACTIVE)
    assert (ops, [a.st for a in answers]) == ([Op.ARM], ["done"])
    assert office.answers[-1].row == copy.row  # the end goes to who asked last
    again = office.hand_in(sealed)
    assert (again.final, again.body) == (True, office.answers[-2].body)
    assert office.tick(Mode.ACTIVE)[0] == []


def test_answers_are_numbered_without_gaps() -> None:
    office = Office()
    office.ask("arm")
    office.ask("ping")
    office.tick(Mode.ACTIVE)
    office.ask("reset")
    numbers = [outcome(a).seq for a in office.answers]
    assert numbers == [1, 2, 3, 4]


def test_the_memory_is_bounded_and_a_forgotten_command_is_still_refused() -> None:
    office = Office()
    sealed = office.sealed("ping")
    office.hand_in(sealed)
    for _ in range(KEPT):
        office.ask("ping")
    assert outcome(office.hand_in(sealed)).reason == "replayed"


def test_time_in_an_answer_is_the_time_of_its_judgement() -> None:
    office = Office()
    office.now_ns += 5 * MS
    assert office.ask("ping").at == office.now_ns


def test_every_answer_has_a_sentence() -> None:
    assert Outcome(id="a", st="done", boot="b", seq=1, at=0).sentence() == "done"
    office = Office()
    office.tick(Mode.TRIPPED, Reason(Rule.STOP_REQUESTED))
    text = office.ask("arm").sentence()
    assert text == (
        "rejected: not possible in the mode that the device is in"
        " (mode TRIPPED, cause a person requested a stop)"
    )


def test_a_goal_is_set_and_done_when_the_agent_goes_by_it() -> None:
    office = Office()
    assert (
        office.ask("set-goal", args={"channel": "supply_setpoint", "value": 15.5}).st == "accepted"
    )
    (intent,) = office.desk.intents(office.now_ns)
    assert (intent.op, ENVELOPE.sensors[intent.channel].name) == (Op.SET_GOAL, "supply_setpoint")
    assert intent.counts == 1550
    assert [a.st for a in office.tick()[1]] == ["running"]  # the record shows another value
    office.shown = {intent.channel: 1550}
    assert [a.st for a in office.tick()[1]] == ["done"]


def test_a_goal_that_the_agent_does_not_go_by_fails() -> None:
    office = Office()
    office.ask("set-goal", args={"channel": "supply_setpoint", "value": 15.5})
    office.tick()
    _, (answer,) = office.tick(dt_ns=2 * S)
    assert (answer.st, answer.reason) == ("failed", "timeout")


def test_a_goal_is_cleared() -> None:
    office = Office()
    office.ask("set-goal", args={"channel": "supply_setpoint", "value": None})
    ops, (answer,) = office.tick()
    assert (ops, answer.st) == ([Op.CLEAR_GOAL], "done")


@pytest.mark.parametrize(
    ("value", "limit"), [(95.0, 40.0), (-3.0, 5.0), (float("inf"), 40.0), (40.01, 40.0)]
)
def test_a_goal_outside_the_envelope_is_refused_with_limit_and_value(
    value: float, limit: float
) -> None:
    answer = Office().ask("set-goal", args={"channel": "supply_setpoint", "value": value})
    assert (answer.st, answer.reason) == ("rejected", "envelope")
    assert (answer.why["limit"], answer.why["value"], answer.why["unit"]) == (limit, value, "degC")


def test_a_band_is_set_and_done_when_the_wish_is_inside() -> None:
    office = Office()
    args = {"channel": "supply_setpoint", "low": 14, "high": 17.0}
    assert office.ask("set-goal", args=args).st == "accepted"
    (intent,) = office.desk.intents(office.now_ns)
    assert (intent.op, intent.counts, intent.high_counts) == (Op.SET_BAND, 1400, 1700)
    office.shown = {intent.channel: 1701}
    assert [a.st for a in office.tick()[1]] == ["running"]
    office.shown = {intent.channel: 1600}
    assert [a.st for a in office.tick()[1]] == ["done"]


@pytest.mark.parametrize(
    ("low", "high", "limit"), [(4.9, 17.0, 5.0), (14.0, 40.1, 40.0), (float("nan"), 17.0, 40.0)]
)
def test_a_band_that_leaves_the_envelope_is_refused_with_the_limit(
    low: float, high: float, limit: float
) -> None:
    args = {"channel": "supply_setpoint", "low": low, "high": high}
    refused = Office().ask("set-goal", args=args)
    assert (refused.reason, refused.why["limit"]) == ("envelope", limit)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"low": 14.0},
        {"high": 17.0},
        {"low": 17.0, "high": 14.0},
        {"low": 14.0, "high": 17.0, "value": 15.0},
        {"low": 14.0, "high": 17.0, "value": None},
        {"value": 15.0, "low": 14.0},
        {"value": None, "high": 17.0},
        {"low": None, "high": 17.0},
        {"low": "14", "high": 17.0},
    ],
    ids=str,
)
def test_a_goal_is_a_value_or_a_whole_band(args: dict[str, object]) -> None:
    office = Office()
    refused = office.ask("set-goal", args={"channel": "supply_setpoint", **args})
    assert refused.reason == "bad_args"
    assert office.tick()[0] == []


def test_a_goal_that_is_no_number_is_refused() -> None:
    args = {"channel": "supply_setpoint", "value": float("nan")}
    assert Office().ask("set-goal", args=args).reason == "envelope"


@pytest.mark.parametrize("channel", ["mixed_temperature", "supply_fan", "nothing"])
def test_a_measurement_or_an_actuator_takes_no_goal(channel: str) -> None:
    answer = Office().ask("set-goal", args={"channel": channel, "value": 15.0})
    assert (answer.reason, answer.why["settable"]) == ("bad_args", ["supply_setpoint"])


def test_a_command_that_was_not_begun_is_cancelled_and_never_given() -> None:
    office = Office()
    office.ask("disarm", id="one")
    assert office.ask("cancel", args={"id": "one"}).data == {"id": "one", "cancelled": True}
    ops, (answer,) = office.tick(Mode.ACTIVE)
    assert (ops, answer.id, answer.st, answer.final) == ([], "one", "cancelled", True)


def test_an_arm_under_way_is_cancelled_and_taken_back() -> None:
    office = Office()
    office.ask("arm", id="one")
    office.tick(Mode.ARMING)
    assert office.ask("cancel", args={"id": "one"}).data["cancelled"]
    assert [a.st for a in office.tick(Mode.ARMING)[1]] == ["cancelled"]
    assert office.tick(Mode.SAFE) == ([Op.DISARM], [])


def test_a_cancel_that_comes_too_late_says_so() -> None:
    office = Office()
    office.tick(Mode.ACTIVE)
    office.ask("disarm", id="one")
    office.tick(Mode.RAMPING)
    told = {"id": "one", "cancelled": False, "st": "running"}
    assert office.ask("cancel", args={"id": "one"}).data == told
    assert [a.st for a in office.tick(Mode.SAFE)[1]] == ["done"]
    assert office.ask("cancel", args={"id": "two"}).data["st"] == "unknown"


def test_what_is_done_in_the_tick_of_its_cancel_is_done() -> None:
    office = Office()
    office.ask("arm", id="one")
    office.tick(Mode.ARMING)
    office.ask("cancel", args={"id": "one"})
    assert [a.st for a in office.tick(Mode.ACTIVE)[1]] == ["done"]


def _all_stop(office: Office, kid: str = "halt", **changes: object) -> Outcome:
    values = {"dev": "_all", "boot": None, "sess": None} | changes
    op = str(values.pop("op", "stop"))
    sealed = office.sealed(op, kid, topic=ALL_STOP, **values)
    return outcome(office.hand_in(sealed, topic=ALL_STOP))


def test_an_all_stop_needs_no_session_and_stops() -> None:
    office = Office()
    assert _all_stop(office).st == "accepted"
    ops, (answer,) = office.tick(Mode.TRIPPED)
    assert (ops, answer.st) == ([Op.STOP], "done")


@pytest.mark.parametrize("change", [{"op": "arm"}, {"op": "reset"}, {"dev": "ahu-7"}], ids=str)
def test_the_all_stop_topic_takes_a_stop_for_all_and_nothing_else(change: dict[str, str]) -> None:
    office = Office()
    assert _all_stop(office, "ops", **change).reason == "wrong_device"
    assert office.tick()[0] == []


def test_an_all_stop_that_is_retained_or_replayed_is_refused() -> None:
    office = Office()
    sealed = office.sealed("stop", "halt", topic=ALL_STOP, dev="_all")
    assert outcome(office.hand_in(sealed, topic=ALL_STOP, retained=True)).reason == "retained"
    assert _all_stop(office, ctr=5).st == "accepted"
    assert _all_stop(office, ctr=5).reason == "replayed"


def test_a_key_without_the_role_cannot_stop_all() -> None:
    assert _all_stop(Office(), "pinger").reason == "not_authorized"


def test_a_stop_for_all_on_a_device_topic_is_for_another_device() -> None:
    assert Office().ask("stop", dev="_all").reason == "wrong_device"


@pytest.mark.parametrize(("control", "op"), [("monitor", Op.MONITOR), ("enforce", Op.ENFORCE)])
def test_the_mode_is_changed_while_the_device_is_safe(control: str, op: Op) -> None:
    office = Office()
    office.ask("mode", args={"control": control})
    office.monitor = control == "monitor"
    ops, (answer,) = office.tick(Mode.SAFE)
    assert (ops, answer.st) == ([op], "done")


def test_a_mode_that_the_agent_does_not_take_fails() -> None:
    office = Office()
    office.ask("mode", args={"control": "monitor"})
    _, (answer,) = office.tick(Mode.SAFE)
    assert (answer.st, answer.reason) == ("failed", "not_taken")


@pytest.mark.parametrize("mode", [m for m in Mode if m != Mode.SAFE])
def test_the_mode_is_not_changed_while_anything_may_move(mode: Mode) -> None:
    office = Office()
    office.tick(mode)
    assert office.ask("mode", args={"control": "enforce"}).reason == "wrong_state"


def test_a_monitor_that_is_configured_at_the_device_is_not_lifted_from_afar() -> None:
    office = Office(monitor_only=True)
    refused = office.ask("mode", args={"control": "enforce"})
    assert (refused.reason, refused.why["control"]) == ("local_control", "monitor")
    assert office.ask("mode", args={"control": "monitor"}).st == "accepted"


def test_another_mode_is_none() -> None:
    assert Office().ask("mode", args={"control": "yolo"}).reason == "bad_args"
