"""Keys as files: making them, and reading one's own.

Owns: the operator's key file, the device's keyring file, and their modes (owner only). Must
not: print a secret.
"""

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_agent.authority import ed25519
from edge_agent.authority.keyring import KEY_BYTES, KeyRow, Role, key_bytes
from edge_agent.authority.seal import Algorithm
from edge_agent.authority.topics import is_id
from edge_agent.client.device import ClientOptions
from edge_agent.client.keyring_edit import read_document, with_row, write_keyring, write_private
from edge_agent.core.errors import ConfigError
from edge_agent.service.private_file import read_private
from edge_agent.service.tls import tls_context


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person needs to command one device: JSON."""

    device: str
    kid: str
    secret: str
    algorithm: Algorithm = "hmac"
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
    """A key to be put into a keyring. `ops` empty: every operation of the role. `root`: the
    root's key file, to sign the keyring with."""

    device: str
    kid: str
    role: Role
    ops: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 1883
    algorithm: Algorithm = "hmac"
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Where the two halves are. `public`: of an Ed25519 key, to enrol it elsewhere."""

    keyring: Path
    key: Path
    version: int
    public: str = ""


def make_key(new: NewKey, folder: Path) -> Made:
    """Make one key: its row in the device's keyring, and the file of its owner.

    The keyring is made, or gets a new row and version. ConfigError when the key is there
    already or a file cannot be used.
    """
    seed = secrets.token_bytes(KEY_BYTES)
    secret, public = base64.b64encode(seed).decode(), ""
    if new.algorithm == "ed25519":
        public = base64.b64encode(ed25519.public_of(seed)).decode()
    key = folder / f"{new.device}.{new.kid}.key.json"
    if key.exists():
        raise ConfigError(
            f"there is a key {new.kid!r} already", where=str(key), fix="choose another id"
        )
    made = _add_row(new, folder, ("", public) if public else (secret, ""))
    owned = KeyFile(
        device=new.device,
        kid=new.kid,
        secret=secret,
        algorithm=new.algorithm,
        host=new.host,
        port=new.port,
    )
    write_private(key, msgspec.json.encode(owned))
    return Made(made.keyring, key, made.version, public)


def enrol(new: NewKey, folder: Path, public: str) -> Made:
    """Put an Ed25519 key that its owner has made into another device's keyring, by its public
    half in base64."""
    if key_bytes(public) is None:
        raise ConfigError(
            "is not the public half of a key",
            where="--public",
            fix="copy it from what `edge-agent ctl keys new --ed25519` printed",
        )
    return _add_row(new, folder, ("", public))


def _add_row(new: NewKey, folder: Path, halves: tuple[str, str]) -> Made:
    for what, text in (("device", new.device), ("kid", new.kid)):
        if not is_id(text):
            raise ConfigError(
                f"{text!r} cannot be an id", where=f"--{what}", fix="1 to 64 of a-z 0-9 _ -"
            )
    secret, public = halves
    row = KeyRow(kid=new.kid, secret=secret, public=public, roles=(new.role,), ops=new.ops)
    path = folder / f"{new.device}.keyring.json"
    document = with_row(read_document(path, new.device), row, path)
    write_keyring(path, document, new.root)
    return Made(path, Path(), document.ver, public)


def read_key(path: Path, by: str, device: str = "") -> ClientOptions:
    """How to command the device of this key file, or another one at which an Ed25519 key is
    enrolled; ConfigError when it cannot be used."""
    data = read_private(path)
    try:
        key = msgspec.json.decode(data, type=KeyFile)
        secret = key_bytes(key.secret)
    except (msgspec.DecodeError, UnicodeDecodeError):
        secret = None
    if secret is None:
        raise ConfigError(
            "is not a key file", where=str(path), fix="make one with `edge-agent ctl keys new`"
        )
    if key.algorithm == "ed25519":
        ed25519.require()
    return ClientOptions(
        host=key.host,
        port=key.port,
        device=device or key.device,
        kid=key.kid,
        secret=secret,
        algorithm=key.algorithm,
        by=by,
        username=key.username,
        password=key.password,
        tls=tls_context(*(_beside(path, f) for f in (key.ca_file, key.cert_file, key.key_file))),
    )


def _beside(path: Path, name: str) -> str:
    return str(path.parent / name) if name else ""
