"""Every place where the plane takes bytes from somebody else, as a function of these bytes.

Owns: what must hold whatever the bytes are, and seeds that reach deep. Must not: seek; `plane.py`
does, with atheris, and a unit test gives each target its seeds. A claim that does not hold is an
exception, like one that the code under test raises itself.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast
from unittest.mock import patch

import msgspec

from edge_agent.authority.desired import DesiredState, Site
from edge_agent.authority.ed25519 import public_of
from edge_agent.authority.keyring import KEY_BYTES, KeyringDocument, KeyRow, parse_keyring
from edge_agent.authority.keyring import sign_document as signed
from edge_agent.authority.operations import OPERATIONS
from edge_agent.authority.seal import open_seal, seal
from edge_agent.authority.topics import ROOT, Topics, topics_of
from edge_agent.cli_plane import plain
from edge_agent.client import BrokerOptions, ClientOptions, DeviceClient, FleetClient, Outcome
from edge_agent.client.connection import Heard
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.command_ipc import (
    MAX_COMMAND_DATAGRAM_BYTES,
    Answer,
    Carried,
    CommandCodec,
    LinkUp,
    Standing,
)
from edge_agent.core.errors import ConfigError, TransientError
from edge_agent.core.ipc import Codec, Tick, Welcome
from edge_agent.core.records import Mode
from edge_agent.gateway.decode import Cause, SensorDecoder
from edge_agent.gateway.twins import Twins
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import CALM, KEYRING, SECRETS, TOPIC, Office, outcome
from tests.unit.client.played_connection import PlayedConnection

DEVICE: Final = "ahu-7"
ROOT_SEED: Final = hashlib.sha256(b"root").digest()
_DESIRED: Final = topics_of(DEVICE).desired
_SITE: Final = Site(DEVICE, _DESIRED, KEYRING, ENVELOPE, "b1", "enforce", 1.0, frozenset())
_CODECS: Final = (CommandCodec(), Codec())
_FORMS: Final = ("number", "json", "msgpack")


class Target(NamedTuple):
    """`run` says why an input was not taken, and "" if it was. `seeds`: inputs that reach what
    random bytes would not; all of them are taken. `refused`: such that are refused, and why."""

    run: Callable[[bytes], str]
    seeds: tuple[bytes, ...]
    refused: Mapping[bytes, str] = MappingProxyType({})


def _wire(data: bytes) -> str:
    """Anybody's bytes on `cmd`: what a key has signed is answered, however its parts are packed,
    and nothing else is answered or followed."""
    office = Office()
    answer = office.hand_in(data)
    intents, _ = office.tick()
    genuine = open_seal(data) in _GENUINE
    assert bool(answer.body) == genuine
    assert genuine or not intents
    return "" if genuine else "not genuine"


def _body(data: bytes) -> str:
    """Whatever the owner of a key has signed: an answer that fits, and no intent without one. Taken
    is what is followed in one of the modes."""
    why = "dropped"
    for mode in (Mode.SAFE, Mode.ACTIVE, Mode.TRIPPED):
        office = Office()
        office.shown = dict(CALM)
        office.tick(mode)
        answer = office.hand_in(seal(SECRETS["ops"], "ops", TOPIC, data))
        intents, _ = office.tick(mode)
        assert len(answer.body) < MAX_COMMAND_DATAGRAM_BYTES // 2
        assert not intents or outcome(answer).st == "accepted"
        if answer.body and why:
            why = outcome(answer).reason
    return why


def _desired(data: bytes) -> str:
    """The same for a desired document: all of it, or nothing."""
    state = DesiredState(_SITE, None)
    said = state.receive(seal(SECRETS["ops"], "ops", _DESIRED, data))
    intents = state.intents()
    assert state.report() is not None
    assert said == "applied" or not intents
    state.receive(data)
    assert said == "applied" or state.kept is None
    return "" if said == "applied" else said


def _keyring(data: bytes) -> str:
    """A keyring file, signed or not: keys of 32 bytes and at least one role, or ConfigError."""
    why = "not a keyring"
    for root in (b"", public_of(ROOT_SEED)):
        try:
            keyring = parse_keyring(data, DEVICE, "keyring.json", root)
        except ConfigError:
            continue
        why = ""
        for key in keyring.keys.values():
            assert len(key.material) == KEY_BYTES
            assert key.roles
    return why


def _reading(data: bytes) -> str:
    """A payload of a sensor, or of the state of an actuator; the first byte says of which kind."""
    kind = data[0] if data else 0
    decoder = SensorDecoder(
        channel=0,
        name="c",
        topic="t",
        form=cast("Any", _FORMS[kind % 3]),
        path=("a", "b") if kind & 4 else (),
        scale=1.0,
        offset=0.0,
        counts_per_unit=100,
        is_bool=bool(kind & 8),
        words=("OFF", "ON") if kind & 16 else None,
    )
    found = decoder.decode(data[1:])
    assert isinstance(found, int | Cause)
    return found if isinstance(found, Cause) else ""


def _datagram(data: bytes) -> str:
    """Between the processes, where one may be in wrong hands, and our own status topic."""
    commands, records = _CODECS
    twins = Twins("r1")
    twins.hear(data, 1, 1)
    read = (commands.to_control, commands.to_gateway, records.from_gateway, records.from_control)
    said = [decode(data) for decode in read]
    return "" if twins._signs or any(message is not None for message in said) else "no message"


def _told(data: bytes) -> str:
    """What a device in wrong hands tells its plane, on the topic that the first byte says."""
    leaf = Topics._fields[data[0] % len(Topics._fields)] if data else "status"
    heard = Heard(f"{ROOT}/{DEVICE}/{leaf}", data[1:], retained=False, stamp_ns=NS_PER_S)
    options = {"host": "h", "port": 1, "device": DEVICE, "kid": "ops", "secret": SECRETS["ops"]}
    with patch("edge_agent.client.device.Connection", PlayedConnection):
        device = DeviceClient(ClientOptions(**options))  # type: ignore[arg-type]
    with patch("edge_agent.client.fleet.Connection", PlayedConnection):
        fleet = FleetClient(BrokerOptions(host="h", port=1), Topics._fields)
    heard_of = 0
    for client in (device, fleet):
        cast("PlayedConnection", client._connection).coming.append(heard)
        for said in client.listen(0.0):
            heard_of += client is device
            things = said if isinstance(said, tuple) else (said,)
            for thing in things:  # as `edge-agent ctl --json` prints them, and without
                json.dumps(plain(thing), sort_keys=True)
                str(thing.sentence() if isinstance(thing, Outcome) else thing)
    with contextlib.suppress(TransientError):
        device.command("ping", within_s=0.0)
    return "" if heard_of or device.desired is not None else "not understood"


def _packed(op: str, **args: object) -> bytes:
    return msgspec.msgpack.encode(Office().body(op, args=args))


def _documents() -> tuple[bytes, ...]:
    rows = (
        KeyRow(kid="ops", secret="MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", roles=("cmd",)),
        KeyRow(kid="s", public="MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", roles=("stop",)),
    )
    document = KeyringDocument(ver=1, device=DEVICE, keys=rows)
    return msgspec.json.encode(document), msgspec.json.encode(signed(document, ROOT_SEED))


def _datagrams() -> tuple[bytes, ...]:
    commands, records = _CODECS
    said = (
        commands.encode(LinkUp(1)),
        commands.encode(Carried(1, TOPIC, _COMMANDS[0], False, False, NS_PER_S)),
        commands.encode(Standing("b1", "s1", 1)),
        commands.encode(Answer(1, True, msgspec.msgpack.encode(_ANSWER))),
        records.encode(Welcome("b1", DEVICE, {"model": "0" * 64})),
        records.encode(Tick(_COMMANDS[0])),
        msgspec.msgpack.encode(_STATUS),
    )
    return tuple(datagram for datagram in said if datagram is not None)


_COMMANDS: Final = tuple(Office().sealed(op) for op in OPERATIONS)
_GENUINE: Final = frozenset(map(open_seal, _COMMANDS)) - {None}
_ARGS: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {
        "set-goal": {"channel": "supply_setpoint", "value": 16.5},
        "manual": {"channel": "outdoor_damper", "value": 40.0, "lease_s": 10},
        "mode": {"control": "monitor"},
        "query": {"id": "c1"},
        "cancel": {"id": "c1"},
    }
)
_BODIES: Final = (
    *(_packed(op, **_ARGS.get(op, {})) for op in OPERATIONS),
    _packed("arm", within_s=5.0),
    _packed("set-goal", channel="supply_setpoint", low=14.0, high=17),
)
_NO_WISH, _WISH, _HOT_WISH = (
    msgspec.msgpack.encode({"dev": DEVICE, "ver": 3, "by": "alice", "set": wanted})
    for wanted in (
        {},
        {"goal.supply_setpoint": 16.5, "control": "monitor", "telemetry_rate_hz": 5},
        {"goal.supply_setpoint": 95},
    )
)
_STATUS: Final = {"on": True, "boot": "b", "sess": "s", "agent": "0", "run": "r"}
_EVENT: Final = {
    "boot": "b", "seq": 1, "at": 1, "utc_ms": 1, "kind": "trip", "sev": "alarm", "data": {},
}  # fmt: skip
_ANSWER: Final = {"id": "c1", "st": "rejected", "boot": "b", "seq": 1, "at": 1, "why": {}}
TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "wire": Target(_wire, _COMMANDS),
        "body": Target(_body, _BODIES),
        "desired": Target(_desired, (_NO_WISH, _WISH), {_HOT_WISH: "bad_keys"}),
        "keyring": Target(_keyring, _documents()),
        "reading": Target(
            _reading,
            (
                b"\x0021.5",
                b"\x12ON",
                b'\x04{"a":{"b":21.5}}',
                b"\x05\x81\xa1a\x81\xa1b\xcb" + bytes(8),
            ),
        ),
        "datagram": Target(_datagram, _datagrams()),
        "told": Target(
            _told,
            (
                b"\x00" + msgspec.msgpack.encode(_STATUS),
                b"\x01" + msgspec.msgpack.encode(_ANSWER),
                b"\x00" + msgspec.msgpack.encode({"on": True}),
                b"\x01" + msgspec.msgpack.encode(_ANSWER | {"data": {"x": {1: 2, "a": 3}}}),
                b"\x01" + msgspec.msgpack.encode(_ANSWER | {"data": {"x": {(1, 2): 3}}}),
                b"\x05" + msgspec.msgpack.encode(_EVENT),
                b"\x06" + seal(SECRETS["ops"], "ops", _DESIRED, _WISH),
            ),
        ),
    }
)
