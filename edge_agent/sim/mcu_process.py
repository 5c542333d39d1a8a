"""The simulated microcontroller as a process of its own, behind a real pseudo-terminal.

Owns: the pty and the symlink that stands for the serial port, real time for `SimulatedMcu`,
the wiring of its pins to a plant, and the log of what reached the pins. Must not: change a
byte or a decision of the device.

    python -m edge_agent.sim.mcu_process --device air-handler --link PATH [--log FILE]

Ends on SIGTERM or SIGINT and prints one JSON line: outputs, state, counters. With `--control`
it also obeys lines on standard input (unplug, replug, reset, quit) and ends with it, so a
parent that dies takes it along.
"""

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgpack
import msgspec

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge_agent.core.units import to_counts
from edge_agent.safety import devices
from edge_agent.safety.limits import Envelope
from edge_agent.sim.episodes import shoulder_morning
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from edge_agent.sim.mcu_terminal import Terminal
from edge_agent.sim.plant import AirHandlerPlant

FEEDBACK_SENSORS: Final[Mapping[str, tuple[str, ...]]] = {
    "air-handler": ("fan_current", "damper_position")
}
_PLANT_PERIOD_NS: Final = 100 * NS_PER_MS


class PlantWiring:
    """The pins on one side, the simulated machine on the other; steps at 10 Hz."""

    def __init__(self, envelope: Envelope, feedback: tuple[str, ...], seed: int) -> None:
        self._plant = AirHandlerPlant(shoulder_morning(seed))
        self._scales = tuple(actuator.counts_per_unit for actuator in envelope.actuators)
        self._feedback = tuple(
            (envelope.sensor_index[name], envelope.sensors[envelope.sensor_index[name]])
            for name in feedback
        )

    def step(self, outputs: tuple[int, ...]) -> tuple[int, ...]:
        """Let the machine live for one period; what the device's converters then read."""
        commands = [counts / scale for counts, scale in zip(outputs, self._scales, strict=True)]
        self._plant.step(commands, _PLANT_PERIOD_NS / NS_PER_S)
        measured = self._plant.measure()
        return tuple(
            to_counts(measured[index], sensor.counts_per_unit) or 0
            for index, sensor in self._feedback
        )


class Board:
    """A device on a bench: powered, wired to a machine, plugged into a host or not."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._clock = SystemClock()
        self._envelope = devices.find(options.device)
        self._feedback = FEEDBACK_SENSORS[options.device]
        key_file: Path | None = options.key_file
        self._settings = McuSettings(
            deadman_ms=options.deadman_ms,
            telemetry_ms=options.telemetry_ms,
            key=bytes.fromhex(key_file.read_text(encoding="ascii")) if key_file else None,
        )
        self._wiring = (
            PlantWiring(self._envelope, self._feedback, options.seed) if options.plant else None
        )
        self._plant_at_ns = self._clock.now_ns()
        self.terminal = Terminal(options.link)
        self.mcu = self._boot()

    def run_once(self) -> None:
        """Everything that is due now, then wait for a byte, a command or the next due time."""
        now_ns = self._clock.now_ns()
        self.mcu.receive(now_ns, self.terminal.read())
        self._step_plant(now_ns)
        self.terminal.write(self.mcu.advance(now_ns))

    def due_in_s(self) -> float | None:
        """Seconds until something is due without a byte; None: only a byte matters."""
        due = [self._plant_at_ns] if self._wiring is not None else []
        mcu_due_ns = self.mcu.next_due_ns()
        if mcu_due_ns is not None:
            due.append(mcu_due_ns)
        return max(0, min(due) - self._clock.now_ns()) / NS_PER_S if due else None

    def reset(self) -> None:
        """The reset button: outputs safe, another boot nonce, every session forgotten."""
        self.mcu = self._boot()

    def report(self) -> dict[str, object]:
        """The last word, for whoever started this process."""
        mcu = self.mcu
        return {
            "outputs": mcu.outputs,
            "sensors": mcu.sensors,
            "state": mcu.state.name,
            "safe_reason": mcu.safe_reason.name,
            "deadman_ms": mcu.deadman_ms,
            "counters": msgspec.structs.asdict(mcu.counters),
            "bad_frames": msgspec.structs.asdict(mcu.bad_frames),
            "dropped_writes": self.terminal.dropped_writes,
        }

    def _boot(self) -> SimulatedMcu:
        nonce = int.from_bytes(os.urandom(4), "little")
        return SimulatedMcu(
            self._envelope, self._feedback, nonce, self._settings, self._clock.now_ns()
        )

    def _step_plant(self, now_ns: int) -> None:
        if self._wiring is not None and now_ns >= self._plant_at_ns:
            late_ns = now_ns - self._plant_at_ns
            self._plant_at_ns += _PLANT_PERIOD_NS * (1 + late_ns // _PLANT_PERIOD_NS)
            self.mcu.set_sensors(self._wiring.step(self.mcu.outputs))


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m edge_agent.sim.mcu_process",
        description="A simulated microcontroller behind a pseudo-terminal.",
    )
    parser.add_argument("--device", choices=sorted(FEEDBACK_SENSORS), required=True)
    parser.add_argument("--link", type=Path, required=True, help="symlink to make to the port")
    parser.add_argument("--log", type=Path, help="one msgpack record [time_ns, outputs] a change")
    parser.add_argument("--plant", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=1, help="of the plant's noise")
    parser.add_argument("--deadman-ms", type=int, help="default: the envelope's smallest lease")
    parser.add_argument("--telemetry-ms", type=int, default=20)
    parser.add_argument("--key-file", type=Path, help="a device that was built with this key")
    parser.add_argument("--control", action="store_true", help="obey lines on standard input")
    return parser.parse_args(arguments)


def run(board: Board, stop_fd: int, control_fd: int | None, log: BinaryIO | None) -> None:
    """Serve until a signal arrives on `stop_fd`, or `quit` or the end on `control_fd`."""
    while True:
        board.run_once()
        if log is not None:
            for change in board.mcu.take_changes():
                log.write(msgpack.packb(change))
        waited = [fd for fd in (stop_fd, control_fd, board.terminal.fileno()) if fd is not None]
        readable, _, _ = select.select(waited, [], [], board.due_in_s())
        if stop_fd in readable:
            return
        if control_fd in readable and not obey(board, os.read(control_fd or 0, 256)):
            return


def obey(board: Board, data: bytes) -> bool:
    """Do what the lines say; False when they end the process."""
    for word in data.decode("ascii", "replace").split():
        if word == "unplug":
            board.terminal.unplug()
        elif word == "replug":
            board.terminal.plug()
        elif word == "reset":
            board.reset()
        elif word == "quit":
            return False
    return bool(data)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    stop_fd, wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_fd)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the wake-up byte is the message
    log = options.log.open("ab", buffering=0) if options.log else None
    board = Board(options)
    try:
        run(board, stop_fd, sys.stdin.fileno() if options.control else None, log)
    finally:
        board.terminal.unplug()
        if log is not None:
            log.close()
    sys.stdout.write(json.dumps(board.report()) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
