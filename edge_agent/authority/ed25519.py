"""Ed25519 signatures, for keys whose public half is all that a device needs to know.

Owns: the one use of the optional package `pynacl`. Must not: make or keep a key.
"""

from typing import Any

from edge_agent.core.errors import ConfigError


def sign(seed: bytes, message: bytes) -> bytes:
    """64 bytes. `seed`: the 32 secret bytes of the key."""
    signature: bytes = _signing().SigningKey(seed).sign(message).signature
    return signature


def public_of(seed: bytes) -> bytes:
    """The 32 bytes that may be known to everybody."""
    return bytes(_signing().SigningKey(seed).verify_key)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of the key signed this message."""
    signing = _signing()
    try:
        signing.VerifyKey(public).verify(message, signature)
    except (signing.exc.CryptoError, ValueError):  # wrong, or not even as long as one
        return False
    return True


def require() -> None:
    """ConfigError when the package is not installed: at the start, not at the first command."""
    _signing()


def _signing() -> Any:
    try:
        from nacl import signing
    except ImportError:
        raise ConfigError(
            "Ed25519 keys need the package pynacl",
            fix="pip install 'edge-autonomy[ed25519]', or use HMAC keys",
        ) from None
    return signing
