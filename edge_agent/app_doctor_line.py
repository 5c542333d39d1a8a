"""Composition of the doctor's checks that reach out: serial ports and brokers.

Owns: what is asked on each line and what is expected there. Must not: arm, open a session on a
microcontroller, or publish what anybody could take for a measurement or a command. Only ports
that are configured are opened: opening resets many boards.
"""

import os
import secrets
import select
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_agent.app_bridge import CountedLine, identify, matches, ports
from edge_agent.app_doctor import Patient
from edge_agent.app_gateway import plane_job
from edge_agent.app_hardware import lines_port, modbus_port
from edge_agent.app_key import serial_key
from edge_agent.app_password import broker_password
from edge_agent.app_tls import check_plane_files
from edge_agent.authority.topics import topics_of
from edge_agent.config import SerialConfig
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Quality
from edge_agent.gateway.plane import PlaneJob, link_options
from edge_agent.gateway.probe import Plan, Visit, visit
from edge_agent.gateway.session import LinkOptions
from edge_agent.gateway.settings import MqttSettings
from edge_agent.ports.protocol import Port
from edge_agent.safety.limits import Envelope
from edge_agent.service.check_broker import BrokerFacts, judge_broker
from edge_agent.service.findings import Finding, failure, good, warning
from firmware_bridge.messages import PROTOCOL_VERSION, Hello

ANSWER_WITHIN_S = 4.0  # a board that resets when its port is opened needs two
LISTEN_S = 3.0
_STEP_S = 0.1
_SERIAL = "serial"
_LINES_FIX = "another baud or format? docs/serial.md"
_MODBUS_FIX = "baud, parity, device_id, address? docs/serial.md"
_FLASH = "flash the firmware that was built for this envelope: docs/firmware.md"


def serial(patient: Patient) -> list[Finding]:
    """The microcontroller and the boards that are not ours; a running agent is asked instead."""
    config = patient.settings.config
    if config.serial is None and not config.serial_lines and not config.modbus:
        there = ", ".join(entry.path for entry in ports()) or "none"
        return [good(_SERIAL, f"no port is configured; on this machine: {there}")]
    if patient.control is not None and config.mode == "real":
        parts = {k: v for k, v in patient.control.items() if k.startswith((_SERIAL, "modbus_"))}
        return [_running(name, part) for name, part in parts.items()]
    found = [] if config.serial is None else [_bridge(patient, config.serial)]
    found += [_lines(patient, number) for number in range(len(config.serial_lines))]
    return found + [_modbus(patient, number) for number in range(len(config.modbus))]


def _running(name: str, part: Mapping[str, Any]) -> Finding:
    """What the agent that holds the port says of it."""
    if part["fault"]:
        return failure(_SERIAL, f"{name} {part['path']}: {part['fault']}", "edge-agent status")
    state = part.get("state", _talk(part))
    words = f"{name} {part['path']}: {state}, held by the running agent"
    if part.get("requests", 0) > 0 and part["answers"] == 0:
        return warning(_SERIAL, words, _MODBUS_FIX)
    if name.startswith("serial_lines_") and "lines" not in part:
        return warning(_SERIAL, words, _LINES_FIX)
    return good(_SERIAL, words)


def _bridge(patient: Patient, config: SerialConfig) -> Finding:
    """Who answers, and whether it was built for this envelope, these channels and this key."""
    line = CountedLine(config.port, config.baud, serial_key(config, os.environ))
    try:
        hello = identify(line, patient.clock, ANSWER_WITHIN_S)
    finally:
        line.close()
    return judge_hello(patient.settings.compiled, config, hello)


def judge_hello(compiled: Envelope, config: SerialConfig, hello: Hello) -> Finding:
    """The firmware's own account beside what the agent will ask for."""
    wanted = compiled.sha256()[:8]
    told = f"{hello.envelope_hash:08x}"
    fit = next(match for match in matches(hello) if match.device == compiled.device)
    words = f"{config.port}: firmware {hello.firmware_version}, envelope {told}"
    if hello.protocol_version != PROTOCOL_VERSION:
        words += f", protocol {hello.protocol_version}; this speaks {PROTOCOL_VERSION}"
        return failure(_SERIAL, words, _FLASH)
    if told != wanted:
        return failure(_SERIAL, f"{words}, here {wanted}: it will not be armed", _FLASH)
    if fit.sensors != config.sensors:
        has = "channels of no known choice" if fit.sensors is None else f"{list(fit.sensors)}"
        return failure(
            _SERIAL, f"{words}; it reports {has}", "set serial.sensors to what it reports"
        )
    return good(_SERIAL, f"{words} as here, dead man {hello.deadman_ms} ms")


def _talk(status: Mapping[str, Any]) -> str:
    """How much was heard of a board that is not ours."""
    if "requests" in status:
        return f"{status['answers']} answers to {status['requests']} requests"
    return f"{status.get('lines', 0)} lines"


def _lines(patient: Patient, number: int) -> Finding:
    rows = patient.settings.config.serial_lines[number].sensor
    port = lines_port(patient.settings, number)
    return _listen(patient, port, len(rows), LISTEN_S, _LINES_FIX)


def _modbus(patient: Patient, number: int) -> Finding:
    section = patient.settings.config.modbus[number]
    for_s = section.timeout_s + LISTEN_S  # a line that was opened is left alone for a timeout
    port = modbus_port(patient.settings, number)
    return _listen(patient, port, len(section.sensor), for_s, _MODBUS_FIX)


def _listen(patient: Patient, port: Port, channels: int, for_s: float, fix: str) -> Finding:
    """Hear a board that is not ours until each of its channels has had a good value."""
    clock = patient.clock
    end_ns = clock.now_ns() + round(for_s * NS_PER_S)
    heard: set[int] = set()
    try:
        while clock.now_ns() < end_ns and len(heard) < channels:
            readings = port.poll(clock.now_ns())
            heard |= {reading.channel for reading in readings if reading.quality == Quality.GOOD}
            descriptor = port.fileno()
            select.select(() if descriptor is None else (descriptor,), (), (), _STEP_S)
        status = port.status()
    finally:
        port.close()
    if status["fault"]:
        return failure(
            _SERIAL, f"{status['path']}: {status['fault']}", "see `edge-agent bridge info`"
        )
    words = f"{status['path']}: {_talk(status)}, {len(heard)} of {channels} channels good in"
    words += f" {for_s:g} s"
    return warning(_SERIAL, words, fix) if len(heard) < channels else good(_SERIAL, words)


def broker(patient: Patient) -> list[Finding]:
    """The broker of sensors and telemetry."""
    mqtt = patient.settings.config.mqtt
    if mqtt is None:
        return [good("broker", "none is configured")]
    device = patient.settings.envelope.device
    base = f"{mqtt.base_topic}/{device}"
    echo, telemetry = f"{base}/doctor", f"{base}/telemetry"
    listens = tuple(dict.fromkeys(row.topic for row in mqtt.sensor))
    options = LinkOptions(
        host=mqtt.host,
        port=mqtt.port,
        client_id=_guest_id(mqtt, device, patient),
        protocol=mqtt.protocol,
        keepalive_s=mqtt.keepalive_s,
        username=mqtt.username,
        password=broker_password(patient.settings),
        topics=(echo, *listens),
    )
    nonce = secrets.token_hex(8).encode()
    says = {telemetry: b'{"doctor": "' + nonce + b'"}'}
    found = visit(options, Plan(echo, nonce, says), patient.clock)
    return judge_broker("broker", _facts(options, found, (telemetry,), listens))


def _guest_id(mqtt: MqttSettings, device: str, patient: Patient) -> str:
    """The agent's own name, by which an access list may know it, unless the agent is using it."""
    own = mqtt.client_id or f"edge-{device}"
    return own if patient.control is None else f"{own}-doctor"


def plane(patient: Patient) -> list[Finding]:
    """Each broker of the control plane: its files, TLS, and the right to answer."""
    settings = patient.settings
    config = settings.config.plane
    if config is None:
        return [good("plane", "none is configured")]
    files = check_plane_files(settings)
    job = plane_job(settings, config)
    found = [_plane_broker(job, address, patient) for address in config.addresses]
    return [finding for verdict in found for finding in verdict] or [good("plane", files)]


def _plane_broker(job: PlaneJob, address: tuple[str, int], patient: Patient) -> list[Finding]:
    """What is wrong with one of them; nothing if all is well."""
    config = job.settings
    topics = topics_of(config.id)
    # A guest name in any case: the agent's own would end a session that the broker keeps for it.
    options = replace(
        link_options(job),
        host=address[0],
        port=address[1],
        client_id=f"ed-{config.id}-doctor",
        topics=(topics.cmd,),
        status_topic="",
        will=b"",
    )
    # An empty answer is no answer to any command; it shows whether one could be given.
    found = visit(options, Plan(topics.resp, b"", {}, listen_ns=0), patient.clock)
    verdict = judge_broker("plane", _facts(options, found, (topics.resp,), ()))
    if any(f.fix for f in verdict) and (found.problem or found.denied or found.unanswered):
        return verdict
    return []


def _facts(
    options: LinkOptions, found: Visit, needs: tuple[str, ...], listens: tuple[str, ...]
) -> BrokerFacts:
    return BrokerFacts(
        where=f"{options.host}:{options.port}",
        problem=found.problem,
        round_trip_ns=found.round_trip_ns,
        tells_denials=found.tells_denials,
        refused=found.refused,
        denied=found.denied,
        unanswered=found.unanswered,
        heard=found.heard,
        needs=needs,
        listens=listens,
    )
