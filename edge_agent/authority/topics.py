"""The names on the wire of the control plane: topics of one device.

Owns: the topic tree. Must not: know a client. An id is one topic level without dots, because
some brokers map "/" to "." and back.
"""

import re
from typing import Final, NamedTuple

ROOT: Final = "ed/v1"
ALL: Final = "_all"  # no device's id
ALL_STOP: Final = f"{ROOT}/{ALL}/stop"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Topics(NamedTuple):
    """Where a device speaks and is spoken to."""

    status: str
    resp: str
    cmd: str
    meta: str
    tele: str
    evt: str
    desired: str
    reported: str


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a device or of a key. "_all" can not."""
    return _ID.fullmatch(text) is not None


def topics_of(device_id: str) -> Topics:
    """The topics of one device."""
    base = f"{ROOT}/{device_id}"
    return Topics(*(f"{base}/{leaf}" for leaf in Topics._fields))
