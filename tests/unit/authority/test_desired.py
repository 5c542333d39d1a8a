"""The desired state: all of a document or nothing, newer ones only, and never a command."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.authority.desired import DesiredState, Kept, Site
from edge_agent.authority.documents import Reported
from edge_agent.authority.keyring import Keyring
from edge_agent.authority.seal import seal
from edge_agent.authority.topics import topics_of
from edge_agent.core.records import Intent, Mode, Op
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import KEYRING, SECRETS, T0, record

TOPIC = topics_of("ahu-7").desired
SETPOINT = ENVELOPE.sensor_index["supply_setpoint"]
GOAL = "goal.supply_setpoint"


class Rig:
    """One run: documents in, intents and reports out, and an agent that takes every intent."""

    def __init__(self, kept: Kept | None = None, **changes: Any) -> None:
        values: dict[str, Any] = {
            "device_id": "ahu-7",
            "topic": TOPIC,
            "keyring": KEYRING,
            "limits": ENVELOPE,
            "boot": "b1",
            "control": "enforce",
            "rate_hz": 1.0,
            "local_only": frozenset(),
        }
        self.state = DesiredState(Site(**(values | changes)), kept)
        self.monitor = values["control"] == "monitor"
        self.last = Reported(boot="", ver=-1, keys={})
        self.read()

    def want(self, ver: int, kid: str = "ops", /, **wanted: Any) -> str:
        return self.state.receive(sealed(ver, kid, **wanted))

    def tick(self, *others: Intent, mode: Mode = Mode.SAFE) -> tuple[Intent, ...]:
        ours = self.state.intents()
        for intent in (*ours, *others):
            if mode == Mode.SAFE and intent.op in (Op.MONITOR, Op.ENFORCE):
                self.monitor = intent.op == Op.MONITOR
        self.state.watch(record(mode, T0, (*ours, *others), None, ({}, self.monitor)))
        self.read()
        return ours

    def read(self) -> Reported:
        """The newest report."""
        packed = self.state.report()
        if packed is not None:
            self.last = msgspec.msgpack.decode(packed, type=Reported)
        return self.last

    def key(self, name: str) -> tuple[Any, int | None]:
        found = self.read().keys[name]
        return found.v, found.ac


def sealed(ver: int, kid: str = "ops", /, **wanted: Any) -> bytes:
    values = {"dev": "ahu-7", "ver": ver, "by": "alice", "set": wanted}
    body = msgspec.msgpack.encode({k: v for k, v in values.items() if v is not None})
    return seal(SECRETS[kid], kid, TOPIC, body)


def _goal(value: float) -> dict[str, float]:
    return {GOAL: value}


def test_before_the_first_document_everything_is_as_configured() -> None:
    rig = Rig()
    assert (rig.last.boot, rig.last.ver, rig.last.refused) == ("b1", 0, None)
    assert rig.key("control") == ("enforce", None)
    assert rig.key("telemetry_rate_hz") == (1.0, None)
    assert rig.key(GOAL) == (None, None)
    assert rig.tick() == ()


def test_a_document_is_followed_key_by_key_and_reported() -> None:
    rig = Rig()
    assert rig.want(1, control="monitor", telemetry_rate_hz=0.5, **_goal(16.5)) == "applied"
    assert rig.key(GOAL) == (None, 202)
    ours = rig.tick()
    assert {(i.op, i.channel, i.counts) for i in ours if i.op == Op.SET_GOAL} == {
        (Op.SET_GOAL, SETPOINT, round(16.5 * ENVELOPE.sensors[SETPOINT].counts_per_unit))
    }
    assert {i.source for i in ours} == {"desired:ops:alice"}
    assert rig.key(GOAL) == (16.5, 200)
    assert rig.key("control") == ("monitor", 200)
    assert (rig.key("telemetry_rate_hz"), rig.state.rate_hz) == ((0.5, 200), 0.5)
    assert rig.last.ver == 1
    assert rig.tick() == ()


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({GOAL: 95.0}, 400),
        ({GOAL: -300}, 400),
        ({GOAL: math.nan}, 422),
        ({GOAL: math.inf}, 422),
        ({GOAL: "warm"}, 422),
        ({GOAL: None}, 422),
        ({"goal.supply_temperature": 16.5}, 422),
        ({"goal.outdoor_damper": 5}, 422),
        ({"telemetry_rate_hz": 0.0}, 422),
        ({"telemetry_rate_hz": 20.1}, 422),
        ({"control": "drive"}, 422),
        ({"control": 1}, 422),
        ({"arm": "now"}, 422),
        ({"mode": "ACTIVE"}, 422),
    ],
    ids=str,
)
def test_one_bad_key_refuses_the_whole_document_and_is_named(
    wanted: dict[str, Any], code: int
) -> None:
    rig = Rig()
    rig.want(1, **_goal(16.5))
    rig.tick()
    good = (
        {"telemetry_rate_hz": 2.0} if "telemetry_rate_hz" not in wanted else {"control": "monitor"}
    )
    assert rig.want(2, **good, **wanted) == "bad_keys"
    assert rig.tick() == ()
    assert (rig.last.ver, rig.state.rate_hz, rig.monitor) == (1, 1.0, False)
    assert rig.key(GOAL) == (16.5, 200)
    refused = rig.last.refused
    assert refused is not None
    assert (refused.ver, refused.reason) == (2, "bad_keys")
    assert {key: state.ac for key, state in refused.keys.items()} == dict.fromkeys(wanted, code)
    assert all(state.why for state in refused.keys.values())


@pytest.mark.parametrize("ver", [1, 4, 5])
def test_an_older_or_equal_version_is_refused(ver: int) -> None:
    rig = Rig()
    rig.want(5, **_goal(16.5))
    assert rig.want(ver, **_goal(17.0)) == "old_version"
    assert rig.last.ver != ver or ver == 5
    assert rig.read().refused is not None


def test_the_same_document_again_changes_nothing() -> None:
    rig = Rig()
    rig.want(1, **_goal(16.5))
    rig.tick()
    assert rig.want(1, **_goal(16.5)) == "known"
    assert rig.tick() == ()
    assert rig.read().refused is None


def test_what_is_not_genuine_or_not_this_keys_is_refused() -> None:
    rig = Rig()
    assert rig.state.receive(b"\x93" * 4000) == "malformed"
    assert rig.state.receive(b"x" * 9000) == "oversized"
    assert rig.state.receive(seal(SECRETS["ops"], "mallory", TOPIC, b"\x80")) == "unknown_key"
    assert rig.state.receive(seal(SECRETS["ops"], "ops", TOPIC, b"\x91" * 4000)) == "bad_body"
    on_cmd = seal(SECRETS["ops"], "ops", topics_of("ahu-7").cmd, b"\x80")
    assert rig.state.receive(on_cmd) == "bad_signature"
    assert rig.want(1, "halt", **_goal(16.5)) == "not_authorized"
    assert rig.want(1, "pinger", **_goal(16.5)) == "not_authorized"
    body = msgspec.msgpack.encode({"dev": "ahu-8", "ver": 1, "set": {}})
    assert rig.state.receive(seal(SECRETS["ops"], "ops", TOPIC, body)) == "wrong_device"
    assert rig.tick() == ()
    assert rig.last.ver == 0


def test_a_key_that_signs_in_public_is_as_good() -> None:
    values = msgspec.msgpack.encode({"dev": "ahu-7", "ver": 1, "set": _goal(16.5)})
    rig = Rig()
    assert (
        rig.state.receive(seal(SECRETS["signer"], "signer", TOPIC, values, "ed25519")) == "applied"
    )


def test_a_configured_monitor_is_never_lifted() -> None:
    rig = Rig(control="monitor")
    assert rig.want(1, control="enforce") == "bad_keys"
    refused = rig.read().refused
    assert refused is not None
    assert refused.keys["control"].ac == 409
    assert rig.want(2, control="monitor") == "applied"


@pytest.mark.parametrize(
    ("op", "wanted"), [("mode", {"control": "monitor"}), ("set-goal", _goal(16.5))]
)
def test_what_is_kept_for_people_at_the_device_cannot_be_desired(
    op: str, wanted: dict[str, Any]
) -> None:
    rig = Rig(local_only=frozenset({op}))
    assert rig.want(1, **wanted) == "bad_keys"
    refused = rig.read().refused
    assert refused is not None
    assert {state.ac for state in refused.keys.values()} == {409}


def test_a_change_of_control_waits_until_nothing_is_driven() -> None:
    rig = Rig()
    rig.tick(mode=Mode.ACTIVE)
    rig.want(1, control="monitor")
    assert rig.tick(mode=Mode.ACTIVE) == ()
    assert rig.key("control") == ("enforce", 202)
    rig.tick(mode=Mode.SAFE)  # it sees SAFE
    assert [i.op for i in rig.tick(mode=Mode.SAFE)] == [Op.MONITOR]
    assert rig.key("control") == ("monitor", 200)
    assert rig.tick() == ()


def test_a_command_is_the_newer_wish_until_it_is_cleared() -> None:
    rig = Rig()
    rig.want(1, **_goal(16.5))
    rig.tick()
    scale = ENVELOPE.sensors[SETPOINT].counts_per_unit
    rig.tick(Intent(Op.SET_GOAL, "plane:ops", SETPOINT, 18 * scale))
    assert rig.key(GOAL) == (18.0, 409)
    assert rig.tick() == ()
    rig.tick(Intent(Op.CLEAR_GOAL, "plane:ops", SETPOINT))
    assert [(i.op, i.counts) for i in rig.tick()] == [(Op.SET_GOAL, round(16.5 * scale))]
    assert rig.key(GOAL) == (16.5, 200)


def test_a_command_for_monitor_is_not_undone_by_an_older_wish() -> None:
    rig = Rig()
    rig.want(1, control="enforce")
    rig.tick()
    rig.tick(Intent(Op.MONITOR, "plane:ops"))
    assert rig.tick() == ()
    assert rig.key("control") == ("monitor", 409)
    rig.want(2, control="enforce")
    assert [i.op for i in rig.tick()] == [Op.ENFORCE]


def test_what_a_newer_document_leaves_out_is_as_configured_again() -> None:
    rig = Rig()
    rig.want(1, control="monitor", telemetry_rate_hz=5.0, **_goal(16.5))
    rig.tick()
    rig.want(2)
    assert {i.op for i in rig.tick()} == {Op.CLEAR_GOAL, Op.ENFORCE}
    assert (rig.monitor, rig.state.rate_hz, rig.key(GOAL)) == (False, 1.0, (None, None))


def test_the_last_good_document_holds_over_a_restart() -> None:
    rig = Rig()
    rig.want(3, control="monitor", **_goal(16.5))
    rig.want(4, arm="now")
    kept = rig.state.kept
    again = Rig(kept)
    assert again.last.ver == 3
    assert {i.op for i in again.tick()} == {Op.SET_GOAL, Op.MONITOR}
    assert again.want(2, **_goal(17.0)) == "old_version"


def test_a_kept_document_of_a_key_that_is_gone_is_not_followed_and_still_guards_its_version() -> (
    None
):
    rig = Rig()
    rig.want(3, **_goal(16.5))
    others = Keyring(2, {"halt": KEYRING.keys["halt"], "signer": KEYRING.keys["signer"]})
    again = Rig(rig.state.kept, keyring=others)
    assert again.tick() == ()
    assert again.last.refused is not None
    assert (again.last.ver, again.last.refused.reason) == (0, "unknown_key")
    body = msgspec.msgpack.encode({"dev": "ahu-7", "ver": 3, "set": {}})
    assert (
        again.state.receive(seal(SECRETS["signer"], "signer", TOPIC, body, "ed25519"))
        == "old_version"
    )
    again.state.replace_keyring(KEYRING)
    again.want(3, **_goal(16.5))
    assert again.read().ver == 3


@given(st.binary(max_size=300))
def test_no_bytes_raise_or_apply(data: bytes) -> None:
    rig = Rig()
    assert rig.state.receive(data) in {"malformed", "unknown_key", "bad_signature"}
    assert rig.state.receive(seal(SECRETS["ops"], "ops", TOPIC, data)) != "applied"
    assert rig.tick() == ()
