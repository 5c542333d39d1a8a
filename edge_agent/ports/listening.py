"""A listening Unix socket that appears whole and replaces only a dead one.

Owns: the checks before it and the moment at which its name appears. Must not: accept anybody.
"""

import errno
import os
import socket
import stat
from pathlib import Path

from edge_agent.core.errors import PortError

# sun_path holds 108 bytes with the final zero; the temporary name adds up to 12.
_PATH_BYTES_MAX = 95


def listen(path: Path, backlog: int) -> socket.socket:
    """A listening socket at `path`, replacing one that nobody listens on any more.

    The name appears by rename, after the mode is set and listening began: there is no moment
    at which others could connect or at which a connect is refused. Its folder says who may
    connect: the owner, and the group if that may enter and others may not.
    """
    where = str(path)
    if len(os.fsencode(path)) > _PATH_BYTES_MAX:
        raise PortError(
            f"socket path is longer than {_PATH_BYTES_MAX} bytes",
            where=where,
            fix="choose a shorter runtime directory",
        )
    _refuse_unless_free(path)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    try:
        fresh.unlink(missing_ok=True)
        sock.bind(str(fresh))
        fresh.chmod(0o660 if _shared_with_group(path.parent) else 0o600)
        sock.listen(backlog)
        fresh.rename(path)
    except OSError as error:
        sock.close()
        raise PortError(
            f"cannot listen: {error.strerror}",
            where=where,
            fix="the directory must exist and be writable by this user",
        ) from error
    return sock


def _shared_with_group(folder: Path) -> bool:
    """Whether somebody gave the folder to a group on purpose: 0750 and its like, never 0755."""
    return folder.stat().st_mode & 0o017 == stat.S_IXGRP


def _refuse_unless_free(path: Path) -> None:
    where = str(path)
    try:
        mode = path.lstat().st_mode
    except OSError:  # absent, or a directory problem that binding reports better
        return
    if not stat.S_ISSOCK(mode):
        raise PortError("exists and is not a socket", where=where, fix="remove it or move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(where)
        except ConnectionRefusedError:
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:  # EAGAIN: alive, its backlog is full
                raise PortError(
                    f"cannot be checked: {error.strerror}", where=where, fix="remove the file"
                ) from error
    raise PortError(
        "another control process is running here",
        where=where,
        fix="stop it first, or choose another runtime directory",
    )
