"""Imports point downward only."""

import pytest

from tests.architecture.imports import (
    OWNERS,
    dynamic_violations,
    imports_of,
    layer_violations,
    owner_violations,
)
from tests.architecture.source import matches, planted, python_sources

PACKAGES = ("edge_agent", "firmware_bridge")


def test_every_room_imports_only_what_its_row_allows() -> None:
    found = [v for source in python_sources() for v in layer_violations(source)]
    assert found == []


def test_each_guarded_module_is_imported_by_its_owners_alone() -> None:
    found = [v for source in python_sources() for v in owner_violations(source)]
    assert found == []


def test_nothing_is_imported_by_name_at_run_time() -> None:
    found = [v for source in python_sources(*PACKAGES) for v in dynamic_violations(source)]
    assert found == []


def test_every_named_owner_still_uses_what_it_owns() -> None:
    """A row that nobody needs any more is a door left open."""
    uses = {(item.top, s.path) for s in python_sources(*PACKAGES) for item in imports_of(s)}
    unused = [
        (module, owner)
        for module, owners in OWNERS.items()
        for owner in owners
        if not any(top == module and matches(path, (owner,)) for top, path in uses)
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("edge_agent/core/planted.py", "import numpy"),
        ("edge_agent/core/planted.py", "from edge_agent.safety.limits import Envelope"),
        ("edge_agent/core/planted.py", "import socket"),
        ("edge_agent/core/units.py", "import time"),
        ("edge_agent/safety/planted.py", "import numpy"),
        ("edge_agent/safety/planted.py", "import logging"),
        ("edge_agent/safety/planted.py", "from edge_agent import decision"),
        ("edge_agent/safety/planted.py", "def f():\n    import os.path"),
        ("edge_agent/mission/planted.py", "import edge_agent.decision.agent"),
        ("edge_agent/decision/planted.py", "import random"),
        ("edge_agent/decision/planted.py", "from edge_agent.ports.protocol import Port"),
        ("edge_agent/inference/planted.py", "from edge_agent.ports import protocol"),
        ("edge_agent/gateway/planted.py", "from edge_agent.recording import writer"),
        ("edge_agent/ports/planted.py", "import paho.mqtt.client"),
        ("edge_agent/sim/planted.py", "from edge_agent.loop import run"),
        ("edge_agent/service/planted.py", "from edge_agent import app"),
        ("edge_agent/loop.py", "from edge_agent.inference.session import Session"),
        ("edge_agent/attic/planted.py", "import math"),
        ("edge_agent/safety/planted.py", "from . import gate"),
        ("edge_agent/sim/planted.py", "from tests.conftest import settings"),
        ("firmware_bridge/planted.py", "from edge_agent.core.clock import NS_PER_S"),
        ("firmware_bridge/planted.py", "import numpy"),
        ("bench/planted.py", "import tests.architecture"),
    ],
)
def test_a_planted_import_is_refused(path: str, text: str) -> None:
    assert len(layer_violations(planted(text, path))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("edge_agent/core/clock.py", "import time"),
        ("edge_agent/decision/planted.py", "import numpy as np\nfrom edge_agent import safety"),
        ("edge_agent/ports/planted.py", "import socket\nfrom firmware_bridge.link import Link"),
        ("edge_agent/app.py", "from edge_agent.gateway import outbox"),
        ("edge_agent/cli_sim.py", "from edge_agent import app"),
        ("edge_agent/app_sim.py", "from edge_agent import __version__, loop"),
        ("firmware_bridge/planted.py", "import enum\nfrom firmware_bridge import frames"),
        ("tests/planted.py", "import tests.conftest, edge_agent.app"),
    ],
)
def test_a_downward_import_is_allowed(path: str, text: str) -> None:
    assert layer_violations(planted(text, path)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("edge_agent/sim/planted.py", "from time import monotonic"),
        ("edge_agent/app.py", "import paho.mqtt"),
        ("edge_agent/ports/planted.py", "import serial.tools"),
        ("firmware_bridge/link.py", "import termios"),
        ("edge_agent/app.py", "import onnxruntime"),
        ("edge_agent/loop.py", "import threading"),
        ("edge_agent/gateway/client.py", "import logging"),
        ("edge_agent/service/planted.py", "from subprocess import run"),
    ],
)
def test_a_planted_use_of_an_owned_module_is_refused(path: str, text: str) -> None:
    assert len(owner_violations(planted(text, path))) == 1


@pytest.mark.parametrize("call", ["__import__('os')", "importlib.import_module('os')", "eval('1')"])
def test_a_planted_import_by_name_is_refused(call: str) -> None:
    assert len(dynamic_violations(planted(call))) == 1
