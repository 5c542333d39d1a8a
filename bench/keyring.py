"""The key of whoever commands a device that is measured.

Owns: the keyring's file, with one key that may do everything. Must not: command.
"""

import base64
import json
import secrets
from pathlib import Path
from typing import Final

from edge_agent.authority.ed25519 import public_of
from edge_agent.authority.seal import Algorithm

KID: Final = "bench"


def write_keyring(folder: Path, device: str, algorithm: Algorithm = "hmac") -> tuple[Path, bytes]:
    """A keyring in `folder`, readable by its owner alone, and the secret of its key `KID`."""
    secret = secrets.token_bytes(32)
    signs = algorithm == "ed25519"
    half = base64.b64encode(public_of(secret) if signs else secret).decode()
    row = {"kid": KID, "public" if signs else "secret": half, "roles": ["cmd"]}
    keyring = folder / "keyring.json"
    keyring.write_text(json.dumps({"ver": 1, "device": device, "keys": [row]}))
    keyring.chmod(0o600)
    return keyring, secret
