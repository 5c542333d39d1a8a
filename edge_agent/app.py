"""Composition: the only file that names concrete classes of every room.

Owns: which port, policy, clock and recorder make up each verb. Must not: decide, loop, or
parse arguments. A verb is one function here; `cli.py` turns words into a call.
"""

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from edge_agent import __version__, loop
from edge_agent.app_commands import open_commands
from edge_agent.app_hardware import hardware_of
from edge_agent.app_realtime import wishes_of
from edge_agent.app_safe_mode import inherited_trip, is_safe_mode
from edge_agent.config import Settings, socket_path, state_folder
from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock, SystemClock
from edge_agent.core.errors import EXIT_OK, EXIT_TRANSIENT, ConfigError, EdgeAgentError, ModelError
from edge_agent.core.ipc import Welcome
from edge_agent.core.records import Reason, Rule, TickRecord
from edge_agent.decision.agent import Agent, Options
from edge_agent.decision.fallbacks import fallback_of
from edge_agent.decision.features import Features
from edge_agent.decision.policy import NoPolicy, Policy
from edge_agent.inference.golden import largest_deviation, load_golden
from edge_agent.inference.manifest import Manifest, features_of, load_manifest
from edge_agent.ports.gateway_relay import GatewayRelay
from edge_agent.ports.protocol import Port
from edge_agent.service import realtime
from edge_agent.service.again import AGAIN, start_again, stays_safe
from edge_agent.service.child import ChildProcess
from edge_agent.service.last_good import keep_last_good
from edge_agent.service.latch import Trip, TripLatch, latch_path, require_writable
from edge_agent.service.log import Level, Log, ModeLog
from edge_agent.service.notify import Notifier, TickNotifier, open_notifier
from edge_agent.service.starts import StartCount, machine_boot
from edge_agent.service.status import TickStats, status_document
from edge_agent.service.upgrade import rolled_back
from edge_agent.service.warming import Warming

STATUS_EVERY_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that fits the device, ready to decide."""

    folder: Path
    manifest: Manifest
    policy: Policy
    warm: Callable[[], None]  # runs the model beside what is decided


def load_model(settings: Settings, clock: Clock) -> LoadedModel:
    """The configured model, or the one that ships for the device; ModelError if it is unfit.

    ONNX Runtime is imported here and no sooner: a build of it that this processor cannot run
    ends the process, which safe mode has to survive.
    """
    from edge_agent.inference.session import OnnxPolicy

    configured = settings.config.model.path
    folder = Path(configured) if configured else shipped_model(settings.config.device)
    manifest = load_manifest(folder, settings.compiled)
    policy = OnnxPolicy(folder, manifest, clock)
    return LoadedModel(folder, manifest, policy, policy.warm)


def golden_deviation(model: LoadedModel) -> float:
    """How far this CPU and runtime are from the answers that the model was shipped with;
    ModelError when that is too far."""
    deviation = largest_deviation(model.policy, load_golden(model.folder, model.manifest))
    tolerance = model.manifest.golden.tolerance
    if not deviation <= tolerance:
        raise ModelError(
            f"golden vectors differ by {deviation:.4g}, tolerance {tolerance:g}",
            where=str(model.folder),
            fix="this CPU or onnxruntime computes the model differently: do not use it here",
        )
    return deviation


def shipped_model(device: str) -> Path:
    """Where the package keeps its model of `device`: inside a wheel, or beside the sources."""
    package = Path(__file__).resolve().parent
    for folder in (package / "models" / device, package.parent / "models" / device):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"no model ships for {device!r}", where="model.path", fix="set [model] path to its folder"
    )


def build_agent(
    settings: Settings, model: LoadedModel, period_ns: int, latched: Reason | None = None
) -> Agent:
    """The agent of one device, deciding by `model`; `latched` is a trip that nobody has reset."""
    features = features_of(model.manifest, settings.compiled)
    options = options_of(settings)._replace(latched=latched)
    return Agent(settings.envelope, model.policy, features, period_ns, options)


def options_of(settings: Settings) -> Options:
    """What the configuration decides about an agent."""
    wanted = settings.config.model.fallback
    return Options(
        fallback=fallback_of(settings.envelope) if wanted else None,
        monitor=settings.config.control == "monitor",
    )


def watching_agent(settings: Settings, period_ns: int, latched: Reason) -> Agent:
    """The agent of safe mode: no model, no fallback, and nobody can make it drive."""
    envelope = settings.envelope
    features = Features(
        (), [s.name for s in envelope.sensors], [a.name for a in envelope.actuators]
    )
    options = Options(fallback=None, monitor=True, latched=latched)
    return Agent(envelope, NoPolicy(), features, period_ns, options)


def hashes_of(settings: Settings, model: LoadedModel | None) -> dict[str, str]:
    """Everything that decides what this run may do, as hex digests."""
    return {
        "envelope": settings.envelope.sha256(),
        "compiled_envelope": settings.compiled.sha256(),
        "config": settings.digest,
        "model": model.manifest.sha256 if model is not None else "",
    }


class Reporting(Protocol):
    """A part that says how it is."""

    def status(self) -> dict[str, int | str]:
        """Counters and state by name."""


class Leaving(Protocol):
    """Whoever must know at once that the process was told to stop."""

    def leave(self) -> None:
        """Called from a signal handler: never waits, never raises."""


class StatusSink:
    """Publishes ticks, and the status document once a second, to the relay."""

    def __init__(
        self,
        relay: GatewayRelay,
        settings: Settings,
        stats: TickStats,
        parts: Mapping[str, Reporting],
        facts: Mapping[str, Any],
    ) -> None:
        self._relay = relay
        self._envelope = settings.envelope
        self._stats = stats
        self._parts = parts
        self._facts = facts
        self._due_ns = 0

    def publish(self, tick: TickRecord) -> None:
        """Hand the tick on; never waits."""
        self._relay.publish(tick)
        if tick.now_ns >= self._due_ns:
            self._due_ns = tick.now_ns + STATUS_EVERY_NS
            parts = {name: part.status() for name, part in self._parts.items()}
            document = status_document(self._envelope, tick, self._stats, parts)
            self._relay.publish_status({**document, **self._facts})


def run_control(settings: Settings, *, arm: bool, gateway_command: list[str]) -> int:
    """`edge-agent run`: the control process. Returns the exit code.

    `gateway_command` starts the gateway as a child; empty when it is a unit of its own.
    """
    require_writable(latch_path(state_folder(settings)))
    starts = StartCount(state_folder(settings), machine_boot(), SystemClock().now_ns())
    notifier = open_notifier(os.environ)
    operator = loop.Operator(settings.envelope, arm and not stays_safe(os.environ))
    cpus = os.sched_getaffinity(0)
    try:
        trip = inherited_trip(settings, starts)
        code = _control(settings, trip, operator, notifier, gateway_command)
    except EdgeAgentError:
        starts.refused()
        raise
    starts.ended()
    if operator.again:
        realtime.give_back(cpus)
        start_again(notifier, safe=not operator.driving)
    return code


def _control(
    settings: Settings,
    trip: Trip | None,
    operator: loop.Operator,
    notifier: Notifier,
    gateway_command: list[str],
) -> int:
    """One run, from its parts to its last word; `trip`: one that nobody has reset."""
    clock = SystemClock()
    config = settings.config
    safe_mode = is_safe_mode(trip)
    model = None if safe_mode else _proven_model(settings, clock)
    hardware = hardware_of(settings)
    _make_runtime_dir(settings)
    boot = secrets.token_hex(8)
    hashes = hashes_of(settings, model)
    period_ns = round(NS_PER_S / config.loop.rate_hz)
    relay = GatewayRelay(
        socket_path(settings),
        Welcome(boot, config.device, hashes),
        hardware.mqtt_channels,
        drives=hardware.on_broker,
    )
    monitor_only = safe_mode or config.control == "monitor"
    plane = open_commands(settings, boot, monitor_only=monitor_only)
    ports: dict[str, Port] = {"gateway": relay, **plane.ports, **hardware.ports}
    stats = TickStats(period_ns)
    latch = TripLatch(latch_path(state_folder(settings)), settings.envelope, boot)
    log = Log(clock)
    warming = warming_of(settings, model, clock)
    granted = realtime.set_up(wishes_of(config.loop))
    facts: dict[str, Any] = {"boot": boot, "version": __version__, "safe_mode": safe_mode}
    facts |= {"hashes": hashes, "realtime": granted.facts, "upgrade": rolled_back()}
    children = {"gateway_process": ChildProcess(gateway_command)} if gateway_command else {}
    _stop_on_signals(operator, (*children.values(), notifier))
    own: dict[str, Reporting] = {"service": notifier, "log": log}
    own |= {"warming": warming} if warming is not None else {}
    reporting: dict[str, Reporting] = {**ports, **plane.reporting, **children, **own}
    sink = StatusSink(relay, settings, stats, reporting, facts)
    tellers = (TickNotifier(notifier, settings.envelope), ModeLog(log, settings.envelope))
    parts = loop.Parts(
        _agent_of(settings, model, period_ns, trip),
        tuple(ports.values()),
        (*children.values(), sink, latch, *tellers),
        clock,
        period_ns,
        config.loop.trigger == "telemetry",
        plane.commands,
        warming,
    )
    if config.mode == "simulated":
        log.say(Level.NOTICE, 'simulated hardware; mode = "real" drives a machine')
    keep_last_good(state_folder(settings), settings.texts)
    try:
        _run(parts, operator, stats, tuple(children.values()))
    finally:
        plane.commands.close()
        latch.close()
    return _farewell(operator, log)


def _run(
    parts: loop.Parts,
    operator: loop.Operator,
    stats: TickStats,
    children: Collection[ChildProcess],
) -> None:
    """The loop, with its children, until the operator's stop; then everything is released."""
    try:
        for child in children:
            child.look(parts.clock.now_ns())  # here the start takes no time from a tick
        loop.run(parts, operator, stats)
    finally:
        for port in parts.ports:
            port.close()
        for child in children:
            child.stop()


def _proven_model(settings: Settings, clock: Clock) -> LoadedModel:
    """The model, once it has given its golden answers here."""
    model = load_model(settings, clock)
    golden_deviation(model)
    return model


def warming_of(settings: Settings, model: LoadedModel | None, clock: Clock) -> Warming | None:
    """What runs before each deadline, if the configuration wants it and there is a model."""
    lead_us = settings.config.loop.warm_before_us
    if model is None or not lead_us:
        return None
    return Warming(model.warm, lead_us * NS_PER_US, clock)


def _agent_of(
    settings: Settings, model: LoadedModel | None, period_ns: int, trip: Trip | None
) -> Agent:
    """Without a model, one that only watches."""
    cause = None if trip is None else trip.cause
    if model is None:
        return watching_agent(settings, period_ns, cause or Reason(Rule.NOT_EVALUATED))
    return build_agent(settings, model, period_ns, cause)


def _farewell(operator: loop.Operator, log: Log) -> int:
    """The exit code of a run that was told to stop, and a line when it is not 0."""
    if not operator.confirmed:
        log.say(
            Level.ERROR,
            "stopped, but the microcontroller did not confirm safe outputs;"
            " its own dead man makes them safe",
        )
    return EXIT_OK if operator.confirmed else EXIT_TRANSIENT


def _make_runtime_dir(settings: Settings) -> None:
    """The socket's folder; a service has it from systemd, a development machine has not."""
    with contextlib.suppress(OSError):  # the relay says what is wrong with it, and the fix
        socket_path(settings).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _stop_on_signals(operator: loop.Operator, others: Collection[Leaving]) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        operator.request_stop()
        for other in others:
            other.leave()

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, stop)
    signal.signal(AGAIN, lambda _number, _frame: operator.request_again())
