"""Both ends of the link on one injected clock, a cable between them that may do its worst, and
a judge that believes neither end.

`Cable` is one direction of the line: chunks in, chunks out later, through a `Fault`. `Rig` is a
host that always wants its device armed, and a device that may be reset or stand still. `Judge`
looks only at what the host decided and at what the pins did.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edge_agent.ports.serial_bridge import link_identity
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.link import Link, LinkState
from firmware_bridge.messages import DeviceState, Telemetry

MS = 1_000_000
STEP_NS = 5 * MS
TICK_STEPS = 2  # the host decides every 10 ms
FEEDBACK = ("fan_current", "damper_position")
DEADMAN_MS = 100
AGE_NS = 60 * MS  # a token of age 5 is less than six periods of 10 ms old
WILD = (30_000, 700, -30_000, 3)  # what an actuator is asked for: mostly beyond its limits

# What a chunk becomes: pieces, each with the time that it takes on the way.
Pieces = list[tuple[int, bytes]]
Fault = Callable[[random.Random, bytes], Pieces]


def clean(_: random.Random, data: bytes) -> Pieces:
    return [(0, data)]


class Cable:
    """One direction: what is written arrives when its time has come, or never."""

    def __init__(self, fault: Fault, rng: random.Random) -> None:
        self.fault = fault
        self.cut = False
        self._rng = rng
        self._in_flight: list[tuple[int, int, bytes]] = []
        self._count = 0

    def write(self, now_ns: int, data: bytes) -> None:
        if not data or self.cut:
            return
        for delay_ns, piece in self.fault(self._rng, data):
            self._count += 1
            self._in_flight.append((now_ns + delay_ns, self._count, piece))

    def read(self, now_ns: int) -> list[bytes]:
        """What has arrived by now, in order of arrival."""
        here = sorted(item for item in self._in_flight if item[0] <= now_ns)
        self._in_flight = [item for item in self._in_flight if item[0] > now_ns]
        return [piece for _, _, piece in here]

    def flush(self) -> None:
        self._in_flight.clear()


class Wish(NamedTuple):
    """One vector that the host decided, when, and in which of its sessions."""

    at_ns: int
    session: int
    counts: tuple[int, ...]


class Judge:
    """Never an output without a fresh, in-envelope, in-session command.

    A move away from the safe value must lie on the way to a wish that is at most AGE_NS old, not
    older than one already obeyed, not of an earlier session, and decided after the boot. A value
    may stand for one dead man after such a wish.

    A device that stood still cannot know for how long: `extra_ns` is what a host may still have
    said to it, and its dead man starts again at `woke_ns`.
    """

    def __init__(self) -> None:
        self.moves = 0
        self.extra_ns = 0
        self.woke_ns = 0
        self._wishes: deque[Wish] = deque(maxlen=400)
        self._outputs = ENVELOPE.safe_counts
        self._history: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=400)
        self._session = 0
        self._obeyed_ns = 0  # of the earliest wish that explains the last move
        self._boot_ns = 0

    def decided(self, wish: Wish) -> None:
        self._wishes.append(wish)

    def booted(self, now_ns: int) -> None:
        self._boot_ns = now_ns
        self._outputs = ENVELOPE.safe_counts
        self._history.clear()

    def look(self, now_ns: int, changes: Iterable[tuple[int, tuple[int, ...]]]) -> None:
        for at_ns, outputs in changes:
            self._judge_move(at_ns, outputs)
        woke = self.woke_ns and now_ns - self.woke_ns <= DEADMAN_MS * MS
        if woke or self._outputs == ENVELOPE.safe_counts:
            return
        limit_ns = AGE_NS + DEADMAN_MS * MS + STEP_NS + self.extra_ns
        assert self._recent(now_ns, limit_ns), f"{self._outputs} held without a fresh command"

    def _recent(self, now_ns: int, limit_ns: int) -> list[Wish]:
        oldest_ns = max(now_ns - limit_ns, self._boot_ns)
        return [w for w in self._wishes if w.at_ns >= oldest_ns and w.session >= self._session]

    def _judge_move(self, at_ns: int, outputs: tuple[int, ...]) -> None:
        self._check_limits(at_ns, outputs)
        before, self._outputs = self._outputs, outputs
        if not any(self._leads(before, outputs, ENVELOPE.safe_counts)):
            return  # towards safe: allowed at any time
        limit_ns = AGE_NS + STEP_NS + self.extra_ns
        reasons = [
            wish
            for wish in self._recent(at_ns, min(limit_ns, at_ns - self._obeyed_ns))
            if not any(self._leads(before, outputs, wish.counts))
        ]
        assert reasons, f"{before} -> {outputs}: no fresh command of this session asked for it"
        self._session, self._obeyed_ns = reasons[0].session, reasons[0].at_ns
        self.moves += 1

    @staticmethod
    def _leads(
        before: tuple[int, ...], after: tuple[int, ...], wish: tuple[int, ...]
    ) -> Iterable[bool]:
        """For each output: did it move to where neither `wish` nor the safe value lies?"""
        for old, new, wanted, safe in zip(before, after, wish, ENVELOPE.safe_counts, strict=True):
            yield not min(old, wanted, safe) <= new <= max(old, wanted, safe)

    def _check_limits(self, at_ns: int, outputs: tuple[int, ...]) -> None:
        """The envelope's range, and the speed that the device may allow: its margin is wider."""
        self._history.append((at_ns, outputs))
        for i, actuator in enumerate(ENVELOPE.actuators):
            assert actuator.min_counts <= outputs[i] <= actuator.max_counts
            for then_ns, then in self._history:
                allowed_ms = (at_ns - then_ns) // MS + 1 + DEADMAN_MS
                rise = actuator.rate_up_counts_per_s * 12 * allowed_ms // 10_000 + 2
                assert outputs[i] - then[i] <= rise, f"{then} -> {outputs} in {allowed_ms} ms"


class Rig:
    """A host, a device and two cables; everything happens in `step`."""

    def __init__(self, seed: int = 1, to_device: Fault = clean, to_host: Fault = clean) -> None:
        self.rng = random.Random(seed)
        self.now_ns = 1_000 * MS
        self.to_device = Cable(to_device, self.rng)
        self.to_host = Cable(to_host, self.rng)
        self.judge = Judge()
        self.link = Link(link_identity(ENVELOPE, FEEDBACK))
        self.boots = 0
        self.sessions = 0
        self.telemetry: Telemetry | None = None
        self.asked: tuple[int, ...] | None = None  # instead of `wish`
        self.sent: list[bytes] = []  # everything that the host said
        self.steps = 0
        self.armed_steps = 0
        self.wants_armed = True  # a person's wish; the rest is the host's own doing
        self.host_runs = True
        self.device_runs = True
        self._device_late_ns = 0
        self.mcu = self._boot()
        self.open_session()

    @property
    def device_ns(self) -> int:
        """The device's own clock: it stands while the device does."""
        return self.now_ns - self._device_late_ns

    def reset_device(self) -> None:
        """Power or watchdog: what is in its receiver and on its line is torn in the middle."""
        self.to_device.flush()
        self.mcu = self._boot()

    def freeze_device(self, ms: int) -> None:
        """Its core and its clock stand (a debugger, a stopped emulator); then they go on."""
        self.device_runs = False
        self.run(ms)
        self.device_runs = True
        self.judge.woke_ns = self.now_ns

    def freeze_host(self, ms: int) -> None:
        """The process is stopped, with bytes on their way in both directions."""
        self.host_runs = False
        self.run(ms)
        self.host_runs = True

    def run(self, ms: int) -> None:
        for _ in range(ms * MS // STEP_NS):
            self.step()

    def step(self) -> None:
        self.now_ns += STEP_NS
        self.steps += 1
        if self.device_runs:
            self._step_device()
        else:
            self._device_late_ns += STEP_NS
        if self.host_runs and self.steps % TICK_STEPS == 0:
            self._tick_host()
        self.armed_steps += self.mcu.state == DeviceState.ARMED

    def until_armed(self, within_ms: int) -> None:
        """The link comes back by itself; nobody does anything but wait."""
        end_ns = self.now_ns + within_ms * MS
        while not (self.link.state is LinkState.ARMED and self.mcu.state == DeviceState.ARMED):
            assert self.now_ns < end_ns, f"{self.link.state} after {within_ms} ms"
            self.step()

    def wish(self) -> tuple[int, ...]:
        """One actuator, another one the next time, so that an old wish shows; the rest at safe."""
        counts = list(ENVELOPE.safe_counts)
        counts[self.rng.randrange(len(counts))] = self.rng.choice(WILD)
        return tuple(counts)

    def _boot(self) -> SimulatedMcu:
        self.boots += 1
        self.judge.booted(self.now_ns)
        return SimulatedMcu(
            ENVELOPE,
            FEEDBACK,
            1000 + self.boots,
            McuSettings(deadman_ms=DEADMAN_MS),
            self.device_ns,
        )

    def open_session(self) -> None:
        """What a host does at its start and after silence."""
        self.to_device.flush()
        self.sessions += 1
        self.link.open(self.now_ns, self.sessions)

    def _step_device(self) -> None:
        for piece in self.to_device.read(self.now_ns):
            self.mcu.receive(self.device_ns, piece)
        self.to_host.write(self.now_ns, self.mcu.advance(self.device_ns))
        late_ns = self.now_ns - self.device_ns
        changes = [(at_ns + late_ns, outputs) for at_ns, outputs in self.mcu.take_changes()]
        self.judge.look(self.now_ns, changes)

    def _tick_host(self) -> None:
        for piece in self.to_host.read(self.now_ns):
            for event in self.link.receive(self.now_ns, piece):
                self.telemetry = event if isinstance(event, Telemetry) else self.telemetry
        self._send(self.link.tick(self.now_ns))
        if self.link.state is LinkState.LOST:
            self.open_session()
        if not self.wants_armed:
            self._send(self.link.disarm(self.now_ns))
        elif self.link.state is LinkState.READY:
            self._send(self.link.arm(self.now_ns))
        counts = self.wish() if self.asked is None else self.asked
        wire = self.link.set_outputs(counts)
        if wire:
            self.judge.decided(Wish(self.now_ns, self.sessions, counts))
        self._send(wire)

    def _send(self, data: bytes) -> None:
        self.sent += [data] if data else []
        self.to_device.write(self.now_ns, data)


# ---- what a line can do ----------------------------------------------------------------------


def byte_at_a_time(_: random.Random, data: bytes) -> Pieces:
    return [(0, bytes((byte,))) for byte in data]


def lost(rng: random.Random, data: bytes) -> Pieces:
    """Whole messages and single bytes."""
    if rng.random() < 0.1:
        return []
    return [(0, bytes(byte for byte in data if rng.random() > 0.004))]


def doubled(rng: random.Random, data: bytes) -> Pieces:
    """At once, a little later, or when it is long stale."""
    again = rng.choice((0, 15 * MS, 45 * MS, 300 * MS))
    return [(0, data), (again, data)] if rng.random() < 0.4 else [(0, data)]


def overtaken(rng: random.Random, data: bytes) -> Pieces:
    return [(rng.choice((0, 0, 0, 12 * MS, 25 * MS)), data)]


def flipped(rng: random.Random, data: bytes) -> Pieces:
    return [(0, bytes(b ^ 1 << rng.randrange(8) if rng.random() < 0.004 else b for b in data))]


def garbled(rng: random.Random, data: bytes) -> Pieces:
    """A burst of noise before, inside or in place of a message."""
    if rng.random() > 0.15:
        return [(0, data)]
    at = rng.randrange(len(data) + 1)
    return [(0, data[:at] + rng.randbytes(16) + data[at + rng.choice((0, 16, 300)) :])]


def delayed(rng: random.Random, data: bytes) -> Pieces:
    """A jam: everything waits, now and then for longer than a command lives."""
    return [(rng.choice((10, 10, 10, 20, 90)) * MS, data)]


def torn(rng: random.Random, data: bytes) -> Pieces:
    """Arrives in parts, and now and then the last part never does."""
    at = rng.randrange(len(data) + 1)
    parts: Pieces = [(0, data[:at])]
    return parts if rng.random() < 0.03 else [*parts, (5 * MS, data[at:])]


def everything(rng: random.Random, data: bytes) -> Pieces:
    kind = rng.choice((clean, clean, clean, *FAULTS))
    return kind(rng, data)


FAULTS: tuple[Fault, ...] = (
    *(byte_at_a_time, lost, doubled, overtaken, flipped, garbled, delayed, torn),
)
