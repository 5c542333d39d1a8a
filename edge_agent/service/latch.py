"""The latch: a trip outlives the process that tripped.

Owns: the one small file that says so, and its reading. Must not: decide, or touch a disk inside
the tick; the keeper's thread does. The file appears when the supervisor trips and goes when it
is reset.

A file that cannot be read counts as a trip: what it would have said is not known. So does one that
another version of the program has written: it is a trip by being there, and what it says beyond
the fields below is left as it is.
"""

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.core.clock import utc_now_ns
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Mode, Reason, Rule, TickRecord
from edge_agent.decision.words import explain_reason
from edge_agent.safety.limits import Envelope
from edge_agent.service.durable import remove_file, replace_file
from edge_agent.service.keeper import Keeper

_FILE: Final = "trip.json"
_NS_PER_S: Final = 1_000_000_000
_SCHEMA: Final = 1


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    rule: int
    channel: int
    number: int
    words: str
    utc: str
    boot: str  # of the run that tripped
    schema: int = _SCHEMA  # fields may be added; those above keep their names and meaning

    @property
    def cause(self) -> Reason:
        return Reason(self.rule, self.channel, self.number)


def latch_path(state_dir: Path) -> Path:
    """Where the trip of the agent with this state folder is kept."""
    return state_dir / _FILE


def read_trip(path: Path) -> Trip | None:
    """The trip that nobody has reset, None when there is none. Never raises: a file that is
    there and says nothing is a trip as well."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Trip)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        words = f"{path} cannot be read ({error}), which counts as a trip"
        return Trip(
            rule=Rule.TRIP_UNREADABLE, channel=-1, number=0, words=words, utc="unknown", boot=""
        )


def remove_trip(path: Path) -> None:
    """Forget the trip, also after a power cut. Raises OSError."""
    remove_file(path)


def make_trip(cause: Reason, envelope: Envelope, boot: str, more: str = "") -> Trip:
    """A trip that happens now; `more` is added to its words."""
    return Trip(
        rule=cause.rule,
        channel=cause.channel,
        number=cause.number,
        words=explain_reason(cause, envelope) + more,
        utc=_utc_words(utc_now_ns()),
        boot=boot,
    )


def keep_trip(path: Path, trip: Trip) -> bool:
    """Write the trip through to the disk; whether that worked. What did not is said on standard
    error."""
    try:
        replace_file(path, _content(trip))
    except OSError as error:
        sys.stderr.write(f"edge-agent: {path}: the trip cannot be kept: {error}\n")
        return False
    return True


def require_writable(path: Path) -> None:
    """ConfigError when a trip could not be kept here."""
    folder = path.parent
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            "cannot be written, so a trip would not outlive a restart",
            where=f"state_dir {folder}",
            fix="create the folder and give it to the agent's user, or set another state_dir",
        )


class TripLatch:
    """Keeps the file in step with the supervisor."""

    def __init__(self, path: Path, envelope: Envelope, boot: str) -> None:
        self._envelope = envelope
        self._boot = boot
        self._tripped = path.exists()
        self._keeper = Keeper(path, "the trip")

    def publish(self, tick: TickRecord) -> None:
        """Look at one tick; never waits."""
        tripped = tick.mode == Mode.TRIPPED
        if tripped == self._tripped:
            return
        self._tripped = tripped
        cause = tick.cause or Reason(Rule.NOT_EVALUATED)
        trip = make_trip(cause, self._envelope, self._boot)
        self._keeper.put(_content(trip) if tripped else None)

    def close(self) -> None:
        """Write what is still to be written, within a bounded time."""
        self._keeper.close()


def _content(trip: Trip) -> bytes:
    return msgspec.json.encode(trip) + b"\n"


def _utc_words(utc_ns: int) -> str:
    return datetime.fromtimestamp(utc_ns / _NS_PER_S, tz=UTC).isoformat(timespec="seconds")
