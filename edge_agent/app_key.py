"""Composition of the serial line's key: the same 32 bytes that the microcontroller was built with.

Owns: where it is read from, and the refusal of a file that others could read. Must not: print it,
or take it from the configuration itself.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from edge_agent.config import SerialConfig
from edge_agent.core.errors import ConfigError
from edge_agent.service.private_file import CREDENTIALS, read_credential, read_private
from firmware_bridge.keyed import KEY_SIZE


def serial_key(serial: SerialConfig, environment: Mapping[str, str]) -> bytes | None:
    """From `key_file` or the systemd credential `key_credential`; None when neither is set."""
    if serial.key_file:
        return read_key(Path(serial.key_file))
    if not serial.key_credential:
        return None
    folder = environment.get(CREDENTIALS, "")
    if not folder:
        raise ConfigError(
            "the service has no credentials",
            where="serial.key_credential",
            fix=f"LoadCredential={serial.key_credential}:/etc/edge-agent/bridge.key in its unit",
        )
    return read_key(Path(folder) / serial.key_credential, read_credential)


def read_key(path: Path, open_private: Callable[[Path], bytes] = read_private) -> bytes:
    """The key in a file of 64 hexadecimal digits that only its owner can read or write."""
    text = open_private(path).strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE or len(text) != 2 * KEY_SIZE:
        raise ConfigError(
            "is no key: 64 hexadecimal digits",
            where=str(path),
            fix=f"umask 077; openssl rand -hex 32 > {path}, and flash the firmware with it",
        )
    return key
