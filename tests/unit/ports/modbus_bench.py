"""One master on a line whose other end is whoever tests, and a clock that ticks when told to."""

from typing import Any

from edge_agent.core.records import Quality, Reading
from edge_agent.ports.modbus_frames import Codec
from edge_agent.ports.modbus_master import ModbusMaster, Plan
from edge_agent.ports.modbus_settings import Modbus, ModbusSensor, modbus_plan
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.ports.modbus_device import row

MS = 1_000_000
TICK = 10 * MS
TIMEOUT = 50 * MS
SUPPLY, OUTDOOR, FAN = (
    ENVELOPE.sensor_index[n] for n in ("supply_temperature", "outdoor_temperature", "fan_status")
)
CODEC = Codec("modbus[0]")
ONE = (row("supply_temperature", 0, data_type="int16", scale=0.1),)
# Two requests of the same shape: what is late for one looks like an answer to the other.
TWINS = (*ONE, row("outdoor_temperature", 10, data_type="int16", scale=0.1))


def plan_of(*rows: ModbusSensor, **more: Any) -> Plan:
    wanted = {"timeout_s": 0.05, "period_s": 1.0, "baud": 9600, **more}
    return modbus_plan(Modbus(port="x", sensor=rows, **wanted), ENVELOPE.sensors, "modbus[0]")


class Line:
    """A master and a clock; whoever tests is the device."""

    def __init__(self, *rows: ModbusSensor, **more: Any) -> None:
        self.master = ModbusMaster(plan_of(*rows, **more), CODEC)
        self.now_ns = 10**15
        self.sent = b""
        self.readings: list[Reading] = []

    def tick(self, data: bytes = b"") -> list[Reading]:
        """One poll with what arrived; `sent` is what the master then sends."""
        self.now_ns += TICK
        readings = self.master.receive(self.now_ns, data)
        self.sent = self.master.due(self.now_ns)
        self.readings += readings
        return readings

    def until_asked(self, within_ns: int = 2_000 * MS) -> bytes:
        """Silence until the master asks; what it asks."""
        end_ns = self.now_ns + within_ns
        while self.now_ns < end_ns:
            self.tick()
            if self.sent:
                return self.sent
        raise AssertionError("nothing was asked")

    def silence(self, for_ns: int) -> list[Reading]:
        """Nothing arrives for so long; what the master makes of it."""
        found = []
        for _ in range(for_ns // TICK):
            found += self.tick()
        return found


def good(channel: int, counts: int, line: Line) -> Reading:
    return Reading(channel, counts, line.now_ns, Quality.GOOD)


def invalid(channel: int, line: Line) -> Reading:
    return Reading(channel, 0, line.now_ns, Quality.INVALID)
