"""Files with a secret in them.

Owns: the refusal of one that others could read or write. Must not: keep or print what it reads.
"""

import os
import stat
from pathlib import Path
from typing import Final

from edge_agent.core.errors import ConfigError

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"  # where systemd says that it has put them
# systemd 256 gives a service its credentials by an access list, and the mask of such a list stands
# where the bits of the group do: there, read for the "group" is read for the service.
_NOBODY_ELSE: Final = 0o077
_NOT_MORE_THAN_A_MASK: Final = 0o037


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its owner can read or write; ConfigError otherwise."""
    return _read_unless(path, _NOBODY_ELSE)


def read_credential(path: Path) -> bytes:
    """The bytes of a credential that systemd has placed for this service; ConfigError when
    others can read it."""
    return _read_unless(path, _NOT_MORE_THAN_A_MASK)


def _read_unless(path: Path, refused: int) -> bytes:
    """The file's bytes, unless its mode has one of the `refused` bits."""
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
    if not stat.S_ISREG(mode) or mode & refused:
        raise ConfigError("others can read or write it", where=str(path), fix=f"chmod 600 {path}")
    return data
