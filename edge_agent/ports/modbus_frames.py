"""Frames of Modbus RTU: requests to read, and the answers to them.

Owns: the one use of the optional package `pymodbus`, which encodes, decodes and checks them.
Must not: open a port, keep a byte, or know a function that writes: `Function` has none.

pymodbus' own reader finds frames in a stream by trial. Whoever asked knows how long the answer
is, so pymodbus only ever sees one candidate of exactly that length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from edge_agent.core.errors import ConfigError

REGISTERS_MAX = 125  # of one answer
BITS_MAX = 2000
REQUEST_SIZE = 8  # device, function, address, count, CRC
_AROUND_DATA = 5  # device, function, how many bytes; CRC
_EXCEPTION_SIZE = 5
_EXCEPTION = 0x80  # added to the function of a request that the device refuses
_FIX = "pip install 'edge-autonomy[modbus]'"
# MODBUS Application Protocol V1.1b3, section 7.
_EXCEPTIONS: Mapping[int, str] = MappingProxyType(
    {
        1: "illegal_function",
        2: "illegal_data_address",
        3: "illegal_data_value",
        4: "server_device_failure",
        5: "acknowledge",
        6: "server_device_busy",
        8: "memory_parity_error",
        10: "gateway_path_unavailable",
        11: "gateway_target_failed_to_respond",
    }
)
# The example of "read holding registers" in every text on Modbus.
_GOLDEN_REQUEST = bytes.fromhex("11 03 006B 0003 7687")
_GOLDEN_ANSWER = bytes.fromhex("11 03 06 AE41 5652 4340 49AD")


class Function(IntEnum):
    """What may be asked: to read."""

    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4


class Ask(NamedTuple):
    """One request: so many bits or registers of one device."""

    device_id: int
    function: Function
    address: int
    quantity: int

    @property
    def is_bits(self) -> bool:
        """Whether it asks for bits; for registers otherwise."""
        return self.function in {Function.READ_COILS, Function.READ_DISCRETE_INPUTS}

    @property
    def data_size(self) -> int:
        """Bytes of data in the answer."""
        return (self.quantity + 7) // 8 if self.is_bits else 2 * self.quantity

    @property
    def answer_size(self) -> int:
        """Bytes of the whole answer."""
        return _AROUND_DATA + self.data_size


class Fault(StrEnum):
    """Why a request has no answer."""

    SILENT = "silent"
    INCOMPLETE = "incomplete"
    CHECKSUM = "checksum"
    WRONG_DEVICE = "wrong_device"
    WRONG_FUNCTION = "wrong_function"
    WRONG_LENGTH = "wrong_length"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device answered that it will not, and why: illegal_data_address and its like."""

    name: str


Values = tuple[int, ...]


class Found(NamedTuple):
    """An intact answer, and where it ends in the bytes that it was found in."""

    answer: Values | Refusal
    end: int


class Codec:
    """pymodbus' frames without its client."""

    def __init__(self, where: str) -> None:
        """ConfigError, for the section `where`, when pymodbus is missing or not as it was."""
        try:
            from pymodbus.framer import FramerRTU
            from pymodbus.pdu import DecodePDU
            from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
            from pymodbus.pdu.register_message import (
                ReadHoldingRegistersRequest,
                ReadInputRegistersRequest,
            )
        except ImportError as error:
            raise ConfigError(
                f"needs the package pymodbus, 3.12 to 3.16 ({error})", where=where, fix=_FIX
            ) from None
        self._requests: dict[Function, Any] = {
            Function.READ_COILS: ReadCoilsRequest,
            Function.READ_DISCRETE_INPUTS: ReadDiscreteInputsRequest,
            Function.READ_HOLDING_REGISTERS: ReadHoldingRegistersRequest,
            Function.READ_INPUT_REGISTERS: ReadInputRegistersRequest,
        }
        self._framer: Any = FramerRTU(DecodePDU(is_server=False))
        if not self._is_as_it_was():
            raise ConfigError(
                "this version of pymodbus makes other frames than those it was tried with",
                where=where,
                fix=_FIX,
            )

    def request(self, ask: Ask) -> bytes:
        """The frame to send."""
        kind = self._requests[ask.function]
        message = kind(address=ask.address, count=ask.quantity, dev_id=ask.device_id)
        frame: bytes = self._framer.buildFrame(message)
        return frame

    def answer(self, ask: Ask, data: bytes) -> Found | None:
        """The first intact answer in `data`, with whatever stands before and after it."""
        # With the size: the framer itself would take a shorter answer with noise behind it.
        values = bytes((ask.device_id, ask.function, ask.data_size))
        refusal = bytes((ask.device_id, ask.function | _EXCEPTION))
        for head, size in ((values, ask.answer_size), (refusal, _EXCEPTION_SIZE)):
            start = data.find(head)
            while 0 <= start <= len(data) - size:
                message = self._decode(data[start : start + size], size)
                if message is not None:
                    return Found(self._meaning(ask, message), start + size)
                start = data.find(head, start + 1)
        return None

    def fault(self, ask: Ask, data: bytes) -> Fault:
        """What is wrong with `data`, which holds no answer."""
        if not data:
            return Fault.SILENT
        other = _size_at_start(data)
        if self._decode(data[:other], other) is not None:
            if data[0] != ask.device_id:
                return Fault.WRONG_DEVICE
            return Fault.WRONG_LENGTH if data[1] == ask.function else Fault.WRONG_FUNCTION
        start = data.find(bytes((ask.device_id, ask.function, ask.data_size)))
        if start < 0:
            return Fault.NOISE
        return Fault.INCOMPLETE if len(data) - start < ask.answer_size else Fault.CHECKSUM

    def _decode(self, frame: bytes, size: int) -> Any:
        """The message of a frame of `size` bytes, or None if it is not intact."""
        used, _, _, content = self._framer.decode(frame)
        return self._framer.decoder.decode(content) if used == size and content else None

    def _meaning(self, ask: Ask, message: Any) -> Values | Refusal:
        if message.isError():
            code = message.exception_code
            return Refusal(_EXCEPTIONS.get(code, str(code)))
        values = message.bits if ask.is_bits else message.registers
        return tuple(map(int, values[: ask.quantity]))

    def _is_as_it_was(self) -> bool:
        """Whether the installed version knows the golden frames."""
        ask = Ask(0x11, Function.READ_HOLDING_REGISTERS, 0x6B, 3)
        try:
            frame, found = self.request(ask), self.answer(ask, _GOLDEN_ANSWER)
        except (AttributeError, TypeError, ValueError):
            return False
        values = (0xAE41, 0x5652, 0x4340)
        return frame == _GOLDEN_REQUEST and found == Found(values, len(_GOLDEN_ANSWER))


def _size_at_start(data: bytes) -> int:
    """How long the answer of anybody to anything that begins `data` would be; 0: none does."""
    if len(data) < _EXCEPTION_SIZE:
        return 0
    if data[1] & _EXCEPTION:
        return _EXCEPTION_SIZE
    return _AROUND_DATA + data[2] if data[1] in set(Function) else 0
