"""`edge-agent ctl` as a person types it: keys, commands, refusals, silence."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.client import ClientOptions, DeviceClient
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
_ROOT = Path(__file__).parents[2]


def _ctl(site: PlaneSite, *words: str, key: str = "alice") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "ctl", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment(site, key),
        cwd=site.folder,
    )


def _environment(site: PlaneSite, key: str) -> dict[str, str]:
    path = site.folder / f"{DEVICE}.{key}.key.json"
    return {**os.environ, "PYTHONPATH": str(_ROOT), "EDGE_AGENT_KEY": str(path)}


def _new_key(site: PlaneSite, kid: str, *words: str) -> str:
    broker = f"127.0.0.1:{site.broker.port}"
    made = _ctl(site, "keys", "new", "--device", DEVICE, "--kid", kid, "--broker", broker, *words)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def site() -> Iterator[PlaneSite]:
    with PlaneSite() as site:
        printed = _new_key(site, "alice") + _new_key(site, "gate", "--role", "stop")
        assert "version 2" in printed
        site.keyring.unlink()
        (site.folder / f"{DEVICE}.keyring.json").rename(site.keyring)
        secret = json.loads((site.folder / f"{DEVICE}.alice.key.json").read_text())["secret"]
        assert secret not in printed
        yield site.start()


def test_a_session_of_a_person(site: PlaneSite) -> None:
    site.until(lambda: _ctl(site, "status").returncode == 0, "device is there", 30)
    armed = _ctl(site, "arm")
    assert (armed.returncode, armed.stdout) == (0, "done (mode ACTIVE)\n"), armed.stderr
    assert _ctl(site, "set-goal", "supply_setpoint", "16.5").returncode == 0
    assert _ctl(site, "set-goal", "supply_setpoint", "--band", "14", "17").returncode == 0
    assert _ctl(site, "set-goal", "supply_setpoint", "none").returncode == 0
    refused = _ctl(site, "set-goal", "supply_setpoint", "95")
    assert refused.returncode == 1
    assert refused.stdout == (
        "rejected: outside of what the device's envelope allows"
        " (channel supply_setpoint, limit 40.0, value 95.0, unit degC)\n"
    )
    held = _ctl(site, "manual", "supply_fan", "40", "--for", "0.3s")
    assert (held.returncode, held.stdout) == (0, "done (mode ACTIVE)\n"), held.stderr
    beyond = _ctl(site, "manual", "supply_fan", "140", "--for", "1s")
    assert "(channel supply_fan, limit 100.0, value 140.0, unit percent)" in beyond.stdout
    dry = _ctl(site, "stop", "--dry-run", key="gate")
    assert dry.stdout == "done (dry True, mode ACTIVE)\n"
    stopped = json.loads(_ctl(site, "stop", "--json", key="gate").stdout)
    assert (stopped["answer"]["st"], stopped["answer"]["data"]["mode"]) == ("done", "TRIPPED")
    assert "may not ask" in _ctl(site, "reset", key="gate").stdout
    assert _ctl(site, "reset").returncode == 0
    asked = json.loads(_ctl(site, "query", stopped["answer"]["id"], "--json").stdout)
    assert asked["answer"]["data"] == {"id": stopped["answer"]["id"], "st": "done"}


def test_silence_is_said_and_not_guessed(site: PlaneSite) -> None:
    key = json.loads((site.folder / f"{DEVICE}.alice.key.json").read_text())
    path = site.folder / "ahu-8.alice.key.json"
    path.write_text(json.dumps({**key, "device": "ahu-8"}))
    path.chmod(0o600)
    silent = _ctl(site, "status", "--key", str(path))
    assert (silent.returncode, silent.stdout) == (1, "")
    assert "ahu-8 takes no commands: it has never been seen" in silent.stderr


def test_a_broker_that_is_not_there_is_said(site: PlaneSite) -> None:
    key = json.loads((site.folder / f"{DEVICE}.alice.key.json").read_text())
    path = site.folder / "gone.key.json"
    path.write_text(json.dumps({**key, "port": 1}))
    path.chmod(0o600)
    gone = _ctl(site, "status", "--key", str(path))
    assert gone.returncode == 1
    assert "no broker" in gone.stderr


def test_a_value_that_is_no_number_is_wrong_usage(site: PlaneSite) -> None:
    wrong = _ctl(site, "set-goal", "supply_setpoint", "warm")
    assert wrong.returncode == 2
    assert "'warm' is no number" in wrong.stderr


def test_ctrl_c_lets_go_of_what_is_held(site: PlaneSite) -> None:
    assert _ctl(site, "arm").returncode == 0
    words = ("manual", "supply_fan", "40", "--for", "60s")
    with subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "ctl", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(site, "alice"),
        cwd=site.folder,
    ) as holding:
        site.until(lambda: "a person holds" in str(site.status()), "it is held")
        holding.send_signal(signal.SIGINT)
        printed, _ = holding.communicate(timeout=30)
    assert (holding.returncode, printed) == (1, "cancelled (mode ACTIVE)\n")
    assert _ctl(site, "disarm").returncode == 0


def test_a_watcher_sees_what_others_are_answered(site: PlaneSite) -> None:
    key = json.loads((site.folder / f"{DEVICE}.alice.key.json").read_text())
    options = ClientOptions(
        host="127.0.0.1",
        port=site.broker.port,
        device=DEVICE,
        kid="alice",
        secret=base64.b64decode(key["secret"]),
    )
    with DeviceClient(options) as watcher:
        assert _ctl(site, "status").returncode == 0
        heard = list(watcher.listen(0.5))
    assert any(getattr(message, "st", "") == "done" for message in heard)
    assert any(isinstance(message, dict) and message["on"] for message in heard)
