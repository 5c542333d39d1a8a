"""Real processes take the configuration anew: as a whole, from safe to safe, or not at all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import PlaneSite
from tests.system.whole_agent import SAFE, Site

pytestmark = pytest.mark.xdist_group("whole-agent")

WITHIN_S = 90.0
TICKS_TO_ARM = 20  # it would have begun with the first
STRICTER = "[limits.cooling_valve]\nmax = 50.0\n"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        made.start("broker", "mcu", "agent")
        made.until_mode("ACTIVE")
        made.until_moving()
        yield made


def edge_agent(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """The sensors are played while it runs."""
    command = [sys.executable, "-m", "edge_agent", *words]
    command += ["--config", str(site.config), "--state-dir", str(site.state)]
    out, err = site.folder / "out", site.folder / "err"
    with out.open("w") as out_file, err.open("w") as err_file:
        process = subprocess.Popen(command, stdout=out_file, stderr=err_file)
        site.until(lambda: process.poll() is not None, "it answers", WITHIN_S)
    texts = [path.read_text(encoding="utf-8") for path in (out, err)]
    return subprocess.CompletedProcess(command, process.returncode, *texts)


def add(site: Site, text: str) -> None:
    site.config.write_text(site.config.read_text("utf-8") + text, encoding="utf-8")


def headers(site: Site) -> list[tuple[str, str]]:
    """(run, hash of its configuration) of every segment."""
    found = [SegmentReader(path).header for path in segments(site.state / "recordings")]
    return [(header.boot, header.hashes["config"]) for header in found if header is not None]


MISTAKES = {  # in the place of the line [mqtt]
    "[lop]\nrate_hz = 10.0\n[mqtt]\n": "did you mean",
    "[limits.cooling_valve]\nmax = 101.0\n[mqtt]\n": "limits.cooling_valve.max",
    '[model]\npath = "/nowhere"\n[mqtt]\n': "/nowhere",
    '[plane]\nid = "ahu-7"\nhost = "127.0.0.1"\n[mqtt]\n': "no keyring",
    '[mqtt]\nusername = "u"\npassword_file = "/nowhere"\n': "mqtt.password_file /nowhere",
}


def test_a_bad_one_is_refused_with_the_fix_and_nothing_is_touched(site: Site) -> None:
    before, changes = site.control(), len(site.outputs())
    good = site.config.read_text("utf-8")
    for mistake, words in MISTAKES.items():
        site.config.write_text(good.replace("[mqtt]\n", mistake), encoding="utf-8")
        done = edge_agent(site, "reload")
        assert done.returncode == EXIT_CONFIG
        assert words in done.stderr
        assert "fix:" in done.stderr
        assert "a running agent keeps the configuration it has" in done.stderr
    after = site.control()
    assert (after["boot"], after["hashes"]) == (before["boot"], before["hashes"])
    assert after["mode"] == "ACTIVE"
    assert SAFE not in [pins for _, pins in site.outputs()[changes:]]


def test_a_good_one_is_in_force_after_a_way_through_safe_in_the_same_process(site: Site) -> None:
    before, pid, changes = site.control(), site.agent.pid, len(site.outputs())
    add(site, STRICTER)
    done = edge_agent(site, "reload")
    assert done.returncode == EXIT_OK, done.stderr
    assert "in force" in done.stdout
    after = site.until_mode("ACTIVE")["control"]
    site.until_moving()
    assert site.agent.poll() is None
    assert site.agent.pid == pid
    assert after["hashes"]["config"] != before["hashes"]["config"]
    assert after["hashes"]["envelope"] != before["hashes"]["envelope"]
    assert SAFE in [pins for _, pins in site.outputs()[changes:]]
    site.until(lambda: len({boot for boot, _ in headers(site)}) == 2, "another recording")
    assert dict(headers(site)) == {run["boot"]: run["hashes"]["config"] for run in (before, after)}
    last_good = site.state / "last-good" / "agent.toml"
    assert last_good.read_text("utf-8") == site.config.read_text("utf-8")
    site.agent.terminate()
    site.until(lambda: not site.alive(), "stopped", 30)
    assert site.agent.returncode == EXIT_OK
    assert site.end_mcu()["safe_reason"] == "REQUESTED"


def test_a_credential_that_is_not_there_is_refused_unless_it_is_in_use(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd 252 does to the command of ExecReload: the folder is named, and shut."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    good, boot = site.config.read_text("utf-8"), site.control()["boot"]
    for mistake, name in {
        '[plane]\nid = "ahu-7"\nhost = "127.0.0.1"\n[mqtt]\n': "/nowhere/keyring",
        'key_credential = "bridge"\n[mqtt]\n': "/nowhere/bridge",
    }.items():
        site.config.write_text(good.replace("[mqtt]\n", mistake), encoding="utf-8")
        done = edge_agent(site, "reload")
        assert (done.returncode, f"{name}: cannot be read" in done.stderr) == (EXIT_CONFIG, True)
    assert site.control()["boot"] == boot
    site.config.write_text(f"{good}{STRICTER}", encoding="utf-8")
    assert edge_agent(site, "reload").returncode == EXIT_OK


def test_the_same_one_interrupts_nothing(site: Site) -> None:
    boot = site.control()["boot"]
    done = edge_agent(site, "reload")
    assert (done.returncode, done.stdout.endswith("nothing to do\n")) == (EXIT_OK, True)
    assert site.control()["boot"] == boot


def test_what_was_not_armed_is_not_armed_by_it(site: Site) -> None:
    site.agent.terminate()
    site.until(lambda: not site.alive(), "stopped", 30)
    site.start_agent(arm=False)
    site.until_mode("SAFE")
    boot = site.control()["boot"]
    add(site, STRICTER)
    assert edge_agent(site, "reload").returncode == EXIT_OK
    assert site.control()["boot"] != boot
    assert site.control()["mode"] == "SAFE"


class ArmedAtEveryStart(PlaneSite):
    """As with `EDGE_AGENT_RUN_OPTIONS=--arm`."""

    def command_line(self) -> list[str]:
        return [*super().command_line(), "--arm"]


def control(site: PlaneSite) -> dict[str, Any]:
    """Empty before the first answer."""
    return dict(site.status().get("control") or {})


def test_what_a_person_has_disarmed_is_not_armed_by_it_even_with_arm() -> None:
    with ArmedAtEveryStart().start() as site:
        site.until(lambda: control(site).get("mode") == "ACTIVE", "it drives")
        assert site.client().command("disarm", within_s=30).data["mode"] == "SAFE"
        boot = control(site)["boot"]
        text = site.config.read_text("utf-8")
        site.config.write_text(f"{text}\n{STRICTER}", encoding="utf-8")
        command = [sys.executable, "-m", "edge_agent", "reload", "--config", str(site.config)]
        command += ["--state-dir", str(site.state)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == EXIT_OK, done.stderr
        site.until(lambda: control(site)["ticks"]["ticks"] > TICKS_TO_ARM, "time to arm")
        after = control(site)
        assert after["boot"] != boot
        assert after["mode"] == "SAFE"


def test_where_nobody_runs_there_is_nobody_to_tell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_agent", "reload", "--state-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_TRANSIENT
    assert "no answer from the control process" in done.stderr


def test_a_gateway_of_its_own_follows() -> None:
    """In its own process; shown by the topic that it publishes on."""
    with Site() as site:
        site.start("broker", "mcu")
        site.start_agent("--no-gateway 2>>agent.err")
        words = ["gateway", "--config", "agent.toml", "--state-dir", "state"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-m", "edge_agent", *words]
        gateway = subprocess.Popen(command, cwd=site.folder, env=environment)
        try:
            site.until_mode("ACTIVE")
            text = site.config.read_text("utf-8").replace("[mqtt]\n", '[mqtt]\nbase_topic = "b"\n')
            site.config.write_text(text, encoding="utf-8")
            assert edge_agent(site, "reload").returncode == EXIT_OK
            site.until_mode("ACTIVE")  # so sensors arrive over the new connection
            seen = MqttPeer(site.broker.port, "b/air-handler/status")
            site.until(lambda: seen.payloads("b/air-handler/status"), "its status elsewhere")
            seen.close()
            assert gateway.poll() is None
        finally:
            gateway.kill()
            gateway.wait()
