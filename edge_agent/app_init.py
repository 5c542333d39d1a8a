"""Composition of `edge-agent init`: a folder to begin with.

Owns: which files there are, their names and modes. Must not: write over anything. All is written
beside the folder and then renamed into place: there is a whole one, or none.
"""

import re
import shutil
import tempfile
from pathlib import Path

from edge_agent.client.key_file import NewKey, make_key
from edge_agent.core.errors import ConfigError, TransientError
from edge_agent.safety import devices

_STARTER = Path(__file__).resolve().parent / "starter"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_MAX = 40
_PLACEHOLDER = "my-device"
_MODE = 0o755


def init(folder: Path, device: str) -> str:
    """Write the folder; what to do next, in words. ConfigError when it is not empty."""
    folder = folder.absolute()
    if _NAME.fullmatch(device) is None or len(device) > _NAME_MAX or device in devices.names():
        raise ConfigError(
            f"{device!r} cannot be the name of a new device",
            where="--device",
            fix="letters, digits and '-', such as tank-heater, and none that is installed",
        )
    if not str(folder).isprintable() or any(mark in str(folder) for mark in '"\\'):
        raise ConfigError("has a name that TOML cannot hold", where=str(folder), fix="another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            "is there already, and nothing is written over", where=str(folder), fix="another folder"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _failed(folder, error) from error
    try:
        _fill(fresh, folder, device)
        fresh.chmod(_MODE)
        fresh.rename(folder)
    except OSError as error:
        raise _failed(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return _next_steps(folder, device)


def _fill(fresh: Path, folder: Path, device: str) -> None:
    module = device.replace("-", "_")
    names = {
        "agent.toml": "agent.toml",
        "package.toml": f"{device}/pyproject.toml",
        "device.py": f"{device}/{module}/__init__.py",
    }
    for source, target in names.items():
        text = (_STARTER / source).read_text("utf-8").replace(_PLACEHOLDER, device)
        text = text.replace(_PLACEHOLDER.replace("-", "_"), module).replace("FOLDER", str(folder))
        path = fresh / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    keys = fresh / "keys"
    keys.mkdir(mode=0o700)
    make_key(NewKey(device=device, kid="operator", role="cmd"), keys)


def _failed(folder: Path, error: OSError) -> TransientError:
    return TransientError(
        f"cannot be written: {error.strerror}",
        where=str(folder),
        fix="another folder, or its owner",
    )


def _next_steps(folder: Path, device: str) -> str:
    return f"""\
{folder}/agent.toml   a simulation, until you change it
{folder}/{device}/   the package of your device: its limits
{folder}/keys/   {device}.keyring.json for the board, {device}.operator.key.json for you

next:
  edge-agent check --config {folder}/agent.toml
  edge-agent run --arm --config {folder}/agent.toml
  edit {folder}/{device}/, then: python -m pip install --no-deps {folder}/{device}
  edge-agent envelope show {device}"""
