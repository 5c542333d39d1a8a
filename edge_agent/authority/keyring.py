"""The keyring: which key may do what on this device.

Owns: the document's shape and its checks, the signature of its root included. Must not: read a
file, or let a secret into a text: a key's representation does not contain it.

A signed keyring carries its document as a text, and the signature is over the bytes of that text,
so nobody needs a canonical form. A key has no date at which it ends: a board without a clock
could not tell, and an end that holds only sometimes is worse than none. A key ends with a keyring
of a higher version that does not have it.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from edge_agent.authority import ed25519
from edge_agent.authority.seal import Algorithm, Sealed, is_genuine, open_seal
from edge_agent.authority.topics import is_id
from edge_agent.core.command_ipc import MAX_SEALED_BYTES
from edge_agent.core.errors import ConfigError

KEY_BYTES: Final = 32
_ROOT_CONTEXT: Final = b"edge-keyring-v1\0"
_MOST: Final = 2**53 - 1
Role = Literal["cmd", "stop"]


class KeyRow(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One key in the document: the `secret` of HMAC, or the `public` half of Ed25519, base64 of
    32 bytes. `ops` empty: every operation of its roles."""

    kid: str
    secret: str = ""
    public: str = ""
    roles: tuple[Role, ...]
    ops: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"KeyRow(kid={self.kid!r})"


class KeyringDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a keyring says: JSON."""

    ver: Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
    device: str
    keys: tuple[KeyRow, ...]


class SignedKeyring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document, as JSON in a text, and the root's Ed25519 signature of it in base64."""

    document: str
    sig: str

    def __repr__(self) -> str:
        return "SignedKeyring()"


class Key(NamedTuple):
    """One key, ready to verify. `material`: the secret, or the public half."""

    material: bytes
    roles: frozenset[str]
    ops: frozenset[str]
    algorithm: Algorithm = "hmac"

    def __repr__(self) -> str:
        return f"Key({self.algorithm}, roles={sorted(self.roles)}, ops={sorted(self.ops)})"

    def may(self, op: str, roles: frozenset[str]) -> bool:
        """Whether this key may ask for `op`, which needs one of `roles`."""
        return bool(self.roles & roles) and (not self.ops or op in self.ops)


class Keyring(NamedTuple):
    """The keys of one device by id. `digest`: SHA-256 of the document, hex."""

    version: int
    keys: Mapping[str, Key]
    digest: str = ""


def open_genuine(keys: Mapping[str, Key], topic: str, data: bytes) -> tuple[Sealed, Key] | str:
    """What one of `keys` has signed for `topic`, and which; or why it is not worth an answer."""
    if len(data) > MAX_SEALED_BYTES:
        return "oversized"
    sealed = open_seal(data)
    if sealed is None:
        return "malformed"
    key = keys.get(sealed.kid)
    if key is None:
        return "unknown_key"
    if not is_genuine(key.algorithm, key.material, topic, sealed):
        return "bad_signature"
    return sealed, key


def parse_keyring(data: bytes, device_id: str, where: str, root: bytes = b"") -> Keyring:
    """The checked keyring; ConfigError names what is wrong and never a secret.

    `root`: the public key that must have signed it; empty: it is not signed, and whoever can
    write the file is trusted.
    """
    text = _opened(data, root, where)
    document = parse_document(text, where)
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
        keys[row.kid] = _key(row, where)
    return Keyring(document.ver, keys, hashlib.sha256(text).hexdigest())


def parse_document(text: bytes, where: str) -> KeyringDocument:
    """The document; ConfigError when it is none."""
    try:
        return msgspec.json.decode(text, type=KeyringDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unfit(f"is not a keyring: {error}", where) from None


def open_signed(data: bytes) -> SignedKeyring | None:
    """The two parts of a signed keyring; None when it is not signed."""
    try:
        return msgspec.json.decode(data, type=SignedKeyring)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def sign_document(document: KeyringDocument, seed: bytes) -> SignedKeyring:
    """Signed by the root whose 32 secret bytes are `seed`."""
    text = msgspec.json.encode(document)
    sig = ed25519.sign(seed, _ROOT_CONTEXT + text)
    return SignedKeyring(document=text.decode(), sig=base64.b64encode(sig).decode())


def key_bytes(text: str) -> bytes | None:
    """The 32 bytes of a key or of half of one, from base64; None when it is something else."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == KEY_BYTES else None


def _opened(data: bytes, root: bytes, where: str) -> bytes:
    """The document's text, of the root if there is one."""
    signed = open_signed(data)
    if not root:
        if signed is not None:
            raise _unfit("is signed, and no root key is known here", where, "set plane.root_key")
        return data
    if signed is None:
        raise _unfit("is not signed", where, "sign it with `edge-agent ctl keys sign`")
    text = signed.document.encode()
    try:
        sig = base64.b64decode(signed.sig, validate=True)
    except (binascii.Error, ValueError):
        sig = b""
    if not ed25519.is_signed(root, _ROOT_CONTEXT + text, sig):
        fix = "sign it with the root key whose public half is plane.root_key"
        raise _unfit("is not signed by the root key of this device", where, fix)
    return text


def _key(row: KeyRow, where: str) -> Key:
    if bool(row.secret) == bool(row.public):
        raise _unfit(f"key {row.kid!r} needs a secret or a public half", where)
    material = key_bytes(row.secret or row.public)
    if material is None:
        what = "secret" if row.secret else "public half"
        raise _unfit(f"the {what} of {row.kid!r} is not {KEY_BYTES} bytes in base64", where)
    if row.public:
        ed25519.require()
    algorithm: Algorithm = "ed25519" if row.public else "hmac"
    return Key(material, frozenset(row.roles), frozenset(row.ops), algorithm)


def _unfit(
    what: str, where: str, fix: str = "make one with `edge-agent ctl keys new`"
) -> ConfigError:
    return ConfigError(what, where=where, fix=fix)
