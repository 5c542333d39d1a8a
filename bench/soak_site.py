"""The agent's two processes for as long as wanted, with all that a site does to them.

A real Mosquitto, the simulated microcontroller behind its pseudo-terminal, `edge-agent run` with
its gateway, the recorded day of a real unit on MQTT, commands from afar, visits to `/metrics`; now
and then the broker is killed or the cable pulled. Owns: what is started, and what happens when.
Must not: judge.
"""

import http.client
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from bench.census import MB, named, of_folder, of_process
from bench.growth import Kind, Rule, Sample
from bench.keyring import KID, write_keyring
from bench.mosquitto import Mosquitto, free_port
from bench.plane import PAUSE_S
from bench.real_day import MAX_AGE_ROWS, days_of
from bench.real_day_run import ask, feeder, report, start_agent, wait_for
from edge_agent.client import ClientOptions, DeviceClient, NoAnswerError
from edge_agent.core.errors import TransientError
from edge_agent.gateway.journal import FINISHED_KEPT

SAMPLES: Final = 120
HOURS_MIN: Final = 0.05  # in less, what is done between the samples leaves no time for enough
_DISTURB_EVERY: Final = 12  # samples
_DISTURB_FIRST: Final = 6  # so that the last is not just before the stop
_AWAY_S: Final = 2.0
_DAY_HOURS: Final = 24.0
# The pools of the interpreter grow for two or three days, then no more: four are left out.
_DAYS: Final = 8
_S_PER_HOUR: Final = 3600.0
_STOP_WITHIN_S: Final = 60.0
_ANSWER_WITHIN_S: Final = 30.0
_ID: Final = "soak"
_SEGMENT_MB, _TOTAL_MB = 1, 4  # full within a quarter of an hour
# Commands, their answers and telemetry that wait for a broker; SQLite's own logs beside them.
_WAITING_MB: Final = 1
_OUTBOX_MB: Final = 10
_REMEMBERED: Final = FINISHED_KEPT + 100
_COMMANDS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("ping", {}),
    ("set-goal", {"channel": "supply_setpoint", "value": 16.0}),
    ("manual", {"channel": "supply_fan", "value": 50.0, "lease_s": 1.0}),
    ("set-goal", {"channel": "supply_setpoint", "value": None}),
    ("disarm", {}),
    ("arm", {}),
    ("stop", {}),
    ("reset", {}),
    ("arm", {"within_s": 5.0}),
)
RULES: Final = (
    *(
        rule
        for process in ("control", "gateway")
        for rule in (
            Rule(f"{process}.own_kb", Kind.SLOPE, 128),
            Rule(f"{process}.threads", Kind.STEADY, 0),
            Rule(f"{process}.descriptors", Kind.STEADY, 0),
        )
    ),
    Rule("other.files", Kind.STEADY, 0),
    Rule("outbox.bytes", Kind.CAPPED, _OUTBOX_MB * MB),
    Rule("recordings.bytes", Kind.CAPPED, _TOTAL_MB * MB),
    Rule("recordings.files", Kind.CAPPED, _TOTAL_MB // _SEGMENT_MB),
)


class Soaked(NamedTuple):
    """What was seen; how commands ended; the agent's last status, and its exit code."""

    samples: list[Sample]
    outcomes: Mapping[str, int]
    status: dict[str, Any]
    exit_code: int


def run(hours: float, folder: Path, tell: Callable[[Sample], None]) -> Soaked:
    """Start everything in `folder`, an empty one; a sample after each of `SAMPLES` equal parts of
    the time, and something done to the agent after each sample."""
    samples: list[Sample] = []
    with Site(folder, max(_DAYS * _DAY_HOURS, _DAY_HOURS / hours)) as site:
        site.fill()
        start_s, number = time.monotonic(), 0
        while time.monotonic() - start_s < hours * _S_PER_HOUR:
            number += 1
            site.feed_until(start_s + hours * _S_PER_HOUR * number / SAMPLES)
            at_s = time.monotonic() - start_s
            samples.append(Sample(at_s, site.figures()))
            tell(samples[-1])
            site.visit()
            if number % _DISTURB_EVERY == _DISTURB_FIRST:
                site.disturb(number // _DISTURB_EVERY)
            else:
                site.command(number)
        status, exit_code = site.finish()
    return Soaked(samples, site.outcomes, status, exit_code)


def said(status: dict[str, Any]) -> dict[str, Any]:
    """The counters of the line and of the gateway; TransientError when there are none."""
    counters = report(status)
    if not counters:
        raise TransientError("no report of the gateway", where="edge-agent status")
    return {**status.get("control", {}).get("serial", {}), **counters}


class Site:
    """Ends everything that it started; use as a context manager."""

    def __init__(self, folder: Path, speed: float) -> None:
        self._stack = ExitStack()
        (self._day,) = days_of(["mzvav"], speed, MAX_AGE_ROWS)
        self._state = folder / "state"
        self._metrics_port = free_port()
        self.outcomes: Counter[str] = Counter()
        self._broker = self._stack.enter_context(Mosquitto(folder))
        with self._stack:
            keyring, secret = write_keyring(folder, _ID)
            self._mcu, self._agent = start_agent(
                self._stack, self._day, folder, self._broker.port, self._sections(keyring)
            )
            self._feeder = self._stack.enter_context(feeder(self._day, self._broker.port))
            options = ClientOptions(
                host=self._broker.host, port=self._broker.port, device=_ID, kid=KID, secret=secret
            )
            self._client = self._stack.enter_context(DeviceClient(options))
            self._client.wait_online(_ANSWER_WITHIN_S)
            self._gateway_pid = self._agent.child_pid()
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._stack.close()

    def feed_until(self, at_s: float) -> None:
        """Let the day be played, again when it is over, until `time.monotonic()` is `at_s`."""
        while time.monotonic() < at_s:
            if not self._feeder.alive():
                self._feeder = self._stack.enter_context(feeder(self._day, self._broker.port))
            self._client.hear(min(1.0, max(0.0, at_s - time.monotonic())))

    def figures(self) -> dict[str, int]:
        """What both processes and the state folder hold now."""
        if self._gateway_pid is None or self._agent.child_pid() != self._gateway_pid:
            raise TransientError("the gateway was started again", where=str(self._state))
        recordings = of_folder(self._state / "recordings")
        return {
            **named("control", of_process(self._agent.pid)),
            **named("gateway", of_process(self._gateway_pid)),
            **named("recordings", recordings),
            **named("outbox", of_folder(self._state / "outbox")),
            "other.files": of_folder(self._state)["files"] - recordings["files"],
        }

    def fill(self) -> None:
        """Commands, until the agent and its gateway remember as many as they ever will."""
        for _ in range(_REMEMBERED):
            self._client.command("ping")
            time.sleep(PAUSE_S)

    def command(self, number: int) -> None:
        """The next command, and the wait for its last answer."""
        op, args = _COMMANDS[number % len(_COMMANDS)]
        outcome = self._client.command(op, args, within_s=_ANSWER_WITHIN_S)
        self.outcomes[f"{op} {outcome.st}"] += 1

    def disturb(self, number: int) -> None:
        """The broker is killed and started again, or the cable pulled and plugged in; until
        commands are answered again."""
        if number % 2:
            self._mcu.tell("unplug")
            time.sleep(_AWAY_S)
            self._mcu.tell("replug")
        else:
            self._broker.stop()
            time.sleep(_AWAY_S)
            self._broker.start()
        wait_for(self._answers, "an answer after it was disturbed")

    def finish(self) -> tuple[dict[str, Any], int]:
        """The last status, and the exit code of a stop in good order."""
        status = said(ask(self._state))
        self._agent.signal(signal.SIGTERM)
        exit_code, _ = self._agent.finish(_STOP_WITHIN_S)
        return status, exit_code

    def _answers(self) -> bool:
        try:
            return self._client.command("ping", within_s=1.0).st == "done"
        except NoAnswerError:
            return False

    def visit(self) -> None:
        """Read `/metrics` as a collector does."""
        connection = http.client.HTTPConnection("127.0.0.1", self._metrics_port, timeout=5)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK or not answer.read():
            raise TransientError(f"answered {answer.status}", where="/metrics")
        connection.close()

    def _sections(self, keyring: Path) -> str:
        return f"""\
[plane]
id = "{_ID}"
port = {self._broker.port}
keyring_file = "{keyring}"
backlog_mb_max = {_WAITING_MB}
[metrics]
port = {self._metrics_port}
[recording]
segment_mb_max = {_SEGMENT_MB}
total_mb_max = {_TOTAL_MB}
"""
