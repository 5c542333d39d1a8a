"""Keys of both kinds, and a keyring that changes while commands are under way."""

import msgspec
import pytest

from edge_agent.authority.ed25519 import public_of, sign
from edge_agent.authority.keyring import Key, Keyring
from edge_agent.authority.seal import Sealed, seal
from edge_agent.core.records import Manual, Mode, Op
from tests.unit.authority.office import KEYRING, SECRETS, TOPIC, Office, S, outcome
from tests.unit.authority.test_desk_manual import ARGS, DAMPER, active

FRESH = b"f" * 32


def without(kid: str) -> Keyring:
    return Keyring(2, {k: key for k, key in KEYRING.keys.items() if k != kid})


def changed(kid: str, key: Key) -> Keyring:
    return Keyring(2, {**KEYRING.keys, kid: key})


def _dropped(office: Office, sealed: bytes) -> str:
    assert office.hand_in(sealed).body == b""
    assert office.tick()[0] == []
    (name,) = office.desk.counters()
    return name


def test_an_ed25519_command_is_followed_and_names_its_key() -> None:
    office = Office()
    assert office.ask("arm", "signer").st == "accepted"
    (intent,) = office.desk.intents(office.now_ns)
    assert (intent.op, intent.source) == (Op.ARM, "plane:signer:alice")


@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_an_ed25519_signature_with_one_bit_wrong_is_dropped(at: int) -> None:
    office = Office()
    sealed = msgspec.msgpack.decode(office.sealed("arm", "signer"), type=Sealed)
    sig = bytearray(sealed.sig)
    sig[at] ^= 1
    bad = msgspec.msgpack.encode(Sealed(sealed.body, bytes(sig), "signer"))
    assert _dropped(office, bad) == "dropped.bad_signature"


@pytest.mark.parametrize("sig", [b"", b"x", b"x" * 32, b"x" * 65, b"x" * 4000])
def test_an_ed25519_signature_of_another_length_is_dropped(sig: bytes) -> None:
    office = Office()
    body = msgspec.msgpack.encode(office.body("arm"))
    assert _dropped(office, msgspec.msgpack.encode(Sealed(body, sig, "signer"))) == (
        "dropped.bad_signature"
    )


def test_what_everybody_knows_of_a_key_signs_nothing() -> None:
    office = Office()
    body = msgspec.msgpack.encode(office.body("arm"))
    public = public_of(SECRETS["signer"])
    assert _dropped(office, seal(public, "signer", TOPIC, body)) == "dropped.bad_signature"


def test_an_ed25519_command_for_another_topic_or_without_its_context_is_dropped() -> None:
    office = Office()
    other = office.sealed("arm", "signer", topic="ed/v1/ahu-8/cmd")
    assert _dropped(office, other) == "dropped.bad_signature"
    body = msgspec.msgpack.encode(office.body("arm"))
    bare = Sealed(body, sign(SECRETS["signer"], body), "signer")
    office.hand_in(msgspec.msgpack.encode(bare))
    assert office.count("dropped.bad_signature") == 2


def test_a_withdrawn_key_is_unknown_from_the_next_command_on() -> None:
    office = Office()
    office.desk.replace_keyring(without("ops"))
    assert _dropped(office, office.sealed("arm")) == "dropped.unknown_key"


def test_a_new_key_is_known_and_an_old_secret_of_the_same_name_is_not() -> None:
    office = Office()
    office.desk.replace_keyring(changed("ops", Key(FRESH, frozenset({"cmd"}), frozenset())))
    body = msgspec.msgpack.encode(office.body("ping"))
    assert outcome(office.hand_in(seal(FRESH, "ops", TOPIC, body))).st == "done"
    assert office.hand_in(office.sealed("ping")).body == b""
    assert office.count("dropped.bad_signature") == 1


def test_a_counter_that_was_used_stays_used_whatever_the_keyring() -> None:
    office = Office()
    office.ask("ping", ctr=100)
    office.desk.replace_keyring(without("ops"))
    office.desk.replace_keyring(KEYRING)
    assert office.ask("ping", ctr=100).reason == "replayed"


@pytest.mark.parametrize(
    "keyring",
    [
        without("ops"),
        changed("ops", Key(FRESH, frozenset({"cmd"}), frozenset())),
        changed("ops", Key(SECRETS["ops"], frozenset({"stop"}), frozenset())),
        changed("ops", Key(SECRETS["ops"], frozenset({"cmd"}), frozenset({"arm"}))),
    ],
    ids=["gone", "another secret", "another role", "other operations"],
)
def test_what_a_key_holds_ends_with_its_right_to(keyring: Keyring) -> None:
    office = active()
    assert office.ask("manual", args=ARGS, id="one").st == "accepted"
    office.manual = (Manual(DAMPER, 400, "plane:ops:alice", "one", 9 * S),)
    office.tick(Mode.ACTIVE)
    office.desk.replace_keyring(keyring)
    _, (answer,) = office.tick(Mode.ACTIVE)
    assert (answer.id, answer.st) == ("one", "cancelled")
    assert office.tick(Mode.ACTIVE)[0] == [Op.RELEASE]


def test_what_makes_safe_is_not_taken_back_with_its_key() -> None:
    office = Office()
    office.tick(Mode.ACTIVE)
    office.ask("stop")
    office.ask("disarm")
    office.desk.replace_keyring(without("ops"))
    assert office.tick(Mode.TRIPPED)[0] == [Op.STOP, Op.DISARM]


def test_a_key_that_is_withdrawn_twice_while_its_command_runs_does_no_harm() -> None:
    office = Office()
    office.tick(Mode.ACTIVE)
    office.ask("disarm")
    office.tick(Mode.RAMPING)  # it cannot be taken back
    for keyring in (without("ops"), without("ops"), KEYRING, without("ops")):
        office.desk.replace_keyring(keyring)
    assert [a.st for a in office.tick(Mode.SAFE)[1]] == ["done"]


def test_what_others_began_goes_on() -> None:
    office = Office()
    office.ask("arm", "signer")
    office.desk.replace_keyring(without("ops"))
    assert office.tick(Mode.ACTIVE)[0] == [Op.ARM]
