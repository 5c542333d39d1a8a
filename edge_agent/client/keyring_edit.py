"""Keyrings on the desk of whoever administers a fleet: rows, versions, and the root's signature.

Owns: the root's key file, and the writing of keyrings. Must not: print a secret, or take the
signature off a keyring that has one: the device would refuse what is left.
"""

import base64
import secrets
from pathlib import Path

import msgspec

from edge_agent.authority import ed25519
from edge_agent.authority.keyring import (
    KEY_BYTES,
    KeyringDocument,
    KeyRow,
    key_bytes,
    open_signed,
    parse_document,
    sign_document,
)
from edge_agent.core.errors import ConfigError
from edge_agent.service.durable import replace_file
from edge_agent.service.private_file import read_private


class RootFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root's key: JSON. Whoever has it decides who may command."""

    root_secret: str
    root_key: str  # the public half, for `[plane] root_key` of every device

    def __repr__(self) -> str:
        return f"RootFile(root_key={self.root_key!r})"


def make_root(path: Path) -> str:
    """Make a root's key file; its public half in base64. ConfigError when there is a file."""
    if path.exists():
        raise ConfigError("is there already", where=str(path), fix="choose another name")
    seed = secrets.token_bytes(KEY_BYTES)
    public = base64.b64encode(ed25519.public_of(seed)).decode()
    root = RootFile(root_secret=base64.b64encode(seed).decode(), root_key=public)
    write_private(path, msgspec.json.encode(root))
    return public


def read_document(path: Path, device: str) -> KeyringDocument:
    """The keyring as it is, signed or not; an empty one when there is no file."""
    if not path.exists():
        return KeyringDocument(ver=0, device=device, keys=())
    data = read_private(path)
    signed = open_signed(data)
    document = parse_document(data if signed is None else signed.document.encode(), str(path))
    if device and document.device != device:
        raise ConfigError(
            f"is the keyring of {document.device!r}",
            where=str(path),
            fix="choose another --folder or --device",
        )
    return document


def with_row(document: KeyringDocument, row: KeyRow, where: Path) -> KeyringDocument:
    """The next version, with a row more; ConfigError when the key is there."""
    if any(known.kid == row.kid for known in document.keys):
        raise ConfigError(
            f"there is a key {row.kid!r} already", where=str(where), fix="choose another id"
        )
    return KeyringDocument(ver=document.ver + 1, device=document.device, keys=(*document.keys, row))


def write_keyring(path: Path, document: KeyringDocument, root: Path | None) -> None:
    """The keyring, signed if there is a root's key file; ConfigError without one for a keyring
    that is signed."""
    if root is not None:
        seed = _read_root(root)
        write_private(path, msgspec.json.encode(sign_document(document, seed)))
        return
    if path.exists() and open_signed(read_private(path)) is not None:
        raise ConfigError(
            "is signed", where=str(path), fix="add --root with the root's key file, to sign it anew"
        )
    write_private(path, msgspec.json.encode(document))


def sign_keyring(path: Path, root: Path) -> KeyringDocument:
    """Sign a keyring as it is, as the version after it."""
    document = read_document(path, "")
    if not document.device:
        raise ConfigError("is not there", where=str(path), fix="name a keyring file")
    newer = msgspec.structs.replace(document, ver=document.ver + 1)
    write_keyring(path, newer, root)
    return newer


def write_private(path: Path, content: bytes) -> None:
    """The whole content or the old one, never readable by others."""
    try:
        replace_file(path, msgspec.json.format(content, indent=2) + b"\n")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(path), fix="choose another --folder"
        ) from error


def _read_root(path: Path) -> bytes:
    data = read_private(path)
    try:
        seed = key_bytes(msgspec.json.decode(data, type=RootFile).root_secret)
    except (msgspec.DecodeError, UnicodeDecodeError):
        seed = None
    if seed is None:
        raise ConfigError(
            "is not a root's key file",
            where=str(path),
            fix="make one with `edge-agent ctl keys root`",
        )
    return seed
