"""Composition of `edge-agent reset`: a person says that the cause of a trip is gone.

Owns: the refusal while a control process lives, and the account of what was reset. Must not:
arm anything.
"""

from edge_agent.app_gateway import ask_status
from edge_agent.config import Settings, state_folder
from edge_agent.core.errors import PortError, TransientError
from edge_agent.service.latch import latch_path, read_trip, remove_trip
from edge_agent.service.starts import forget_crashes


def reset(settings: Settings) -> str:
    """Remove the latched trip and say what it was. TransientError when an agent is running or
    the file cannot be removed."""
    if _is_running(settings):
        raise TransientError(
            "an agent is running with this state",
            where="reset",
            fix="stop it first; a trip is reset between two runs, by a person who has looked",
        )
    path = latch_path(state_folder(settings))
    trip = read_trip(path)
    if trip is None:
        return f"nothing to reset: no trip is kept in {path.parent}"
    try:
        remove_trip(path)
        forget_crashes(path.parent)
    except OSError as error:
        raise TransientError(
            f"cannot be removed: {error.strerror}", where=str(path), fix="run as its owner"
        ) from error
    return f"reset: {trip.words} ({trip.utc})\nthe next run starts SAFE and may be armed"


def _is_running(settings: Settings) -> bool:
    """Whether somebody holds the socket; one that does not answer is somebody too."""
    try:
        ask_status(settings)
    except PortError as error:
        return not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)
    return True
