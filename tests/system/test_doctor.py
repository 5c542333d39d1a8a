"""`edge-agent doctor` on real parts: a Mosquitto with an access list, the simulated
microcontroller behind a pty, a model on the disk. Each check is made to fail."""

import json
import os
import pty
import shutil
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.mosquitto import Mosquitto, free_port
from edge_agent.app_doctor import checks
from edge_agent.cli import main
from edge_agent.safety import devices
from tests.system.mqtt_peer import MqttPeer, wait_until
from tests.system.plane_site import PlaneSite
from tests.system.whole_agent import Site

ROOT = Path(__file__).parents[2]
MCU = [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
FED = ("supply_temperature", "mixed_temperature", "outdoor_temperature", "return_temperature")
OTHERS = ("supply_setpoint", "fan_status", "occupancy")
ALL_SENSORS = ", ".join(f'"{s.name}"' for s in devices.find("air-handler").sensors)
VERDICTS = ("ok", "warn", "fail")
LISTED = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
persistence false
log_type none
"""


def doctor(capsys: pytest.CaptureFixture[str], config: Path, *options: str) -> dict[str, Any]:
    """Findings by check, the worst of each, and under `exit` the exit code."""
    code = main(["doctor", "--json", "--config", str(config), *options])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    by_badness = sorted(document["findings"], key=lambda f: VERDICTS.index(f["verdict"]))
    return {"exit": code, **{f["check"]: f for f in by_badness}}


def write_config(folder: Path, *, head: str = "", serial: str = "", mqtt: str = "") -> Path:
    """A real configuration whose sensors all come by MQTT, or from the microcontroller."""
    rows = [head or 'mode = "real"\n', f'state_dir = "{folder}/state"\n']
    rows += [f'runtime_dir = "{folder}/run"\n', serial, mqtt]
    if mqtt:
        for channel in (*FED, *OTHERS):
            unit = "bool" if channel in {"fan_status", "occupancy"} else "degC"
            rows.append(
                f'[[mqtt.sensor]]\nchannel = "{channel}"\ntopic = "ahu/{channel}"\n'
                f'unit = "{unit}"\n'
            )
    path = folder / "agent.toml"
    path.write_text("".join(rows), encoding="utf-8")
    return path


def serial_section(port: Path, sensors: str = '"fan_current", "damper_position"') -> str:
    return f'[serial]\nport = "{port}"\nsensors = [{sensors}]\n'


@pytest.fixture
def mcu(tmp_path: Path) -> Iterator[Path]:
    """The port of a simulated microcontroller that must never have been armed."""
    port = tmp_path / "tty"
    process = subprocess.Popen(
        [*MCU, "--link", str(port), "--control"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(port.exists, "serial port is there")
        yield port
        out, _ = process.communicate("quit\n", timeout=10)
        report = json.loads(out)
        assert report["state"] == "SAFE"
        assert report["outputs"] == [0, 0, 0, 0]
    finally:
        process.kill()
        process.communicate()


def acl_broker(folder: Path, acl: str) -> Mosquitto:
    (folder / "acl").write_text(acl, encoding="utf-8")
    (folder / "acl").chmod(0o644)
    return Mosquitto(folder, f"{LISTED}acl_file {folder}/acl\nuser root\n")


def test_a_machine_with_nothing_wrong_passes_every_check(
    tmp_path: Path, mcu: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Mosquitto(tmp_path) as broker, MqttPeer(broker.port) as sensors:
        for channel in (*FED, *OTHERS):
            sensors.publish(f"ahu/{channel}", "1", retain=True)
        mqtt = f"[mqtt]\nport = {broker.port}\n"
        config = write_config(tmp_path, serial=serial_section(mcu), mqtt=mqtt)
        found = doctor(capsys, config)
    assert found.pop("exit") == 0
    # Who runs the tests does not choose how this machine keeps time and limits.
    ours = [f for f in found.values() if f["check"] not in {"clock", "limits"}]
    assert {f["verdict"] for f in ours} == {"ok"}
    envelope = devices.find("air-handler").sha256()[:8]
    assert f"envelope {envelope} as here" in found["serial"]["words"]
    assert "round trip" in found["broker"]["words"]


def test_the_screen_has_a_line_for_each_check_and_the_fix_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, head='mode = "simulated"\n')
    (tmp_path / "state").write_text("a file where a folder should be")
    assert main(["doctor", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert "\nfail  disk " in out
    assert "\n                  fix: " in out
    assert len(out.splitlines()) <= 24
    assert all(f" {name.replace('realtime', 'real time')} " in out for name in checks())


def test_a_configuration_that_cannot_be_read_is_78_and_the_machine_is_still_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("devise = 1\n")
    found = doctor(capsys, config)
    assert found["exit"] == 78
    assert "did you mean 'device'?" in found["config"]["fix"]
    assert {"wheels", "clock", "limits", "names"} < found.keys()
    assert "broker" not in found


# ---- model ---------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "models/air-handler", folder)
    return folder


def _with_model(folder: Path, model: Path) -> Path:
    return write_config(folder, head=f'mode = "simulated"\nmodel = {{ path = "{model}" }}\n')


def test_a_spoilt_model_is_78_and_nothing_else_fails(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = next(file for file in model.glob("*.onnx") if "int8" in file.name)
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    found = doctor(capsys, _with_model(tmp_path, model))
    assert found["exit"] == 78
    failed = [name for name, f in found.items() if name != "exit" and f["verdict"] == "fail"]
    assert failed == ["model"]


def test_golden_vectors_that_are_not_met_fail(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = next(model.glob("golden*"))
    vectors = json.loads(golden.read_text())
    vectors[3]["int8"][0] += 50.0
    golden.write_text(json.dumps(vectors))
    found = doctor(capsys, _with_model(tmp_path, model))
    assert found["exit"] == 78
    assert "golden vectors differ by 50" in found["model"]["words"]


# ---- serial --------------------------------------------------------------------------------


def test_a_port_that_is_not_there_fails_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serial = serial_section(tmp_path / "tty", ALL_SENSORS)
    found = doctor(capsys, write_config(tmp_path, serial=serial))
    assert found["exit"] == 1
    assert found["serial"]["verdict"] == "fail"
    assert "plug it in" in found["serial"]["fix"]


def test_firmware_for_other_channels_or_another_envelope_fails(
    tmp_path: Path, mcu: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, serial=serial_section(mcu, ALL_SENSORS))
    found = doctor(capsys, config)
    assert "it reports ['fan_current', 'damper_position']" in found["serial"]["words"]
    assert found["serial"]["verdict"] == "fail"
    changed = devices.find("air-handler")
    changed = type(changed)(**{**_fields(changed), "version": changed.version + 1})
    monkeypatch.setattr(devices, "find", lambda _name: changed)
    found = doctor(capsys, config)
    assert "it will not be armed" in found["serial"]["words"]


def _fields(record: Any) -> dict[str, Any]:
    names = getattr(record, "__struct_fields__", None) or record.__dataclass_fields__
    return {name: getattr(record, name) for name in names}


def test_a_board_of_lines_that_says_nothing_of_use_is_a_warning_and_another_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    row = 'sensor = [{ channel = "supply_temperature", path = "1", unit = "degC" }]\n'
    lines = f'[[serial_lines]]\nport = "{os.ttyname(slave)}"\nformat = "csv"\n{row}'
    config = write_config(tmp_path, head='mode = "simulated"\n', serial=lines)
    try:
        found = doctor(capsys, config)
        assert found["serial"]["verdict"] == "warn"
        assert found["exit"] == 0
        for word, verdict in (("warm", "warn"), ("21.5", "ok")):
            program = f"while sleep 0.05; do echo {word}; done"
            with subprocess.Popen(["sh", "-c", program], stdout=master) as board:
                found = doctor(capsys, config)
                board.kill()
            assert found["serial"]["verdict"] == verdict, found["serial"]
    finally:
        os.close(master)
        os.close(slave)


# ---- broker --------------------------------------------------------------------------------

GRANTED = "topic readwrite edge/air-handler/#\ntopic readwrite ahu/#\n"


def _mqtt_config(folder: Path, broker: Mosquitto, protocol: str = "3.1.1") -> Path:
    mqtt = f'[mqtt]\nport = {broker.port}\nprotocol = "{protocol}"\n'
    return write_config(folder, head='mode = "simulated"\n', mqtt=mqtt)


def test_an_absent_broker_fails_in_bounded_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = doctor(capsys, _mqtt_config(tmp_path, Mosquitto(tmp_path)))
    assert found["exit"] == 1
    assert found["broker"]["verdict"] == "fail"
    assert "is the broker running" in found["broker"]["fix"]


def test_a_publish_that_mosquitto_throws_away_in_silence_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By MQTT 3.1.1, as configured, the broker would acknowledge it."""
    acl = "topic readwrite edge/air-handler/doctor\ntopic read ahu/#\n"
    with acl_broker(tmp_path, acl) as broker:
        found = doctor(capsys, _mqtt_config(tmp_path, broker))
    assert found["exit"] == 1
    assert (
        "throws away what the agent publishes to edge/air-handler/telemetry"
        in (found["broker"]["words"])
    )
    assert found["broker"]["fix"] == "access list: topic write edge/air-handler/telemetry"


def test_a_subscription_that_mosquitto_accepts_and_never_serves_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the sensors' topics may not be read; the retained values of the others arrive."""
    acl = "topic readwrite edge/air-handler/#\ntopic write ahu/#\n"
    acl += "".join(f"topic read ahu/{channel}\n" for channel in (*FED, *OTHERS)[1:])
    with acl_broker(tmp_path, acl) as broker, MqttPeer(broker.port) as sensors:
        for channel in (*FED, *OTHERS):
            sensors.publish(f"ahu/{channel}", "1", retain=True)
        found = doctor(capsys, _mqtt_config(tmp_path, broker))
    assert found["broker"]["verdict"] == "warn"
    assert "nothing was heard on ahu/supply_temperature: " in found["broker"]["words"]
    assert found["broker"]["fix"].endswith("topic read ahu/supply_temperature")


def test_a_wrong_password_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuses = LISTED.replace("allow_anonymous true", "allow_anonymous false")
    with Mosquitto(tmp_path, refuses) as broker:
        found = doctor(capsys, _mqtt_config(tmp_path, broker, "5"))
    assert found["broker"]["verdict"] == "fail"
    assert "Not authorized" in found["broker"]["words"]


def test_the_visit_leaves_nothing_on_the_broker_and_nothing_that_looks_like_a_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with acl_broker(tmp_path, GRANTED) as broker, MqttPeer(broker.port, "#") as watcher:
        doctor(capsys, _mqtt_config(tmp_path, broker))
        wait_until(lambda: len(watcher.received) >= 2, "both messages of the visit")
        heard = {topic: payload for topic, payload, _ in watcher.received}
        with MqttPeer(broker.port, "#") as later:
            assert later.received == []
    assert heard.keys() == {"edge/air-handler/doctor", "edge/air-handler/telemetry"}
    assert json.loads(heard["edge/air-handler/telemetry"]).keys() == {"doctor"}


# ---- rights, running agent -----------------------------------------------------------------


def test_a_password_file_that_others_can_read_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = tmp_path / "password"
    password.write_text("secret-word\n")
    password.chmod(0o644)
    mqtt = f'[mqtt]\nport = 9\nusername = "edge"\npassword_file = "{password}"\n'
    found = doctor(capsys, write_config(tmp_path, head='mode = "simulated"\n', mqtt=mqtt))
    assert found["rights"]["verdict"] == "fail"
    assert found["rights"]["fix"] == f"chmod 600 {password}"
    assert "secret-word" not in json.dumps(found)


@pytest.mark.xdist_group("whole-agent")
def test_a_running_agent_is_asked_and_not_disturbed(capsys: pytest.CaptureFixture[str]) -> None:
    with Site() as site:
        site.start("broker", "mcu", "agent")
        site.until_mode("ACTIVE", 60)
        before = site.control()["serial"]
        state = ("--state-dir", str(site.state))
        found = doctor(capsys, site.config, *state)
        assert found["running"]["verdict"] == "ok", found["running"]
        assert "held by the running agent" in found["serial"]["words"]
        site.config.write_text(site.config.read_text().replace("rate_hz = 10.0", "rate_hz = 5.0"))
        found = doctor(capsys, site.config, *state)
        assert found["running"]["verdict"] == "warn"
        assert "another config" in found["running"]["words"]
        after = site.control()["serial"]
        assert {k: after[k] for k in ("sessions", "unplugged", "reconnects")} == {
            k: before[k] for k in ("sessions", "unplugged", "reconnects")
        }


# ---- control plane -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acl", "verdict", "said"),
    [
        ("topic readwrite ed/v1/ahu-7/#\n", "ok", "2 keys"),
        ("topic read ed/v1/ahu-7/#\n", "fail", "throws away what the agent publishes"),
    ],
)
def test_a_plane_that_may_not_be_answered_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], acl: str, verdict: str, said: str
) -> None:
    with PlaneSite() as site, acl_broker(tmp_path, acl) as broker:
        text = site.config.read_text()
        site.config.write_text(text.replace(str(site.broker.port), str(broker.port)))
        found = doctor(capsys, site.config, "--state-dir", str(site.state))
    assert found["plane"]["verdict"] == verdict
    assert said in found["plane"]["words"]


def test_each_broker_of_the_plane_is_visited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PlaneSite() as site, acl_broker(tmp_path, "topic readwrite ed/v1/ahu-7/#\n") as broker:
        gone = free_port()
        rows = "".join(
            f'[[plane.brokers]]\nhost = "127.0.0.1"\nport = {port}\n'
            for port in (broker.port, gone)
        )
        site.config.write_text(site.config.read_text() + rows)
        found = doctor(capsys, site.config, "--state-dir", str(site.state))
    assert found["plane"]["verdict"] == "fail"
    assert f"127.0.0.1:{gone}: " in found["plane"]["words"]


def test_a_keyring_that_others_can_read_is_78(capsys: pytest.CaptureFixture[str]) -> None:
    with PlaneSite() as site:
        site.keyring.chmod(0o640)
        found = doctor(capsys, site.config, "--state-dir", str(site.state))
    assert found["exit"] == 78
    assert found["rights"]["verdict"] == "fail"
    assert found["plane"]["verdict"] == "fail"
