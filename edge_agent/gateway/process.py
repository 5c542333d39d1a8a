"""The gateway process: a loop between the control process, the broker and the recorder.

Owns: what is done on each wake-up, and the order of a clean stop. Must not: decide anything, say
to an actuator what control has not just decided, or stop because somebody else did: without
control it keeps the broker told, without a broker it keeps recording.
"""

import os
import random
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import msgspec

from edge_agent import __version__
from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.ipc import Actuate, Bye, ControlMessage, StatusReport, Tick, Welcome
from edge_agent.core.records import TickRecord
from edge_agent.gateway.actuator_settings import driven
from edge_agent.gateway.actuators import Actuators
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.control_socket import ControlSocket
from edge_agent.gateway.documents import Documents
from edge_agent.gateway.intake import Intake
from edge_agent.gateway.metrics import Instant
from edge_agent.gateway.metrics_pages import MetricsPages
from edge_agent.gateway.metrics_settings import MetricsSettings
from edge_agent.gateway.offline import OfflineLink
from edge_agent.gateway.plane import Carrier, PlaneJob, link_options
from edge_agent.gateway.session import LinkOptions
from edge_agent.gateway.settings import MqttSettings, sensor_decoders
from edge_agent.safety.limits import Envelope

WAIT_S = 0.1
REPORT_EVERY_NS = NS_PER_S
REST_EVERY_NS = NS_PER_S // 20  # all but commands is seen to as often, however many come


class Recorder(Protocol):
    """Keeps what happened, in the order in which it is handed over."""

    def begin(self, welcome: Welcome) -> None:
        """What follows comes from this run of the control process; OSError as for `append`."""

    def append(self, record: bytes) -> None:
        """One encoded TickRecord; OSError when it cannot be kept."""

    def status(self) -> dict[str, int | str]:
        """What became of them, by name: what is taken may still find no room on the disk."""


class Manager(Protocol):
    """The service manager, told how this process is; never waits, never raises."""

    def progress(self, now_ns: int, words: str) -> None:
        """One pass of the loop is complete; `words` say in which state."""

    def leave(self) -> None:
        """The process was told to stop. Called from a signal handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayJob:
    """What one gateway process is for. `password` is the broker's, already read.

    `settings` None: no broker is configured, so there is only the recording to see to.
    `parent_pid`: stop when this process is no longer our parent; None: stop only when told.
    """

    envelope: Envelope
    settings: MqttSettings | None
    socket_path: Path
    password: str = ""
    parent_pid: int | None = None
    plane: PlaneJob | None = None
    metrics: MetricsSettings | None = None
    tell: Callable[[str], None] = lambda _words: None  # a line when a connection comes or goes
    # Whether the control process that has just come goes by another configuration than this job,
    # and by the one that is on the disk.
    outdated: Callable[[Welcome], bool] = lambda _welcome: False


class Gateway:
    """All state of the process; `step` is one pass of its loop."""

    def __init__(
        self, job: GatewayJob, recorder: Recorder, clock: Clock, rng: random.Random
    ) -> None:
        self._job = job
        self._recorder = recorder
        self._clock = clock
        settings = job.settings or MqttSettings()
        drives, feedback = driven(settings.actuator, job.envelope)
        self._actuators = Actuators(drives)
        self._intake = Intake((*sensor_decoders(settings, job.envelope.sensors), *feedback))
        self._base = f"{settings.base_topic}/{job.envelope.device}"
        self._documents = Documents(job.envelope)
        self._link: MqttLink | OfflineLink = OfflineLink()
        if job.settings is not None:
            self._link = MqttLink(self._link_options(job.settings), clock, rng)
        self._control = ControlSocket(job.socket_path)
        self._plane: Carrier | None = None
        if job.plane is not None:
            self._plane = Carrier(job.plane, MqttLink(link_options(job.plane), clock, rng))
        self._pages: MetricsPages | None = None
        if job.metrics is not None:
            self._pages = MetricsPages(job.metrics, job.envelope, self._instant)
        self._decode_record = msgspec.msgpack.Decoder(TickRecord).decode
        self._telemetry_every_ns = round(NS_PER_S / settings.telemetry_rate_hz)
        self._telemetry_sent_ns = 0
        self._report_sent_ns = 0
        self._rest_seen_to_ns = 0
        self._reported_states: tuple[str, bool] = ("", False)
        self._told_links = (False, False)
        self._welcome: Welcome | None = None
        self.outdated = False  # begin anew, to go by what the control process goes by
        self._control_status: dict[str, Any] = {}
        self._last_record: bytes | None = None
        self._counts = dict.fromkeys(
            ("records", "records_lost", "records_malformed", "recordings_failed"), 0
        )

    def step(self, wait_s: float = WAIT_S) -> None:
        """Wait up to `wait_s` for something to happen, then see to all of it."""
        plane = self._plane
        descriptors = [self._link.fileno(), self._control.fileno()]
        descriptors += [] if plane is None else plane.filenos()
        descriptors += [] if self._pages is None else self._pages.filenos()
        waiting_on = [d for d in descriptors if d is not None]
        ready, _, _ = select.select(waiting_on, [], [], wait_s)
        now_ns = self._clock.now_ns()
        if self._pages is not None:
            self._pages.step(now_ns)
        if plane is not None:  # first: a command waits for nothing
            plane.step(now_ns)
            only_plane = ready and not {*ready} & {*descriptors[:2]}
            if only_plane and now_ns - self._rest_seen_to_ns < REST_EVERY_NS:
                return
        self._rest_seen_to_ns = now_ns
        self._control.connect(now_ns)
        for message in self._control.receive():
            self._hear(message)
        self._link.service(now_ns)
        self._actuators.publish(self._link, now_ns)
        self._pass_readings_on()
        self._publish(now_ns)
        self._report(now_ns)

    def words(self) -> str:
        """Whom it can reach, in a sentence."""
        control = "connected" if self._control.connected else "absent"
        return f"control process {control}, broker {self._link.state}"

    def orphaned(self) -> bool:
        """Whether the parent that this process was told to follow is gone."""
        return self._job.parent_pid is not None and os.getppid() != self._job.parent_pid

    def counters(self) -> dict[str, int | str]:
        """Everything countable, by flat name."""
        return {
            **self._link.counters(),
            **self._control.counters(),
            **self._counts,
            **self._intake.counters(),
            **{f"recording.{name}": value for name, value in self._recorder.status().items()},
            **self._actuators.counters(),
            **({} if self._plane is None else self._plane.counters()),
            **({} if self._pages is None else self._pages.counters()),
        }

    def close(self) -> None:
        """Take in what the control process still said, then leave the broker cleanly."""
        for message in self._control.receive():
            self._hear(message)
        self._control.close()
        if self._pages is not None:
            self._pages.close()
        if self._plane is not None:
            self._plane.close(self._clock.now_ns())
        self._link.close(self._documents.offline("stopped"))

    def _hear(self, message: ControlMessage) -> None:
        match message:
            case Tick(record=record):
                self._last_record = record
                self._keep(record)
                if self._plane is not None and self._welcome is not None:
                    self._plane.see(record, self._welcome.boot)
                if self._pages is not None:
                    self._pages.observe(record)
            case Welcome():
                self._welcome = message
                self.outdated = self._job.outdated(message)
                self._begin_recording(message)
                if self._plane is not None:
                    self._plane.meet(message)
            case StatusReport(items=items):
                self._control_status = items
            case Actuate():
                self._actuators.take(message)
            case Bye():
                self._control.close()

    def _begin_recording(self, welcome: Welcome) -> None:
        try:
            self._recorder.begin(welcome)
        except OSError:  # as below: the records that follow will be counted as lost
            self._counts["recordings_failed"] += 1

    def _keep(self, record: bytes) -> None:
        try:
            self._recorder.append(record)
        except OSError:  # a full or failing disk must not end the telemetry
            self._counts["records_lost"] += 1
        else:
            self._counts["records"] += 1

    def _pass_readings_on(self) -> None:
        readings = []
        for message in self._link.take_messages():
            readings += self._intake.readings(
                message.topic, message.payload, message.stamp_ns, retained=message.retained
            )
        self._link.take_acks()
        self._control.send_readings(readings)

    def _publish(self, now_ns: int) -> None:
        control = "up" if self._control.connected else "gone"
        self._link.set_status(self._documents.status(self._welcome, control, self._control_status))
        record = self._last_record
        if record is None or now_ns - self._telemetry_sent_ns < self._telemetry_every_ns:
            return
        self._telemetry_sent_ns = now_ns
        self._last_record = None
        if not self._link.connected:
            return
        boot = "" if self._welcome is None else self._welcome.boot
        try:
            decoded = self._decode_record(record)
            document = self._documents.telemetry(decoded, boot)
        except (msgspec.DecodeError, ValueError):  # a control process of another version
            self._counts["records_malformed"] += 1
            return
        self._link.publish(f"{self._base}/telemetry", document)

    def _report(self, now_ns: int) -> None:
        states = (self._link.state, self._control.connected)
        links = (self._link.connected, self._control.connected)
        if links != self._told_links:  # not each attempt of a broker that is away
            self._told_links = links
            control = "there" if links[1] else "gone"
            self._job.tell(f"mqtt={states[0]} control={control} {self._link.last_reason}")
        if states == self._reported_states and now_ns - self._report_sent_ns < REPORT_EVERY_NS:
            return
        self._reported_states = states
        self._report_sent_ns = now_ns
        self._control.send_report(self.counters())

    def _instant(self) -> Instant:
        return Instant(
            now_ns=self._clock.now_ns(),
            version=__version__,
            welcome=self._welcome,
            control_connected=self._control.connected,
            status=self._control_status,
            counters=self.counters(),
        )

    def _link_options(self, settings: MqttSettings) -> LinkOptions:
        return LinkOptions(
            host=settings.host,
            port=settings.port,
            client_id=settings.client_id or f"edge-{self._job.envelope.device}",
            protocol=settings.protocol,
            keepalive_s=settings.keepalive_s,
            username=settings.username,
            password=self._job.password,
            topics=self._intake.topics,
            status_topic=f"{self._base}/status",
            will=self._documents.will(),
        )


def run_gateway(
    job: GatewayJob, recorder: Recorder, clock: Clock, rng: random.Random, manager: Manager
) -> bool:
    """Run until SIGTERM, SIGINT, the end of the parent named in `job`, or until the control process
    goes by another configuration; whether it was that."""
    told_to_stop = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal told_to_stop
        told_to_stop = True
        manager.leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    gateway = Gateway(job, recorder, clock, rng)
    try:
        while not told_to_stop and not gateway.orphaned() and not gateway.outdated:
            gateway.step()
            manager.progress(clock.now_ns(), gateway.words())
    finally:
        gateway.close()
    return gateway.outdated and not told_to_stop
