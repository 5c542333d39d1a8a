"""The keyring's file, watched: another keyring is taken without a restart.

Owns: the thread that looks at the file, and the note of the highest version that a root has
signed, so that an older keyring is refused also after a restart. Must not: use a key, or touch a
disk inside the tick: the loop takes a keyring that is ready, or nothing.

A keyring that cannot be taken leaves the last good one in force, and is told.
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.authority.keyring import Keyring, parse_keyring
from edge_agent.core.errors import ConfigError
from edge_agent.service.durable import replace_file
from edge_agent.service.private_file import read_private

LOOK_EVERY_S: Final = 1.0
_FILE: Final = "keyring-version.json"
_CLOSE_WITHIN_S: Final = 5.0


class _Newest(msgspec.Struct, frozen=True, kw_only=True):
    """What the note says. Fields may be added and these keep their meaning, so that an older
    version of the program, after a roll-back, still refuses keys that were withdrawn."""

    ver: int
    sha256: str
    schema: int = 1


class KeyringSource:
    """Where one device's keyring is, and what it must be. `root` empty: it is not signed.
    `open_private` refuses a file that others could read."""

    def __init__(
        self,
        path: Path,
        device_id: str,
        root: bytes,
        state_dir: Path,
        open_private: Callable[[Path], bytes] = read_private,
    ) -> None:
        self.path = path
        self._open_private = open_private
        self._device_id = device_id
        self._root = root
        self._note = state_dir / _FILE

    def read(self) -> Keyring:
        """The keyring, to be used from now on; ConfigError when it may not be.

        A signed one is noted before it is returned: from then on, an older one is refused.
        """
        keyring = self.check()
        noted = self._newest() if self._root else None
        if self._root and (noted is None or noted.ver != keyring.version):
            self._keep(_Newest(ver=keyring.version, sha256=keyring.digest))
        return keyring

    def check(self) -> Keyring:
        """The keyring, if it may be used; ConfigError when it may not be. Notes nothing."""
        where = f"keyring {self.path}"
        keyring = parse_keyring(self._open_private(self.path), self._device_id, where, self._root)
        if not self._root:
            return keyring
        newest = self._newest()
        if newest is None or keyring.version > newest.ver:
            return keyring
        if keyring.version < newest.ver:
            raise ConfigError(
                f"is version {keyring.version}, and version {newest.ver} was seen",
                where=where,
                fix="sign a newer one: keys that were withdrawn may not come back with an old file",
            )
        if keyring.digest != newest.sha256:
            raise ConfigError(
                f"is another version {keyring.version} than the one that was seen",
                where=where,
                fix="give every keyring that is signed a version of its own",
            )
        return keyring

    def _newest(self) -> _Newest | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Newest)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"cannot be read: {error}",
                where=str(self._note),
                fix="remove it if you are sure that the present keyring is the newest",
            ) from None

    def _keep(self, newest: _Newest) -> None:
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._note, msgspec.json.encode(newest) + b"\n")
        except OSError as error:
            raise ConfigError(
                f"the keyring's version cannot be kept: {error.strerror}",
                where=str(self._note),
                fix="give the agent's user the folder, or set another state_dir",
            ) from error


class KeyringWatch:
    """Looks at the file once a second, on a thread of its own."""

    def __init__(
        self, source: KeyringSource, say: Callable[[str], object] = sys.stderr.write
    ) -> None:
        """ConfigError when the first keyring cannot be taken. `say` gets a line for each change."""
        self._source = source
        self._say = say
        self._seen = self._mark()
        self.first = source.read()
        self._version = self.first.version
        self._refused = 0
        self._words = ""
        self._news: queue.SimpleQueue[Keyring | str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, name="keyring", daemon=True)
        self._thread.start()

    def take(self) -> Keyring | str | None:
        """A keyring that is to be used from now on, or why one is not; None: no news. Never
        waits."""
        with contextlib.suppress(queue.Empty):
            return self._news.get_nowait()
        return None

    def status(self) -> dict[str, int | str]:
        """Version in force, and what became of the last file that could not be taken."""
        return {
            "keyring.version": self._version,
            "keyring.refused": self._refused,
            "keyring.problem": self._words,
        }

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(_CLOSE_WITHIN_S)

    def _look(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            mark = self._mark()
            if mark != self._seen:
                self._seen = mark
                self._try()

    def _try(self) -> None:
        try:
            keyring = self._source.read()
        except ConfigError as error:
            self._refused += 1
            self._words = str(error)
            self._news.put(self._words)
            self._say(f"edge-agent: keyring not taken, the last good one stays: {error}\n")
            return
        self._version, self._words = keyring.version, ""
        self._news.put(keyring)
        self._say(f"edge-agent: keyring version {keyring.version} is in force\n")

    def _mark(self) -> tuple[int, ...]:
        """Differs when the file does."""
        try:
            found = self._source.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
