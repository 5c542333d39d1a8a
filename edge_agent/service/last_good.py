"""The configuration that this board last started with, kept for a person to compare and put back.

Owns: the copies in the state folder, laid out as the originals are. Must not: run by them. A
person who has changed a file wanted something else than what it said before, perhaps a stricter
limit; a board that armed itself by the old one because of a misspelt key would do the opposite.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge_agent.service.durable import remove_file, replace_file

FOLDER: Final = "last-good"


def keep_last_good(state_dir: Path, sources: Mapping[str, str]) -> None:
    """Keep these texts by relative name, and no other; without any, as when a file was deleted by
    mistake, what is kept stays. A disk that fails is said, and stops nothing."""
    if not sources:
        return
    folder = state_dir / FOLDER
    try:
        for name, text in sources.items():
            _keep(folder / name, text.encode())
        for path in [*folder.glob("*.toml"), *folder.glob("config.d/*.toml")]:
            if str(path.relative_to(folder)) not in sources:
                remove_file(path)
    except OSError as error:
        sys.stderr.write(f"edge-agent: {folder}: the configuration cannot be kept: {error}\n")


def _keep(path: Path, content: bytes) -> None:
    """Written only when it is new: a card wears."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        replace_file(path, content)
