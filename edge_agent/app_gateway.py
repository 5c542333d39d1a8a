"""Composition of the verbs that talk to the network or to a running agent.

Owns: what the gateway process, the feeder and the status query are made of. Must not: import
the model or the serial port; the process that has a network cannot move things.
"""

import os
import random
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from edge_agent import __version__
from edge_agent.app_password import broker_password, plane_password
from edge_agent.app_tls import plane_tls
from edge_agent.config import (
    Settings,
    command_socket_path,
    outbox_folder,
    recordings_folder,
    socket_path,
)
from edge_agent.core.clock import SystemClock, utc_now_ns
from edge_agent.core.errors import EXIT_OK, EXIT_TRANSIENT, EdgeAgentError
from edge_agent.core.ipc import Welcome
from edge_agent.gateway.control_socket import query_status
from edge_agent.gateway.feed import FeedJob, feed
from edge_agent.gateway.plane import PlaneJob
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.gateway.process import GatewayJob, run_gateway
from edge_agent.recording.format import Header, channel_infos
from edge_agent.recording.writer import SegmentWriter
from edge_agent.service.again import start_again
from edge_agent.service.log import Level, Log
from edge_agent.service.notify import open_notifier

STATUS_WITHIN_S = 2.0
_BYTES_PER_MB = 1_000_000
_RUN_BYTES = 8


class FlightRecorder:
    """One series of segments per run of the control process that the gateway meets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writer: SegmentWriter | None = None
        self._boot = ""

    def begin(self, welcome: Welcome) -> None:
        """Start a new segment, headed by who is speaking from now on."""
        if welcome.boot == self._boot:
            return  # the same run, met again
        self.close()
        self._boot = welcome.boot
        sensors, actuators = channel_infos(self._settings.envelope)
        header = Header(
            device=welcome.device,
            boot=welcome.boot,
            code_version=__version__,
            hashes=welcome.hashes,
            sensors=sensors,
            actuators=actuators,
            started_utc_ns=utc_now_ns(),
            started_ns=SystemClock().now_ns(),
        )
        limits = self._settings.config.recording
        self._writer = SegmentWriter(
            recordings_folder(self._settings),
            header,
            limits.segment_mb_max * _BYTES_PER_MB,
            limits.total_mb_max * _BYTES_PER_MB,
        )

    def append(self, record: bytes) -> None:
        """Keep one TickRecord; a disk that fails is counted by the writer."""
        if self._writer is not None:
            self._writer.append(record)

    def status(self) -> dict[str, int | str]:
        """Of the newest series; empty before the first."""
        return {} if self._writer is None else self._writer.status()

    def close(self) -> None:
        """Release the segment."""
        if self._writer is not None:
            self._writer.close()


def run_gateway_process(load: Callable[[], Settings], parent_pid: int | None) -> int:
    """`edge-agent gateway`: until SIGTERM, or until `parent_pid` is no longer the parent. When the
    control process has taken the configuration anew, `load` finds it, and this begins anew too."""
    settings = load()
    job = _gateway_job(settings, Log(SystemClock()), parent_pid)
    job = replace(job, outdated=partial(is_outdated, settings, load, job.tell))
    recorder = FlightRecorder(settings)
    notifier = open_notifier(os.environ)
    try:
        again = run_gateway(job, recorder, SystemClock(), random.Random(), notifier)
    finally:
        recorder.close()
    if again:
        start_again(notifier)
    return EXIT_OK


def is_outdated(
    settings: Settings, load: Callable[[], Settings], tell: Callable[[str], None], welcome: Welcome
) -> bool:
    """Whether another start would go by the same configuration as the control process, and this one
    does not. One that this process could not start with is said, and not followed."""
    wanted = welcome.hashes.get("config")
    if wanted == settings.digest:
        return False
    try:
        found = load()
        _gateway_job(found, Log(SystemClock()), None)
    except EdgeAgentError as error:
        tell(f"the configuration of the control process is not followed: {error}")
        return False
    if wanted != found.digest:
        tell("the control process goes by another configuration than the files here: restart it")
    return wanted == found.digest


def _gateway_job(settings: Settings, log: Log, parent_pid: int | None) -> GatewayJob:
    """ConfigError when a secret cannot be had."""
    mqtt, plane = settings.config.mqtt, settings.config.plane
    return GatewayJob(
        envelope=settings.envelope,
        settings=mqtt,
        socket_path=socket_path(settings),
        password=broker_password(settings),
        parent_pid=parent_pid,
        plane=None if plane is None else plane_job(settings, plane),
        metrics=settings.config.metrics,
        tell=partial(log.say, Level.NOTICE),
    )


def plane_job(settings: Settings, plane: PlaneSettings) -> PlaneJob:
    """What the carrier of the control plane is for; ConfigError when a file cannot be used."""
    return PlaneJob(
        settings=plane,
        envelope=settings.envelope,
        control=settings.config.control,
        run=secrets.token_hex(_RUN_BYTES),
        socket_path=command_socket_path(settings),
        folder=outbox_folder(settings),
        password=plane_password(settings),
        tls=plane_tls(settings),
    )


def ask_status(settings: Settings) -> dict[str, Any]:
    """The running agent's status document; PortError when none answers."""
    return query_status(socket_path(settings), STATUS_WITHIN_S)


def run_feed(job: FeedJob) -> int:
    """`edge-agent feed`: play a log; the account of it goes to stdout as JSON."""
    progress = sys.stderr if sys.stderr.isatty() else None
    summary = feed(job, SystemClock(), random.Random(), sys.stdout, progress)
    if not job.dry_run:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    return EXIT_TRANSIENT if summary.unacked else EXIT_OK
