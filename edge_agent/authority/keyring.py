"""The keyring: which key may do what on this device.

Owns: the document's shape and its checks. Must not: read a file, or let a secret into a text:
a key's representation does not contain it.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from edge_agent.authority.topics import is_id
from edge_agent.core.errors import ConfigError

SECRET_BYTES: Final = 32
Role = Literal["cmd", "stop"]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key in the document. `ops` empty: every operation of its roles."""

    kid: str
    secret: str  # base64 of 32 bytes
    roles: tuple[Role, ...]
    ops: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"KeyRow(kid={self.kid!r})"


class KeyringDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keyring file: JSON."""

    ver: int
    device: str
    keys: tuple[KeyRow, ...]


class Key(NamedTuple):
    """One key, ready to verify."""

    secret: bytes
    roles: frozenset[str]
    ops: frozenset[str]

    def __repr__(self) -> str:
        return f"Key(roles={sorted(self.roles)}, ops={sorted(self.ops)})"

    def may(self, op: str, roles: frozenset[str]) -> bool:
        """Whether this key may ask for `op`, which needs one of `roles`."""
        return bool(self.roles & roles) and (not self.ops or op in self.ops)


class Keyring(NamedTuple):
    """The keys of one device by id."""

    version: int
    keys: Mapping[str, Key]


def parse_keyring(data: bytes, device_id: str, where: str) -> Keyring:
    """The checked keyring; ConfigError names what is wrong and never a secret."""
    try:
        document = msgspec.json.decode(data, type=KeyringDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unfit(f"is not a keyring: {error}", where) from None
    if document.device != device_id:
        raise _unfit(f"is the keyring of {document.device!r}, not of {device_id!r}", where)
    keys: dict[str, Key] = {}
    for row in document.keys:
        if not is_id(row.kid):
            raise _unfit(f"{row.kid!r} cannot be the id of a key", where)
        if row.kid in keys:
            raise _unfit(f"has key {row.kid!r} twice", where)
        if not row.roles:
            raise _unfit(f"key {row.kid!r} has no role", where)
        secret = _secret(row, where)
        keys[row.kid] = Key(secret, frozenset(row.roles), frozenset(row.ops))
    return Keyring(document.ver, keys)


def _secret(row: KeyRow, where: str) -> bytes:
    try:
        secret = base64.b64decode(row.secret, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise _unfit(f"the secret of {row.kid!r} is not {SECRET_BYTES} bytes in base64", where)
    return secret


def _unfit(what: str, where: str) -> ConfigError:
    return ConfigError(what, where=where, fix="make one with `edge-agent ctl keys new`")
