"""What a command says, once its signature is known to be good.

Owns: the body's fields and their ranges, and the answers' form. Must not: judge: whether the
command may be followed is the desk's to say.
"""

from typing import Annotated, Any, Final

import msgspec

MAX_TTL_MS: Final = 10_000
MAX_AGE_MS: Final = 60_000
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Nonce = Annotated[str, msgspec.Meta(max_length=16)]


def _no_args() -> msgspec.Raw:
    """An empty map."""
    return msgspec.Raw(b"\x80")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """One command. Unknown keys are ignored, unless `must` names them.

    `boot` and `sess` are the device's, from its status; `ctr` grows with every command of the
    key; `ttl` in ms counts from the moment the device has received it or, where `age` says how
    many ms ago the sender heard of a new `sess`, from sending. `dry`: check, do not act.
    """

    id: _Id
    dev: _Id
    op: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    args: msgspec.Raw = msgspec.field(default_factory=_no_args)
    boot: _Nonce = ""
    sess: _Nonce = ""
    ctr: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    ttl: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_MS)]
    age: Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE_MS)] | None = None
    by: Annotated[str, msgspec.Meta(max_length=64)] = ""
    dry: bool = False
    must: Annotated[tuple[_Id, ...], msgspec.Meta(max_length=16)] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether commands are taken, and what they must name. `why` says why not; `run` names the
    run of the gateway that says so."""

    on: bool
    why: str = ""
    boot: str = ""
    sess: str = ""
    agent: str = ""
    run: str = ""


def read_status(payload: bytes) -> dict[str, Any]:
    """What a device says of itself, with keys that this version does not know as well;
    msgspec.DecodeError for what is no status."""
    status = msgspec.msgpack.decode(payload, type=dict[str, Any])
    msgspec.convert(status, Status)
    return status


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer on `resp`. `(boot, seq)` names it: a copy is the same answer again.

    `at` is the device's monotonic clock in ns: for differences, not for the time of day.
    """

    id: str
    st: str
    boot: str
    seq: int
    at: int
    why: dict[str, Any] = {}  # msgspec copies mutable defaults
    data: dict[str, Any] = {}


KNOWN_FIELDS: Final = frozenset(Body.__struct_fields__)


def decode_body(data: bytes) -> Body | None:
    """The body; None when it is not one."""
    try:
        return msgspec.msgpack.decode(data, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def source_of(way: str, kid: str, by: str) -> str:
    """Who asks, as an intent names it: on which way, with which key, and the person if told."""
    return f"{way}:{kid}:{by}" if by else f"{way}:{kid}"
