"""One recorded day through the whole system, as separate processes.

Owns: the broker, the simulated microcontroller behind its pseudo-terminal, `edge-agent run`
with its gateway, and `edge-agent feed`: their configuration, the order in which they start and
stop, and what each of them said at its end. Must not: reach into any of them, or judge what
was recorded; see `real_day_account.py`.
"""

import json
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.mosquitto import Mosquitto
from bench.processes import Process
from edge_agent.core.errors import PortError, TransientError
from edge_agent.core.records import TickRecord
from edge_agent.gateway.control_socket import query_status
from edge_agent.recording.reader import Damage, SegmentReader, segments

DEVICE = "air-handler"
ROW_S = 60.0
# Channel and unit of what the logs hold; the topics are those of the example maps.
SENSORS = (
    ("supply_temperature", "degF"),
    ("mixed_temperature", "degF"),
    ("outdoor_temperature", "degF"),
    ("return_temperature", "degF"),
    ("supply_setpoint", "degF"),
    ("fan_status", "bool"),
    ("occupancy", "bool"),
)
RATE_HZ = 20  # so that every row has a tick of its own up to 1,200 times real time
_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 60.0
_STATUS_WITHIN_S = 2.0
_AGENT = ("-m", "edge_agent")


@dataclass(frozen=True, slots=True)
class Day:
    """What to play, and how: `speed` is log time to wall time."""

    name: str
    log: Path
    mapping: Path
    speed: float
    max_age_rows: float

    @property
    def seconds(self) -> float:
        """How long a row lasts on the wall."""
        return ROW_S / self.speed


@dataclass(frozen=True, slots=True)
class Played:
    """What everybody said: `feed`, `status` and `board` are their own JSON documents."""

    day: Day
    feed: dict[str, Any]
    status: dict[str, Any]
    exit_code: int
    board: dict[str, Any]
    ticks: list[TickRecord]
    damage: list[Damage]


def play_together(days: Sequence[Day], folder: Path) -> list[Played]:
    """Each day with a broker, a device and a folder of its own, all at the same time."""

    def play_one(day: Day) -> Played:
        own = folder / day.name
        own.mkdir(parents=True)
        return play(day, own)

    with ThreadPoolExecutor(len(days)) as pool:
        return list(pool.map(play_one, days))


def play(day: Day, folder: Path) -> Played:
    """Run everything under `folder`, an empty one; TransientError when a part does not start."""
    state = folder / "state"
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder))
        mcu, control = start_agent(stack, day, folder, broker.port)
        fed = _feed(day, broker.port, stack)
        wait_for(lambda: _all_taken(ask(state), fed["cells_sent"]), "the last reading")
        where = ["--config", str(folder / "agent.toml"), "--state-dir", str(state)]
        status = stack.enter_context(Process([*_AGENT, "status", "--json", *where]))
        _, document = status.finish(_READY_WITHIN_S)
        control.signal(signal.SIGTERM)
        exit_code, _ = control.finish(_STOP_WITHIN_S)
        mcu.signal(signal.SIGTERM)
        _, last_word = mcu.finish(_STOP_WITHIN_S)
    ticks, damage = _recorded(state / "recordings")
    return Played(day, fed, json.loads(document), exit_code, json.loads(last_word), ticks, damage)


def start_agent(
    stack: ExitStack, day: Day, folder: Path, broker_port: int, sections: str = ""
) -> tuple[Process, Process]:
    """The microcontroller, which obeys lines, and an armed agent with its state in `folder`, both
    ready; `sections` are added to its configuration."""
    link, state = folder / "mcu", folder / "state"
    config = write_config(day, link, broker_port)
    with config.open("a", encoding="utf-8") as file:
        file.write(sections)
    board = ["-m", "edge_agent.sim.mcu_process", "--device", DEVICE, "--link", str(link)]
    mcu = stack.enter_context(Process([*board, "--control"]))
    wait_for(link.exists, "the microcontroller's port")
    where = ["--config", str(config), "--state-dir", str(state)]
    agent = stack.enter_context(Process([*_AGENT, "run", "--arm", *where]))
    wait_for(lambda: is_ready(ask(state)), "broker, gateway, control and device together")
    return mcu, agent


def feeder(day: Day, broker_port: int) -> Process:
    """Plays the whole log to the broker."""
    words = ["feed", str(day.log), "--map", str(day.mapping), "--speed", str(day.speed)]
    return Process([*_AGENT, *words, "--broker", f"127.0.0.1:{broker_port}"])


def write_config(day: Day, port: Path, broker_port: int) -> Path:
    """A real-mode `agent.toml` beside `port`, whose ages suit the speed of `day`."""
    lines = [
        f'device = "{DEVICE}"',
        'mode = "real"',
        "[loop]",
        f"rate_hz = {RATE_HZ}",
        "[serial]",
        f'port = "{port}"',
        'sensors = ["fan_current", "damper_position"]',
        "[mqtt]",
        f"port = {broker_port}",
    ]
    for channel, unit in SENSORS:
        lines += [
            "[[mqtt.sensor]]",
            f'channel = "{channel}"',
            f'topic = "ahu/{channel}"',
            f'unit = "{unit}"',
            f"max_age_s = {day.max_age_rows * day.seconds:.3f}",
        ]
    path = port.with_name("agent.toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _feed(day: Day, broker_port: int, stack: ExitStack) -> dict[str, Any]:
    """Play the whole log; the feeder's own account of it."""
    code, printed = stack.enter_context(feeder(day, broker_port)).finish(86_400.0)
    if code:
        raise TransientError(f"exit {code}: {printed}", where=f"edge-agent feed {day.log}")
    account: dict[str, Any] = json.loads(printed)
    return account


def ask(state: Path) -> dict[str, Any]:
    """The agent's status document; empty while nobody answers."""
    try:
        return query_status(state / "run" / "control.sock", _STATUS_WITHIN_S)
    except PortError:
        return {}


def report(status: dict[str, Any]) -> dict[str, Any]:
    """The gateway's counters in a status document."""
    counters: dict[str, Any] = status.get("gateway", {}).get("report", {})
    return counters


def is_ready(status: dict[str, Any]) -> bool:
    """Whether every topic is subscribed and the device holds a session with control."""
    subscribed = report(status).get("mqtt.subscriptions", 0) >= len(SENSORS)
    serial = status.get("control", {}).get("serial", {})
    return bool(subscribed and serial.get("sessions", 0) >= 1)


def _all_taken(status: dict[str, Any], cells: int) -> bool:
    """Whether the gateway has counted, by cause, as many payloads as were sent."""
    counters = report(status).items()
    taken: int = sum(n for name, n in counters if name.startswith("sensor."))
    return taken >= cells


def wait_for(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + _READY_WITHIN_S
    while not condition():
        if time.monotonic() > give_up:
            raise TransientError(f"not within {_READY_WITHIN_S:g} s", where=what)
        time.sleep(0.1)


def _recorded(folder: Path) -> tuple[list[TickRecord], list[Damage]]:
    """Every tick of every segment, and what could not be read."""
    ticks: list[TickRecord] = []
    damage: list[Damage] = []
    for path in segments(folder):
        reader = SegmentReader(path)
        ticks += reader
        damage += reader.damage
    return ticks, damage
