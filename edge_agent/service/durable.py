"""Small files that survive a power cut: the whole new content, or the whole old one.

Owns: writing beside, through to the disk, and renaming into place. Must not: know what is written.
"""

import os
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o600


def replace_file(path: Path, content: bytes) -> None:
    """The whole content or the old one, whatever happens in between, and never for others to
    read. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a start that was cut off, or a trap
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Gone, also after a power cut; harmless when it is not there. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
