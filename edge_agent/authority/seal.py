"""The envelope of a command on the wire: msgpack `[body, sig, kid]`.

Owns: its opening, and the signature over topic and body. Must not: look into the body; only
what a known key has signed is ever decoded. The bytes are signed as they are sent, so no
canonical form is needed, and with the topic, so that a message is worth nothing elsewhere.
"""

import hashlib
import hmac
from typing import Final

import msgspec

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


def signature(secret: bytes, topic: str, body: bytes) -> bytes:
    """HMAC-SHA256 over context, topic and body; 32 bytes."""
    message = _CONTEXT + topic.encode() + b"\0" + body
    return hmac.new(secret, message, hashlib.sha256).digest()


def seal(secret: bytes, kid: str, topic: str, body: bytes) -> bytes:
    """What goes onto `topic`."""
    return msgspec.msgpack.encode(Sealed(body, signature(secret, topic, body), kid))


def is_genuine(secret: bytes, topic: str, sealed: Sealed) -> bool:
    """Whether the owner of the key sent this body to this topic."""
    return hmac.compare_digest(signature(secret, topic, sealed.body), sealed.sig)
