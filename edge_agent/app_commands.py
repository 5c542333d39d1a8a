"""Composition of the control plane's commands in the control process.

Owns: the keyring's file, the random numbers, and the two ends that the desk does not know.
Must not: judge; the desk does. There is no network here, only a Unix socket.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_agent import __version__
from edge_agent.authority.desired import OP as DESIRED
from edge_agent.authority.desired import DesiredState, Kept, Site
from edge_agent.authority.desk import Desk, Office
from edge_agent.authority.events import EventLog, Refusal
from edge_agent.authority.keyring import Keyring, key_bytes
from edge_agent.authority.sessions import Sessions
from edge_agent.authority.topics import topics_of
from edge_agent.config import Settings, command_socket_path, state_folder
from edge_agent.core.clock import NS_PER_MS, SystemClock, utc_now_ns
from edge_agent.core.command_ipc import Carried, EventsKept, InForce, LinkUp, TwinSeen, Wanted
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Intent, TickRecord
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.ports.command_relay import CommandRelay
from edge_agent.service.keeper import Keeper
from edge_agent.service.keyring_file import KeyringSource, KeyringWatch
from edge_agent.service.private_file import CREDENTIALS, read_credential

_CREDENTIAL = "keyring"
_DESIRED_FILE = "desired.bin"
_NONCE_BYTES = 8


class NoCommands:
    """No `[plane]` is configured: nobody commands from afar."""

    def fileno(self) -> None:
        """There is nothing to wait for."""

    def serve(self, now_ns: int) -> None:
        """Nothing comes."""

    def intents(self, now_ns: int) -> tuple[Intent, ...]:  # noqa: ARG002 - one of its kind
        """Nobody wishes anything."""
        return ()

    def publish(self, tick: TickRecord) -> None:
        """Nobody asks."""

    def close(self) -> None:
        """There is nothing to release."""


class Offices(NamedTuple):
    """The pure parts: who judges commands, who the desired state, and who tells of both."""

    desk: Desk
    desired: DesiredState
    log: EventLog


class PlaneCommands:
    """What judges and tells, between its socket, its files and the loop."""

    def __init__(
        self, relay: CommandRelay, offices: Offices, keyrings: KeyringWatch, keeper: Keeper
    ) -> None:
        self._relay = relay
        self._desk, self._desired, self._log = offices
        self._keyrings = keyrings
        self._keeper = keeper
        self._peer = 0  # the gateway that was met last
        self._reported = b""
        self._report_due = True

    def fileno(self) -> int | None:
        """Readable when a gateway has said something."""
        return self._relay.fileno()

    def serve(self, now_ns: int) -> None:
        """Judge what has come, and answer."""
        self._look_at_keyring(now_ns)
        for message in self._relay.take():
            match message:
                case LinkUp(number=number):
                    sessions = self._desk.sessions
                    self._desk.sessions = sessions.reconnected(_nonce(), now_ns, number)
                    self._relay.send(self._desk.standing)
                case TwinSeen(reason=reason):
                    self._log.note("identity", "alarm", {"reason": reason}, (now_ns, _utc_ms()))
                case EventsKept():
                    self._log.kept(message)
                case Wanted(sealed=sealed):
                    self._want(sealed, now_ns)
                case Carried():
                    self._relay.send(self._desk.receive(message, now_ns))
                    for refusal in self._desk.take_refusals():
                        self._log.refused(refusal, now_ns, _utc_ms())

    def _look_at_keyring(self, now_ns: int) -> None:
        found = self._keyrings.take()
        if isinstance(found, Keyring):
            self._desk.replace_keyring(found)
            self._desired.replace_keyring(found)
            self._log.note("keyring", "info", {"ver": found.version}, (now_ns, _utc_ms()))
        elif found is not None:
            self._log.note("keyring", "warning", {"refused": found}, (now_ns, _utc_ms()))

    def intents(self, now_ns: int) -> tuple[Intent, ...]:
        """What was accepted since the last tick."""
        if self._desk.sessions.due(now_ns):
            self._desk.sessions = self._desk.sessions.renewed(_nonce(), now_ns)
            self._relay.send(self._desk.standing)
        # A command in the same tick is the newer wish.
        return (*self._desired.intents(), *self._desk.intents(now_ns))

    def publish(self, tick: TickRecord) -> None:
        """Answer what the tick has settled, and tell what it has changed."""
        for answer in self._desk.settle(tick):
            self._relay.send(answer)
        self._log.watch(tick, _utc_ms())
        self._desired.watch(tick)
        if self._peer != self._relay.peer:
            self._peer = self._relay.peer
            self._log.send_again()
            self._report_due = True
        self._report()
        for happened in self._log.unsent():
            if not self._relay.has_room or not self._relay.send(happened):
                break
            self._log.sent(happened.seq)

    def _want(self, sealed: bytes, now_ns: int) -> None:
        """Judge a desired document; a good one is kept on the disk, by a thread."""
        outcome = self._desired.receive(sealed)
        kept = self._desired.kept
        if outcome == "applied" and kept is not None:
            self._keeper.put(msgspec.msgpack.encode(kept))
            self._log.note(DESIRED, "info", {"ver": kept.ver}, (now_ns, _utc_ms()))
        elif outcome != "known":
            self._log.refused(Refusal(outcome, op=DESIRED), now_ns, _utc_ms())

    def _report(self) -> None:
        """Tell the gateway what is in force, when it has changed or the gateway is another."""
        report = self._desired.report()
        if report is not None:
            self._reported, self._report_due = report, True
        if self._report_due and self._relay.has_room:
            news = InForce(self._reported, self._desired.rate_hz)
            self._report_due = not self._relay.send(news)

    def status(self) -> dict[str, int | str]:
        """Every outcome, counted, and the keyring."""
        return {**self._desk.counters(), **self._log.counters(), **self._keyrings.status()}

    def close(self) -> None:
        """Look at no keyring any more, and keep what is still to be kept."""
        self._keyrings.close()
        self._keeper.close()


class CommandParts(NamedTuple):
    """What a configured plane adds to the control process."""

    commands: NoCommands | PlaneCommands
    ports: Mapping[str, CommandRelay]
    reporting: Mapping[str, PlaneCommands]


def open_commands(settings: Settings, boot: str, *, monitor_only: bool) -> CommandParts:
    """The configured plane, or nothing; `monitor_only`: no command can make this run drive.
    ConfigError or PortError when it cannot work."""
    plane = settings.config.plane
    if plane is None:
        return CommandParts(NoCommands(), {}, {})
    keyrings = KeyringWatch(keyring_source(plane, os.environ, state_folder(settings)))
    relay = CommandRelay(command_socket_path(settings))
    office = Office(
        plane.id, keyrings.first, settings.envelope, monitor_only, frozenset(plane.local_only)
    )
    desk = Desk(office, Sessions(boot, _nonce(), 0))
    log = EventLog(boot, settings.envelope)
    log.note("started", "info", {"agent": __version__}, (SystemClock().now_ns(), _utc_ms()))
    desired_path = state_folder(settings) / _DESIRED_FILE
    site = Site(
        plane.id,
        topics_of(plane.id).desired,
        keyrings.first,
        settings.envelope,
        boot,
        "monitor" if monitor_only else settings.config.control,
        plane.telemetry_rate_hz,
        frozenset(plane.local_only),
    )
    offices = Offices(desk, DesiredState(site, read_desired(desired_path)), log)
    keeper = Keeper(desired_path, "the desired state")
    commands = PlaneCommands(relay, offices, keyrings, keeper)
    return CommandParts(commands, {"commands": relay}, {"authority": commands})


def read_desired(path: Path) -> Kept | None:
    """The desired state that the last run kept; None, and a word on stderr, when it cannot be
    read: the broker still has the document, or the plane sends it again."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        sys.stderr.write(f"edge-agent: {path}: the desired state cannot be read: {error}\n")
        return None


def keyring_source(
    plane: PlaneSettings, environment: Mapping[str, str], state_dir: Path
) -> KeyringSource:
    """`keyring_file`, or the systemd credential; ConfigError when there is neither."""
    folder = environment.get(CREDENTIALS, "")
    if not plane.keyring_file and not folder:
        raise ConfigError(
            "no keyring",
            where="plane.keyring_file",
            fix="set it, or give the service LoadCredential=keyring:/etc/edge-agent/keyring.json",
        )
    root, kept = key_bytes(plane.root_key) or b"", state_dir
    if plane.keyring_file:
        return KeyringSource(Path(plane.keyring_file), plane.id, root, kept)
    return KeyringSource(Path(folder) / _CREDENTIAL, plane.id, root, kept, read_credential)


def _utc_ms() -> int:
    return utc_now_ns() // NS_PER_MS


def _nonce() -> str:
    return secrets.token_hex(_NONCE_BYTES)
