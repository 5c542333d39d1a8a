"""The devices of a Modbus line, played by pymodbus' own server: a program of its own.

Usage: modbus_server.py PORT. Device 7 has input registers 0 to 2 and 10 to 11, holding register
0, coil 3 and discrete input 3; device 9 has one input register that it refuses to tell.
"""

import sys

from pymodbus.constants import ExcCodes
from pymodbus.server import StartSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def _refuse(*_request: object) -> ExcCodes:
    return ExcCodes.DEVICE_BUSY


def _registers(address: int, values: list[int]) -> SimData:
    return SimData(address, values=values, datatype=DataType.REGISTERS)


def _bit(address: int, *, on: bool) -> SimData:
    return SimData(address, values=[on], datatype=DataType.BITS)


def main() -> None:
    """Serve until the end of the process."""
    temperatures = [_registers(0, [182, 0xFFF6, 224])]
    temperatures.append(SimData(10, values=53.6, datatype=DataType.FLOAT32))
    seven = SimDevice(
        7,
        simdata=([_bit(3, on=True)], [_bit(3, on=False)], [_registers(0, [13])], temperatures),
    )
    nine = SimDevice(9, simdata=_registers(0, [1]), action=_refuse)
    StartSerialServer([seven, nine], port=sys.argv[1], baudrate=19200)


if __name__ == "__main__":
    main()
