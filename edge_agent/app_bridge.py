"""Composition of `edge-agent bridge`: a real port, a question, and whoever answers.

Owns: opening the port with an error that says what to do, asking who is there, and the two
measurements. Must not: arm, or send an output: nothing here ever calls `arm` or `apply`.
"""

import errno
import itertools
import secrets
import select
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.core.errors import ConfigError, PortError
from edge_agent.core.records import Quality, Reading
from edge_agent.core.units import to_value
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety import devices
from edge_agent.safety.limits import Envelope
from firmware_bridge.errors import PortUnavailableError, SerialFaultError, WireValueError
from firmware_bridge.frames import Stranger
from firmware_bridge.link import LinkSettings
from firmware_bridge.messages import PROTOCOL_VERSION, Hello, ResetReason, schema_hash
from firmware_bridge.port_list import PortEntry, list_entries
from firmware_bridge.probe import Probe
from firmware_bridge.serial_port import SerialPort

RETRY_NS = 100 * NS_PER_MS
SETTLE_NS = 200 * NS_PER_MS
_TRIP_TIMES = ("p50_us", "p99_us", "max_us")
_SUBSET_CHANNELS_MAX = 12  # 4096 subsets: a tenth of a second
_FIXES: Mapping[int | None, str] = {
    errno.ENOENT: "plug it in; `edge-agent bridge info` lists the ports of this machine",
    errno.EACCES: "join the port's group (often dialout) and log in again",
    errno.EAGAIN: "another program has it open: stop that one; `edge-agent status` asks an agent",
    errno.EBUSY: "another program has it open: stop that one; `edge-agent status` asks an agent",
    errno.ENOTTY: "give a serial port; `edge-agent bridge info` lists those of this machine",
}

_KEY_FIXES: Mapping[Stranger, str] = {
    Stranger.WITH_KEY: "--key-file FILE, with the key that it was flashed with",
    Stranger.WITHOUT_KEY: "leave --key-file out, or flash it with KEY_FILE",
    Stranger.OTHER_KEY: "--key-file with the key that it was flashed with",
}


class Match(NamedTuple):
    """How far the firmware fits one installed device; `sensors` is what it reports, if known."""

    device: str
    envelope_matches: bool
    sensors: tuple[str, ...] | None

    @property
    def complete(self) -> bool:
        return self.envelope_matches and self.sensors is not None


def ports() -> list[PortEntry]:
    """The serial ports of this machine; none is opened."""
    return list_entries()


class CountedLine:
    """A serial port that counts its bytes, and can be opened again."""

    def __init__(self, path: str, baud: int, key: bytes | None = None) -> None:
        """Opens it at once; PortError, with the fix, when that is impossible."""
        self.path = path
        self.key = key
        self.bytes_received = 0
        self.bytes_sent = 0
        self._baud = baud
        try:
            self._port = SerialPort(path, baud)
        except WireValueError as error:
            raise ConfigError(str(error), where="--baud", fix="such as 115200") from error
        except PortUnavailableError as error:
            raise PortError(str(error), fix=_fix(error)) from error

    def open(self) -> "CountedLine":
        """For `SerialBridgePort`: the same line, opened anew if it was lost."""
        if self._port.fileno() < 0:
            self._port = SerialPort(self.path, self._baud)
        return self

    def fileno(self) -> int:
        return self._port.fileno()

    def read(self) -> bytes:
        data = self._port.read()
        self.bytes_received += len(data)
        return data

    def write(self, data: bytes) -> bool:
        self.bytes_sent += len(data)
        return self._port.write(data)

    @property
    def low_latency(self) -> str:
        return self._port.low_latency

    def ask_low_latency(self, wanted: bool) -> str:
        return self._port.ask_low_latency(wanted)

    def flush_output(self) -> None:
        self._port.flush_output()

    def close(self) -> None:
        self._port.close()


def _fix(error: PortUnavailableError) -> str:
    cause = error.__cause__
    number = cause.args[0] if cause is not None and cause.args else None
    return _FIXES.get(number, "see the message; `edge-agent bridge info` lists the ports")


def identify(line: CountedLine, clock: Clock, wait_s: float) -> Hello:
    """Ask until somebody answers; PortError that says what was heard instead."""
    probe = Probe(RETRY_NS, line.key)
    end_ns = clock.now_ns() + round(wait_s * NS_PER_S)
    while clock.now_ns() < end_ns:
        _exchange(line, probe, clock)
        if probe.hello is not None:
            return probe.hello
    raise _nobody(line.path, probe, wait_s)


def _exchange(line: CountedLine, probe: Probe, clock: Clock) -> bool:
    """Ask if it is time, wait for an answer, take it; whether it came."""
    try:
        line.write(probe.tick(clock.now_ns()))
        select.select((line.fileno(),), (), (), RETRY_NS / NS_PER_S)
        return probe.receive(clock.now_ns(), line.read())
    except SerialFaultError as fault:
        raise PortError(str(fault), fix="plug it in again") from fault


def _nobody(path: str, probe: Probe, wait_s: float) -> PortError:
    bad = probe.bad
    if probe.bytes_received == 0:
        what = f"nothing answered in {wait_s:g} s"
        fix = "is it powered, flashed, and is this its port? A slow starter needs a longer --wait"
    elif probe.stranger is not None:
        what, fix = probe.stranger.value, _KEY_FIXES[probe.stranger]
    elif bad.reflected:
        what = "what was sent comes back: transmit is wired to receive, or the line echoes"
        fix = "cross the two wires; switch local echo off"
    else:
        what = f"{probe.bytes_received} bytes arrived and none was an answer"
        fix = "another --baud (the firmware's own), or firmware that speaks something else"
    return PortError(what, where=path, fix=fix)


def matches(hello: Hello) -> list[Match]:
    """Every installed device, the best fit first."""
    found = []
    for name in devices.names():
        envelope = devices.find(name)
        fits = int(envelope.sha256()[:8], 16) == hello.envelope_hash
        found.append(Match(name, fits, reported_sensors(envelope, hello.schema_hash)))
    return sorted(found, key=lambda match: (not match.complete, not match.envelope_matches))


def reported_sensors(envelope: Envelope, wanted_hash: int) -> tuple[str, ...] | None:
    """Which sensors, in the envelope's order, make up this schema hash; None if none do."""
    actuators = tuple(actuator.name for actuator in envelope.actuators)
    for sensors in _subsets(tuple(sensor.name for sensor in envelope.sensors)):
        if schema_hash(actuators, sensors) == wanted_hash:
            return sensors
    return None


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every choice in order; of many channels the small choices only."""
    most = len(names) if len(names) <= _SUBSET_CHANNELS_MAX else 3
    for size in range(most + 1):
        yield from itertools.combinations(names, size)
    for size in range(2, min(3, most) + 1):
        yield from itertools.permutations(names, size)


def hello_document(path: str, hello: Hello) -> dict[str, Any]:
    """What `bridge info` says of one port."""
    return {
        "port": path,
        "protocol_version": hello.protocol_version,
        "protocol_matches": hello.protocol_version == PROTOCOL_VERSION,
        "firmware_version": hello.firmware_version,
        "schema_hash": f"{hello.schema_hash:08x}",
        "envelope_hash": f"{hello.envelope_hash:08x}",
        "boot_nonce": f"{hello.boot_nonce:08x}",
        "reset_reason": ResetReason(hello.reset_reason).name.lower(),
        "dead_man_ms": hello.deadman_ms,
        "devices": [
            {
                "device": match.device,
                "envelope_matches": match.envelope_matches,
                "schema_matches": match.sensors is not None,
                "sensors": match.sensors,
            }
            for match in matches(hello)
        ],
    }


class Monitor:
    """One microcontroller, listened to in a session that is never armed."""

    def __init__(self, line: CountedLine, hello: Hello, clock: Clock) -> None:
        """ConfigError when the firmware fits no device that is installed here."""
        best = matches(hello)[0]
        if not best.complete or best.sensors is None or hello.protocol_version != PROTOCOL_VERSION:
            raise ConfigError(
                "the firmware is built for no device that is installed here",
                where=line.path,
                fix="`edge-agent bridge info PORT` says what differs; flash it, or install the"
                " device's package",
            )
        self.device = best.device
        self._envelope = devices.find(best.device)
        self._clock = clock
        self._line = line
        nonces = iter(lambda: secrets.randbits(32), None)
        self._port = SerialBridgePort(
            line.path, line.open, self._envelope, best.sensors, lambda: next(nonces)
        )
        if line.key is not None:
            self._port.use_link(LinkSettings(), line.key)
        self._values: dict[int, Reading] = {}
        self._since_ns = clock.now_ns()
        self._before = (0, line.bytes_received, line.bytes_sent)

    def watch(self, for_ns: int) -> dict[str, Any]:
        """Listen for `for_ns`, then say what was heard: rates are of that time alone."""
        end_ns = self._clock.now_ns() + for_ns
        while (now_ns := self._clock.now_ns()) < end_ns:
            for reading in self._port.poll(now_ns):
                self._values[reading.channel] = reading
            descriptor = self._port.fileno()
            waited = () if descriptor is None else (descriptor,)
            wait_ns = min(end_ns - now_ns, 20 * NS_PER_MS)  # repeats of the handshake are due
            select.select(waited, (), (), wait_ns / NS_PER_S)
        return self._document(end_ns)

    def close(self) -> None:
        self._port.close()

    def _document(self, now_ns: int) -> dict[str, Any]:
        status = self._port.status()
        counts = (int(status["frames"]), self._line.bytes_received, self._line.bytes_sent)
        elapsed_s = max(now_ns - self._since_ns, 1) / NS_PER_S
        rates = [
            round((new - old) / elapsed_s, 1) for new, old in zip(counts, self._before, strict=True)
        ]
        self._since_ns, self._before = now_ns, counts
        names = ("frames_per_s", "bytes_received_per_s", "bytes_sent_per_s")
        newest_ns = max((reading.stamp_ns for reading in self._values.values()), default=None)
        return {
            "device": self.device,
            **status,
            **dict(zip(names, rates, strict=True)),
            "telemetry_age_ms": None if newest_ns is None else (now_ns - newest_ns) // NS_PER_MS,
            "values": {self._name(channel): self._value(r) for channel, r in self._values.items()},
        }

    def _name(self, channel: int) -> str:
        return self._envelope.channel_names[channel]

    def _value(self, reading: Reading) -> dict[str, Any]:
        sensors, actuators = self._envelope.sensors, self._envelope.actuators
        here = reading.channel - len(sensors)
        limits = sensors[reading.channel] if here < 0 else actuators[here]
        return {
            "value": to_value(reading.counts, limits.counts_per_unit),
            "unit": limits.unit,
            "followed": reading.quality == Quality.GOOD,
        }


def bench(line: CountedLine, clock: Clock, wait_s: float, for_s: float) -> dict[str, Any]:
    """Round trips, as the port was opened and then without low latency, then the telemetry of a
    session that is not armed, `for_s` seconds each."""
    hello = identify(line, clock, wait_s)
    document = {"low_latency": line.low_latency, **_round_trips(line, clock, for_s)}
    if line.low_latency == "on":  # else the driver does not leave the choice
        line.ask_low_latency(False)
        slower = _round_trips(line, clock, for_s)
        line.ask_low_latency(True)
        document |= {f"{name}_without_low_latency": slower[name] for name in _TRIP_TIMES}
    monitor = Monitor(line, hello, clock)
    first = monitor.watch(SETTLE_NS)  # what an earlier session left on the line is no error
    heard = monitor.watch(round(for_s * NS_PER_S))
    monitor.close()
    document["bad_frames"] += heard["bad_frames"] - first["bad_frames"]
    return document | {
        "telemetry_frames_per_s": heard["frames_per_s"],
        "telemetry_frames_missed": heard["frames_missed"] - first["frames_missed"],
        "telemetry_bytes_per_s": heard["bytes_received_per_s"],
        "bad_frames_at_device": heard["device_bad_frames"] - first["device_bad_frames"],
    }


def _round_trips(line: CountedLine, clock: Clock, for_s: float) -> dict[str, Any]:
    """Round trips of IDENT and HELLO, one after the other, for `for_s` seconds."""
    probe = Probe(RETRY_NS, line.key)
    trips: list[int] = []
    start_ns = clock.now_ns()
    while clock.now_ns() - start_ns < for_s * NS_PER_S:
        if _exchange(line, probe, clock):
            trips.append(probe.round_trip_ns)
    elapsed_s = (clock.now_ns() - start_ns) / NS_PER_S
    if not trips:
        raise _nobody(line.path, probe, for_s)
    trips.sort()
    return {
        "round_trips": len(trips),
        "round_trips_per_s": round(len(trips) / elapsed_s, 1),
        "unanswered": probe.asked - probe.answered,
        "p50_us": trips[len(trips) // 2] // 1000,
        "p99_us": trips[len(trips) * 99 // 100] // 1000,
        "max_us": trips[-1] // 1000,
        "bytes_sent_per_s": round(probe.bytes_sent / elapsed_s, 1),
        "bytes_received_per_s": round(probe.bytes_received / elapsed_s, 1),
        "bad_frames": probe.bad.total() - probe.bad.no_session,
    }
