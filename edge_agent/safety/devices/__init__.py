"""The hard-coded envelopes, one file a device, and how they are found by name.

A user's own installed package adds a device through the entry point group
`edge_agent.devices` (name = device, value = `module:ENVELOPE`). Installed means chosen by
whoever installs software on the board; a writable file can never name an envelope.
"""

from typing import TYPE_CHECKING

from edge_agent.core.errors import ConfigError
from edge_agent.safety.checks import require_sound
from edge_agent.safety.devices import air_handler
from edge_agent.safety.limits import Envelope

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_GROUP = "edge_agent.devices"


def names() -> list[str]:
    """Every device that can be named in a configuration."""
    return sorted({air_handler.ENVELOPE.device, *(e.name for e in _installed())})


def find(device: str) -> Envelope:
    """The envelope of `device`, checked; ConfigError when there is none or it is unsound."""
    if device == air_handler.ENVELOPE.device:
        envelope: object = air_handler.ENVELOPE
    else:
        matches = [e for e in _installed() if e.name == device]
        if len(matches) != 1:
            raise ConfigError(
                f"{len(matches)} installed packages provide the device {device!r}",
                where="device",
                fix=f"use one of: {', '.join(names())}",
            )
        try:
            envelope = matches[0].load()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the package that provides {device!r} cannot be loaded: {error}",
                where="device",
                fix="repair or reinstall that package",
            ) from error
    if not isinstance(envelope, Envelope):
        raise ConfigError(
            f"device {device!r} is not an Envelope but {type(envelope).__name__}",
            where="device",
            fix="its entry point must name an edge_agent.safety.limits.Envelope",
        )
    if envelope.device != device:
        raise ConfigError(
            f"the entry point {device!r} gives the envelope of {envelope.device!r}",
            where="device",
            fix="its name must be the name of the device",
        )
    require_sound(envelope)
    return envelope


def _installed() -> "EntryPoints":
    """What other packages offer; imported here because it costs 40 ms that most starts save."""
    from importlib.metadata import entry_points

    return entry_points(group=_GROUP)
