"""Keys as files: making them, and reading one's own.

Owns: the operator's key file, the device's keyring file, and their modes (owner only). Must
not: print a secret.
"""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_agent.authority.keyring import (
    SECRET_BYTES,
    KeyringDocument,
    KeyRow,
    Role,
    parse_keyring,
)
from edge_agent.authority.topics import is_id
from edge_agent.client.device import ClientOptions
from edge_agent.core.errors import ConfigError
from edge_agent.service.private_file import read_private
from edge_agent.service.tls import tls_context

_OWNER_ONLY = 0o600


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person needs to command one device: JSON."""

    device: str
    kid: str
    secret: str
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password: str = ""
    ca_file: str = ""  # these three: beside the key file, or absolute
    cert_file: str = ""
    key_file: str = ""

    def __repr__(self) -> str:
        return f"KeyFile(device={self.device!r}, kid={self.kid!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be made. `ops` empty: every operation of the role."""

    device: str
    kid: str
    role: Role
    ops: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 1883


@dataclass(frozen=True, slots=True)
class Made:
    """Where the two halves are."""

    keyring: Path
    key: Path
    version: int


def make_key(new: NewKey, folder: Path) -> Made:
    """Make one key: its row in the device's keyring, and the file of its owner.

    The keyring is made, or gets a new row and version. ConfigError when the key is there
    already or a file cannot be used.
    """
    for what, text in (("device", new.device), ("kid", new.kid)):
        if not is_id(text):
            raise ConfigError(
                f"{text!r} cannot be an id", where=f"--{what}", fix="1 to 64 of a-z 0-9 _ -"
            )
    keyring, key = (
        folder / f"{new.device}.keyring.json",
        folder / f"{new.device}.{new.kid}.key.json",
    )
    document = KeyringDocument(ver=0, device=new.device, keys=())
    if keyring.exists():
        data = read_private(keyring)
        parse_keyring(data, new.device, str(keyring))
        document = msgspec.json.decode(data, type=KeyringDocument)
    if key.exists() or any(row.kid == new.kid for row in document.keys):
        raise ConfigError(
            f"there is a key {new.kid!r} already", where=str(keyring), fix="choose another id"
        )
    secret = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    row = KeyRow(kid=new.kid, secret=secret, roles=(new.role,), ops=new.ops)
    document = KeyringDocument(ver=document.ver + 1, device=new.device, keys=(*document.keys, row))
    owned = KeyFile(device=new.device, kid=new.kid, secret=secret, host=new.host, port=new.port)
    _write_private(key, msgspec.json.encode(owned))
    _write_private(keyring, msgspec.json.encode(document))
    return Made(keyring, key, document.ver)


def read_key(path: Path, by: str) -> ClientOptions:
    """How to command the device of this key file; ConfigError when it cannot be used."""
    data = read_private(path)
    try:
        key = msgspec.json.decode(data, type=KeyFile)
        secret = base64.b64decode(key.secret, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise ConfigError(
            "is not a key file", where=str(path), fix="make one with `edge-agent ctl keys new`"
        ) from None
    return ClientOptions(
        host=key.host,
        port=key.port,
        device=key.device,
        kid=key.kid,
        secret=secret,
        by=by,
        username=key.username,
        password=key.password,
        tls=tls_context(*(_beside(path, f) for f in (key.ca_file, key.cert_file, key.key_file))),
    )


def _beside(path: Path, name: str) -> str:
    return str(path.parent / name) if name else ""


def _write_private(path: Path, content: bytes) -> None:
    """The whole content or the old one, never readable by others."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(content, indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(path), fix="choose another --folder"
        ) from error
