"""The envelope of a command on the wire: msgpack `[body, sig, kid]`.

Owns: its opening, and the signature over topic and body. Must not: look into the body; only
what a known key has signed is ever decoded. The bytes are signed as they are sent, so no
canonical form is needed, and with the topic, so that a message is worth nothing elsewhere.
"""

import hashlib
import hmac
from typing import Final, Literal

import msgspec

from edge_agent.authority import ed25519

Algorithm = Literal["hmac", "ed25519"]

_CONTEXT: Final = b"edge-cmd-v1\0"


class Sealed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`body` as sent, its signature, and the id of the key."""

    body: bytes
    sig: bytes
    kid: str


def open_seal(data: bytes) -> Sealed | None:
    """The three parts; None for anything else, however it is nested."""
    try:
        return msgspec.msgpack.decode(data, type=Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def signature(algorithm: Algorithm, secret: bytes, topic: str, body: bytes) -> bytes:
    """Over context, topic and body: HMAC-SHA256, 32 bytes, or Ed25519, 64. `secret`: 32 bytes."""
    message = _message(topic, body)
    if algorithm == "ed25519":
        return ed25519.sign(secret, message)
    return hmac.new(secret, message, hashlib.sha256).digest()


def is_genuine(algorithm: Algorithm, material: bytes, topic: str, sealed: Sealed) -> bool:
    """Whether the owner of the key sent this body to this topic. `material`: the secret of HMAC,
    or the public half of Ed25519; which of the two, the keyring says and never the message."""
    if algorithm == "ed25519":
        return ed25519.is_signed(material, _message(topic, sealed.body), sealed.sig)
    mac = signature("hmac", material, topic, sealed.body)
    return hmac.compare_digest(mac, sealed.sig)


def seal(secret: bytes, kid: str, topic: str, body: bytes, algorithm: Algorithm = "hmac") -> bytes:
    """What goes onto `topic`."""
    return msgspec.msgpack.encode(Sealed(body, signature(algorithm, secret, topic, body), kid))


def _message(topic: str, body: bytes) -> bytes:
    return _CONTEXT + topic.encode() + b"\0" + body
