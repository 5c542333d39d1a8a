"""A serial cable in memory: what `firmware_bridge.serial_port` is to a tty, on simulated time.

Owns: the bytes in flight in both directions, and being plugged in or not. Must not: read a
clock, know a frame, or lose a byte while plugged in.

The host's end has the methods and the errors of `SerialPort`, so the same port drives real
and simulated hardware. It cannot be waited on: simulated time moves only when told to.
"""

from firmware_bridge.errors import PortLostError, PortUnavailableError


class MemoryCable:
    """Both ends of one cable."""

    def __init__(self, name: str = "simulated") -> None:
        self.name = name
        self.plugged = True
        self.plugs = 1  # how often it has been plugged in: an end of an earlier time is dead
        self.to_device = bytearray()
        self.to_host = bytearray()

    def open(self) -> "HostEnd":
        """The host's end. Raises PortUnavailableError while unplugged."""
        if not self.plugged:
            raise PortUnavailableError(f"{self.name}: no such device")
        self.to_device.clear()
        self.to_host.clear()
        return HostEnd(self)

    def plug(self) -> None:
        """Put the cable back; harmless when it is in."""
        if not self.plugged:
            self.plugged = True
            self.plugs += 1

    def unplug(self) -> None:
        """Pull the cable: everything in flight is gone."""
        self.plugged = False
        self.to_device.clear()
        self.to_host.clear()

    def device_read(self) -> bytes:
        """What the host has sent since the last call."""
        data = bytes(self.to_device)
        self.to_device.clear()
        return data

    def device_write(self, data: bytes) -> None:
        """Send to the host; without a cable the bytes go nowhere."""
        if self.plugged:
            self.to_host += data


class HostEnd:
    """An open port, as the host sees it. Dead for good once the cable was pulled."""

    low_latency = "simulated"

    def __init__(self, cable: MemoryCable) -> None:
        self.path = cable.name
        self.dropped_writes = 0
        self._cable = cable
        self._plugs = cable.plugs
        self._closed = False

    def fileno(self) -> int | None:
        """There is nothing to wait on."""
        return None

    def read(self) -> bytes:
        """Everything that has arrived, or b"". Raises PortLostError when unplugged."""
        self._require_cable()
        data = bytes(self._cable.to_host)
        self._cable.to_host.clear()
        return data

    def write(self, data: bytes) -> bool:
        """Send; always True, since memory does not fill up. Raises PortLostError."""
        self._require_cable()
        self._cable.to_device += data
        return True

    def flush_output(self) -> None:
        """Discard what the device has not read yet. Raises PortLostError."""
        self._require_cable()
        self._cable.to_device.clear()

    def close(self) -> None:
        """Close; harmless when already closed."""
        self._closed = True

    def _require_cable(self) -> None:
        if self._closed or not self._cable.plugged or self._plugs != self._cable.plugs:
            self._closed = True
            raise PortLostError(f"{self.path}: unplugged")
