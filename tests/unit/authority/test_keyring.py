"""The keyring: what is refused, and that a secret is in no text."""

import base64
import json
from typing import Any

import pytest

from edge_agent.authority.keyring import KeyRow, parse_keyring
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
    assert (keyring.version, key.secret) == (3, b"s" * 32)
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
    ],
)
def test_a_keyring_that_does_not_fit_is_refused(data: bytes, words: str) -> None:
    text = _refusal(data)
    assert words in text
    assert text.startswith("keyring k.json: ")


def test_a_secret_is_in_no_representation() -> None:
    keyring = parse_keyring(_document(), "ahu-7", "k")
    row = KeyRow(kid="alice", secret=SECRET, roles=("cmd",))
    for text in (repr(keyring), str(keyring.keys), repr(row)):
        assert SECRET not in text
        assert "ssss" not in text
