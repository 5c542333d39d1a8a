"""Files with a secret in them.

Owns: the refusal of one that others could read or write. Must not: keep or print what it reads.
"""

import os
import stat
from pathlib import Path

from edge_agent.core.errors import ConfigError


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its owner can read or write; ConfigError otherwise."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            fix="correct the path or its owner",
        ) from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise ConfigError("others can read or write it", where=str(path), fix=f"chmod 600 {path}")
    return data
