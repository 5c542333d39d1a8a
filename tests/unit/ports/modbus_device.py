"""Frames of Modbus RTU written by hand, so that no test believes the codec under test."""

from collections.abc import Sequence

from edge_agent.ports.modbus_settings import ModbusSensor


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS, bit by bit, as it stands on the wire."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0xA001 if register & 1 else register >> 1
    return register.to_bytes(2, "little")


def sealed(body: bytes) -> bytes:
    """With its CRC."""
    return body + crc(body)


def registers(device_id: int, function: int, values: Sequence[int]) -> bytes:
    """The answer with these registers."""
    data = b"".join(value.to_bytes(2, "big") for value in values)
    return sealed(bytes((device_id, function, len(data))) + data)


def refused(device_id: int, function: int, code: int) -> bytes:
    """The answer that refuses a request."""
    return sealed(bytes((device_id, function | 0x80, code)))


def row(channel: str, address: int, kind: str = "input", **more: object) -> ModbusSensor:
    """A row of configuration about device 7, in degC."""
    wanted: dict[str, object] = {"device_id": 7, "unit": "degC", **more}
    return ModbusSensor(channel=channel, address=address, kind=kind, **wanted)  # type: ignore[arg-type]
