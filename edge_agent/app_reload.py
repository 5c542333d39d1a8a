"""Composition of `edge-agent reload`: a running agent takes the configuration as it is now.

Owns: that everything is tried first, the word to the running process, and waiting until it runs by
the new one. Must not: stop anything for a configuration that could not run.

A configuration is never changed under a running agent: it comes to safe as at a stop, the
microcontroller confirms, and the same process begins anew (service/again.py). It arms itself only
where a start would (`--arm`), and not if it was not driving before.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from edge_agent.app_check import check, check_gateway
from edge_agent.app_gateway import ask_status
from edge_agent.config import Settings, socket_path
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.core.errors import ConfigError, PortError, TransientError
from edge_agent.gateway.control_socket import peer_pid
from edge_agent.service.again import AGAIN
from edge_agent.service.private_file import CREDENTIALS

_LOOK_EVERY_NS = 200 * NS_PER_MS
Found = TypeVar("Found")
WITHIN_NS = 75 * NS_PER_S  # the longest way to safe, and a start


def reload(load: Callable[[], Settings], clock: Clock) -> str:
    """What happened, once the configuration that `load` finds is in force. ConfigError when it
    could not run, TransientError when nobody took it."""
    settings = _tried(load)
    before = ask_status(settings)["control"]
    if "gateway_process" in before:  # one of its own; a unit beside it tries its part by itself
        _kept_if_bad(lambda: check_gateway(settings))
    if _digest(before) == settings.digest:
        return "the agent runs by this configuration already: nothing to do"
    path = socket_path(settings)
    pid = peer_pid(path)
    try:
        os.kill(pid, AGAIN)
    except OSError as error:
        raise TransientError(
            f"process {pid} cannot be told: {error.strerror}",
            where=str(path),
            fix="run as the agent's user: systemctl reload edge-agent does",
        ) from error
    end_ns = clock.now_ns() + WITHIN_NS
    while clock.now_ns() < end_ns:
        if _digest(_control(settings)) == settings.digest:
            return f"in force: {settings.source}, configuration {settings.digest[:12]}"
        clock.sleep_until_ns(clock.now_ns() + _LOOK_EVERY_NS)
    raise TransientError(
        f"not in force within {WITHIN_NS // NS_PER_S} s",
        where=str(path),
        fix="journalctl -u edge-agent says what the agent does",
    )


def _tried(load: Callable[[], Settings]) -> Settings:
    """What it says, if all that a start would load can be loaded."""
    settings = tried = _kept_if_bad(load)
    if not os.access(os.environ.get(CREDENTIALS, ""), os.R_OK | os.X_OK):
        tried = without_credentials(settings, _control(settings))
    _kept_if_bad(lambda: check(tried))
    return settings


def without_credentials(settings: Settings, running: Mapping[str, Any]) -> Settings:
    """What can be tried where systemd hides them: from the command of ExecReload 252 hides the
    folder, 257 its name too. The process that runs has those that it uses, and keeps them; one
    whose use is new would need a restart, and is missed as any that is not there."""
    plane, serial = settings.config.plane, settings.config.serial
    if plane is not None and not plane.keyring_file and "commands" in running:
        plane = None
    if serial is not None and serial.key_credential and running.get("serial", {}).get("keyed"):
        serial = replace(serial, key_credential="")
    return replace(settings, config=replace(settings.config, plane=plane, serial=serial))


def _kept_if_bad(step: Callable[[], Found]) -> Found:
    """Its result; a ConfigError with a word of what becomes of the running agent."""
    try:
        return step()
    except ConfigError as error:
        words = f"{error.what}; a running agent keeps the configuration it has"
        raise type(error)(words, where=error.where, fix=error.fix) from error


def _control(settings: Settings) -> dict[str, Any]:
    """Empty between the two runs."""
    try:
        control: dict[str, Any] = ask_status(settings)["control"]
    except PortError:
        return {}
    return control


def _digest(control: dict[str, Any]) -> str:
    return str(control.get("hashes", {}).get("config", ""))
