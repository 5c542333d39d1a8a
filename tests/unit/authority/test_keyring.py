"""The keyring: what is refused, and that a secret is in no text."""

import base64
import json
import sys
from typing import Any

import msgspec
import pytest

from edge_agent.authority import ed25519
from edge_agent.authority.keyring import (
    KeyringDocument,
    KeyRow,
    SignedKeyring,
    parse_keyring,
    sign_document,
)
from edge_agent.core.errors import ConfigError

SECRET = base64.b64encode(b"s" * 32).decode()
ROW: dict[str, Any] = {"kid": "alice", "secret": SECRET, "roles": ["cmd"]}


def _document(*rows: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"ver": 3, "device": "ahu-7", "keys": rows or [ROW]} | changes).encode()


def _refusal(data: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_keyring(data, "ahu-7", "keyring k.json")
    assert caught.value.exit_code == 78
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_keyring_is_read() -> None:
    keyring = parse_keyring(_document({**ROW, "ops": ["ping"]}), "ahu-7", "k")
    key = keyring.keys["alice"]
    assert (keyring.version, key.material) == (3, b"s" * 32)
    assert key.may("ping", frozenset({"cmd"}))
    assert not key.may("arm", frozenset({"cmd"}))
    assert not key.may("ping", frozenset({"stop"}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a keyring"),
        (b"\xff", "is not a keyring"),
        (b"[" * 5000, "is not a keyring"),
        (_document({**ROW, "secert": ""}), "is not a keyring"),
        (_document({**ROW, "roles": ["root"]}), "is not a keyring"),
        (_document(device="ahu-8"), "is the keyring of 'ahu-8'"),
        (_document(ROW, ROW), "has key 'alice' twice"),
        (_document({**ROW, "roles": []}), "has no role"),
        (_document({**ROW, "kid": "A/B"}), "cannot be the id"),
        (_document({**ROW, "secret": "c2hvcnQ="}), "not 32 bytes"),
        (_document({**ROW, "secret": "?" + SECRET[1:]}), "not 32 bytes"),
        (_document({**ROW, "secret": "ä"}), "not 32 bytes"),
        (_document({**ROW, "public": SECRET}), "needs a secret or a public half"),
        (_document({"kid": "alice", "roles": ["cmd"]}), "needs a secret or a public half"),
        (_document({"kid": "alice", "roles": ["cmd"], "public": "c2g="}), "not 32 bytes"),
        (_document({**ROW, "not_after": "2030-01-01"}), "is not a keyring"),
        (_document(ver=-1), "is not a keyring"),
        (_document(ver=2**53), "is not a keyring"),
        (_document(ver=1.5), "is not a keyring"),
    ],
)
def test_a_keyring_that_does_not_fit_is_refused(data: bytes, words: str) -> None:
    text = _refusal(data)
    assert words in text
    assert text.startswith("keyring k.json: ")


ROOT, OTHER = b"r" * 32, b"o" * 32
PUBLIC = ed25519.public_of(ROOT)


def _signed(seed: bytes = ROOT, **changes: str) -> bytes:
    document = KeyringDocument(
        ver=3, device="ahu-7", keys=(KeyRow(kid="alice", secret=SECRET, roles=("cmd",)),)
    )
    signed = json.loads(msgspec.json.encode(sign_document(document, seed)))
    return json.dumps(signed | changes).encode()


def test_a_keyring_that_its_root_has_signed_is_read() -> None:
    keyring = parse_keyring(_signed(), "ahu-7", "k", PUBLIC)
    assert (keyring.version, list(keyring.keys)) == (3, ["alice"])
    assert len(keyring.digest) == 64


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_signed(OTHER), "is not signed by the root key"),
        (_signed(sig=""), "is not signed by the root key"),
        (_signed(sig="?"), "is not signed by the root key"),
        (_signed(sig=base64.b64encode(b"x" * 64).decode()), "is not signed by the root key"),
        (_signed(document=_document(ver=4).decode()), "is not signed by the root key"),
        (_signed(document=json.loads(_signed())["document"] + " "), "is not signed by the root"),
        (_signed(document="\ud800"), "is not signed"),
        (_document(), "is not signed"),
        (b"", "is not signed"),
        (b"[" * 5000, "is not signed"),
    ],
)
def test_what_the_root_has_not_signed_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_keyring(data, "ahu-7", "k", PUBLIC)


def test_a_signed_keyring_is_not_believed_without_its_root() -> None:
    assert "no root key is known here" in _refusal(_signed())


def test_a_signature_of_a_command_is_none_of_a_keyring() -> None:
    text = _document().decode()
    sig = ed25519.sign(ROOT, text.encode())  # not for a keyring
    data = json.dumps({"document": text, "sig": base64.b64encode(sig).decode()}).encode()
    with pytest.raises(ConfigError, match="is not signed by the root key"):
        parse_keyring(data, "ahu-7", "k", PUBLIC)


def test_signatures_are_those_of_the_standard() -> None:
    """RFC 8032, section 7.1, test 3."""
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    sig = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert ed25519.public_of(seed) == public
    assert ed25519.sign(seed, b"\xaf\x82") == sig
    assert ed25519.is_signed(public, b"\xaf\x82", sig)
    assert not ed25519.is_signed(public, b"\xaf\x83", sig)
    assert not ed25519.is_signed(public[:-1], b"\xaf\x82", sig)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl", None)
    rows = {"kid": "alice", "public": SECRET, "roles": ["cmd"]}
    with pytest.raises(ConfigError, match=r"edge-autonomy\[ed25519\]"):
        parse_keyring(_document(rows), "ahu-7", "k")
    assert parse_keyring(_document(), "ahu-7", "k").version == 3  # HMAC needs nothing


def test_a_secret_is_in_no_representation() -> None:
    keyring = parse_keyring(_document(), "ahu-7", "k")
    row = KeyRow(kid="alice", secret=SECRET, roles=("cmd",))
    signed = repr(msgspec.json.decode(_signed(), type=SignedKeyring))
    for text in (repr(keyring), str(keyring.keys), repr(row), signed):
        assert SECRET not in text
        assert "ssss" not in text
