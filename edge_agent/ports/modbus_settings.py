"""The `[[modbus]]` sections of the configuration: their shape, and whether they fit.

Owns: the structs that the configuration embeds, and `modbus_plan`, which turns a checked
section into the requests of its line. Must not: name an actuator, or need pymodbus: a
configuration can be read where it is not installed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import require_range
from edge_agent.ports.modbus_frames import BITS_MAX, REGISTERS_MAX, Ask, Function
from edge_agent.ports.modbus_master import Field, Plan, Request
from edge_agent.ports.rows import Target, targets
from edge_agent.safety.limits import SensorLimits

_FUNCTIONS: Mapping[str, Function] = {
    "coil": Function.READ_COILS,
    "discrete-input": Function.READ_DISCRETE_INPUTS,
    "holding": Function.READ_HOLDING_REGISTERS,
    "input": Function.READ_INPUT_REGISTERS,
}
# Type -> layout of `struct` and how many registers.
_TYPES: Mapping[str, tuple[str, int]] = {
    "uint16": (">H", 1),
    "int16": (">h", 1),
    "uint32": (">I", 2),
    "int32": (">i", 2),
    "float32": (">f", 2),
}
_ADDRESSES = 65_536
_BITS_PER_CHARACTER = 9  # a start bit and the data; parity and stop bits come on top
_GAP_CHARACTERS = 3.5
_GAP_FAST_NS = 1_750_000  # above 19200 bit/s the standard fixes it
_FIXED_GAP_ABOVE = 19_200


class ModbusSensor(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"data_type": "type"},
):
    """One row of `sensor`: which bit or register of which device gives a channel its value.

    `address` is the one on the wire, from 0: holding register 40001 of a manual is 0. value =
    raw * scale + offset, in `unit`. `max_age_s` may tighten the envelope's limit.
    """

    channel: str
    device_id: int
    kind: Literal["coil", "discrete-input", "holding", "input"]
    address: int
    unit: str
    data_type: Literal["uint16", "int16", "uint32", "int32", "float32"] = "uint16"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    offset: float = 0.0
    max_age_s: float | None = None


class Modbus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[modbus]]` section: a line of Modbus RTU devices that are read; sensors only.

    Every row is read once in `period_s`; a device has `timeout_s` to answer.
    """

    port: str
    sensor: tuple[ModbusSensor, ...]
    baud: int = 19200
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 0.5
    period_s: float = 1.0


class _Wanted(NamedTuple):
    """One row, placed: what it would ask if it were alone, and how its number stands there."""

    ask: Ask
    layout: str
    low_word_first: bool
    target: Target


def modbus_plan(settings: Modbus, sensors: Sequence[SensorLimits], where: str) -> Plan:
    """The requests of one section; ConfigError for the first thing that cannot work."""
    require_range(settings.timeout_s, 0.01, 10, f"{where}.timeout_s")
    require_range(settings.period_s, 0.01, 3600, f"{where}.period_s")
    wanted = []
    for here, row, target in targets(settings.sensor, sensors, where):
        wanted.append(_placed(row, target, here))
        age_s = target.limits.max_age_ns / NS_PER_S
        if settings.period_s >= age_s:
            raise ConfigError(
                f"{row.channel} may only be {age_s:g} s old",
                where=f"{where}.period_s",
                fix=f"ask more often than every {age_s:g} s",
            )
        if settings.timeout_s >= age_s:
            raise ConfigError(
                f"{row.channel} may only be {age_s:g} s old: one missed answer would cost longer",
                where=f"{where}.timeout_s",
                fix=f"wait shorter than {age_s:g} s for an answer",
            )
    bits = _BITS_PER_CHARACTER + (settings.parity != "none") + settings.stop_bits
    character_ns = bits * NS_PER_S // settings.baud
    is_fast = settings.baud > _FIXED_GAP_ABOVE
    return Plan(
        requests=tuple(_requests(wanted)),
        character_ns=character_ns,
        gap_ns=_GAP_FAST_NS if is_fast else round(_GAP_CHARACTERS * character_ns),
        timeout_ns=round(settings.timeout_s * NS_PER_S),
        period_ns=round(settings.period_s * NS_PER_S),
    )


def _placed(row: ModbusSensor, target: Target, where: str) -> _Wanted:
    require_range(row.device_id, 1, 247, f"{where}.device_id")
    alone = Ask(row.device_id, _FUNCTIONS[row.kind], row.address, 1)
    layout, registers = _TYPES[row.data_type]
    if alone.is_bits:
        if (row.data_type, row.word_order) != ("uint16", "big"):
            raise ConfigError(
                f"a {row.kind} is one bit", where=where, fix="remove `type` and `word_order`"
            )
        layout, registers = "", 1
    require_range(row.address, 0, _ADDRESSES - registers, f"{where}.address")
    low_word_first = row.word_order == "little"
    return _Wanted(alone._replace(quantity=registers), layout, low_word_first, target)


def _requests(wanted: Sequence[_Wanted]) -> Iterator[Request]:
    """Rows that touch each other in one request each, as far as an answer can hold them; a row
    is never torn apart, so both halves of a number come in one answer. What lies between two
    rows is not read: many devices refuse a request that touches an address they do not have."""
    run: list[_Wanted] = []
    for one in sorted(wanted, key=lambda one: one.ask):
        if run and not _fits(one.ask, run[0].ask, _end(run)):
            yield _request(run)
            run = []
        run.append(one)
    yield _request(run)


def _end(run: Sequence[_Wanted]) -> int:
    """The first address behind them."""
    return max(one.ask.address + one.ask.quantity for one in run)


def _fits(ask: Ask, first: Ask, end: int) -> bool:
    """Whether it touches a run from `first` to `end`, and one answer can hold both."""
    longest = BITS_MAX if ask.is_bits else REGISTERS_MAX
    is_near = ask[:2] == first[:2] and ask.address <= end
    return is_near and ask.address + ask.quantity - first.address <= longest


def _request(run: Sequence[_Wanted]) -> Request:
    first = run[0].ask
    fields = (
        Field(one.target, one.ask.address - first.address, one.layout, one.low_word_first)
        for one in run
    )
    return Request(first._replace(quantity=_end(run) - first.address), tuple(fields))
