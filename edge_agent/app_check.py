"""Composition of `edge-agent check`: all that `run` and its gateway would load; starts nothing.

Owns: that nothing is left out of it, for a start and for a reload alike. Must not: open a port,
note anything, or be imported by the control process, which has no use for TLS.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge_agent.app import golden_deviation, load_model
from edge_agent.app_commands import keyring_source
from edge_agent.app_hardware import hardware_of
from edge_agent.app_key import serial_key
from edge_agent.app_password import broker_password, plane_password
from edge_agent.app_tls import check_plane_files
from edge_agent.config import SerialConfig, Settings, recordings_folder, state_folder
from edge_agent.core.clock import SystemClock
from edge_agent.decision.fallbacks import fallback_of

_CONTROL_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enforce": "enforce",
        "monitor": "monitor: everything is decided and recorded, nothing is driven",
    }
)


def check(settings: Settings) -> dict[str, str]:
    """What was found, by name.

    Raises ConfigError or ModelError for the first thing that would keep the control process from
    starting.
    """
    config = settings.config
    hardware_of(settings)
    if config.plane is not None:
        keyring_source(config.plane, os.environ, state_folder(settings)).check()
    model = load_model(settings, SystemClock())
    deviation = golden_deviation(model)
    tolerance = model.manifest.golden.tolerance
    return {
        "configuration": settings.source,
        "device": config.device,
        "mode": config.mode,
        "control": _CONTROL_WORDS[config.control],
        "envelope": settings.envelope.sha256(),
        "tightened": "yes" if settings.envelope != settings.compiled else "no",
        "model": f"{model.manifest.name} {model.manifest.version} ({model.folder})",
        "fallback": _fallback_words(settings),
        "golden deviation": f"{deviation:.4g} (tolerance {tolerance:g})",
        "serial": _serial_words(config.serial),
        "broker": f"{config.mqtt.host}:{config.mqtt.port}" if config.mqtt else "none",
        "recordings": str(recordings_folder(settings)),
    }


def check_gateway(settings: Settings) -> str:
    """The same of the gateway, whose secrets another user may own; what it would connect to."""
    broker_password(settings)
    plane_password(settings)
    return check_plane_files(settings)


def _serial_words(serial: SerialConfig | None) -> str:
    if serial is None:
        return "none"
    keyed = serial_key(serial, os.environ) is not None
    return f"{serial.port} (every frame proved with its key)" if keyed else serial.port


def _fallback_words(settings: Settings) -> str:
    if not settings.config.model.fallback:
        return "off: the outputs hold and go to safe when the model fails"
    exists = fallback_of(settings.envelope) is not None
    return "plain controller" if exists else "none for this device: hold, then safe"
