"""The command line: what it teaches, what it prints where, and with which code it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE
from edge_agent.core.records import (
    Mode,
    Proposal,
    Quality,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
    Verdict,
)
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service.status import TickStats, status_document
from tests.unit.test_config import REAL_COMPLETE

ROOT = Path(__file__).parents[2]
# What the help of each verb must mention: what it needs and how it ends.
TAUGHT = {
    "sim": ("simulated", "--scenario", "'list'", "summary", "recording", "Ctrl-C", "130"),
    "run": ("envelope", "SIGTERM", 'mode = "real"', "[serial]", "--arm", "edge-agent check"),
    "gateway": ("MQTT", "edge-agent run", "--config"),
    "check": ("golden", "Exit 0", "Exit 78"),
    "status": ("socket", "mode", "--config", "--state-dir"),
    "reset": ("trip", "TRIPPED", "--arm", "running", "--state-dir"),
    "feed": ("broker", "--map", ".xz", "--dry-run"),
    "envelope": ("show", "check", "attack", "sign", "exit 0 only if it held"),
}


@pytest.fixture(autouse=True)
def _no_machine_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge_agent.cli_config.DEFAULT_PATH", tmp_path / "none.toml")
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> str:
    file = folder / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the diagnostics; nothing may have gone to stdout."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse's own way out
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


@pytest.mark.parametrize("verb", sorted(TAUGHT))
def test_the_help_of_every_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == EXIT_OK
    text = " ".join(capsys.readouterr().out.split())
    for words in TAUGHT[verb]:
        assert words in text
    assert "default: None" not in text
    assert "default: False" not in text


def test_the_first_help_names_every_verb_and_every_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in TAUGHT)
    assert all(f" {code} " in text for code in ("0", "1", "2", "78"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "VERB"),
        (["fly"], "'fly'"),
        (["sim", "--duration", "long"], "--duration"),
        (["sim", "--duration", "-5"], "--duration"),
        (["sim", "--speed", "nan"], "--speed"),
        (["sim", "--scenario", "sensor-frosen"], "did you mean 'sensor-frozen'?"),
        (["check", "--jsn"], "--jsn"),
        (["feed"], "LOG.csv"),
        (["envelope"], "VERB"),
        (["envelope", "show"], "DEVICE"),
        (["envelope", "attack", "air-handler", "--ticks", "0"], "--ticks"),
        (["feed", "a.csv", "--map", "m.toml", "--broker", "nowhere"], "HOST:PORT"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(arguments, capsys)
    assert code == EXIT_USAGE
    assert part in err


@pytest.mark.parametrize("verb", ["check", "run", "gateway", "status"])
def test_a_configuration_that_is_absent_ends_with_78(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused([verb, "--config", "absent.toml"], capsys)
    assert code == EXIT_CONFIG
    assert "absent.toml: cannot be read" in err
    assert "fix:" in err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[loop]\nrate_hertz = 5", "did you mean 'rate_hz'?"),
        ("mode = 'real'", "needs the microcontroller"),
        ("device = 'toaster'", "use one of: air-handler"),
        ("[model]\npath = 'nowhere'", "nowhere/manifest.toml: cannot be read: No such file"),
        ("[serial]\nport = 'x'\nbaud = 12345", "12345 is not a standard baud rate"),
        ("[serial]\nport = 'x'\nbaud = 0", "0 is not a standard baud rate"),
        ("[serial]\nport = ''", "serial.port: is empty"),
        ("[recording]\nsegment_mb_max = 0", "recording: a segment of 0 MB"),
        ("[recording]\nsegment_mb_max = 300", "300 MB does not fit twice into 512 MB"),
        ("[limits.supply_fan]\nmax = 200", "wider than the hard-coded"),
        ("[mqtt]\nusername = 'me'\npassword_file = 'gone'", "mqtt.password_file gone"),
    ],
)
def test_a_bad_configuration_ends_with_78(
    tmp_path: Path, text: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(["check", "--config", write(tmp_path, text)], capsys)
    assert code == EXIT_CONFIG
    assert part in err
    assert "fix:" in err


@pytest.mark.parametrize("verb", ["check", "run", "gateway"])
def test_an_empty_password_file_is_refused(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("\n", encoding="utf-8")
    text = "[mqtt]\nusername = 'me'\npassword_file = 'secret'"
    code, err = refused([verb, "--config", write(tmp_path, text)], capsys)
    assert code == EXIT_CONFIG
    assert "is empty" in err


def test_check_says_what_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", write(tmp_path, REAL_COMPLETE)]) == EXIT_OK
    out, err = capsys.readouterr()
    assert err == ""
    assert "/dev/ttyACM0" in out
    assert out.endswith("ok: this configuration can run\n")


def test_check_without_a_configuration_says_that_it_is_simulated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check"]) == EXIT_OK
    assert capsys.readouterr().out.endswith(
        "ok: this configuration can run, on simulated hardware\n"
    )


def test_check_as_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json"]) == EXIT_OK
    findings = json.loads(capsys.readouterr().out)
    assert set(findings) == {
        "configuration",
        "device",
        "mode",
        "control",
        "envelope",
        "tightened",
        "model",
        "fallback",
        "golden deviation",
        "serial",
        "broker",
        "plane",
        "recordings",
    }
    assert findings["device"] == "air-handler"


def test_run_refuses_to_simulate_a_device_that_has_no_simulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.sim.mcu_process.FEEDBACK_SENSORS", {"other": ()})
    code, err = refused(["run", "--state-dir", str(tmp_path / "state")], capsys)
    assert code == EXIT_CONFIG
    assert "there is no simulation of 'air-handler'" in err
    assert 'set mode = "real" and [serial], or a device of: other' in err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_status_without_a_running_agent_says_so(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(["status", "--state-dir", str(tmp_path), *options], capsys)
    assert code == EXIT_TRANSIENT
    assert "no answer from the control process" in err
    assert "is `edge-agent run` running" in err


def answer_of(control: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a control process that says `control` be the one that is asked."""
    document = {"control": control, "gateway": {"connected": True, "report": {"records": 7}}}
    monkeypatch.setattr("edge_agent.app_gateway.query_status", lambda *_: document)


def control_document() -> dict[str, Any]:
    sensors, actuators = len(ENVELOPE.sensors), len(ENVELOPE.actuators)
    channels = sensors + actuators
    cause = Reason(Rule.STALE_INPUT, 2, 160 * NS_PER_S)
    tick = TickRecord(
        tick=1,
        now_ns=NS_PER_S,
        readings=(),
        intents=(),
        snapshot=Snapshot(
            (2150,) * channels, (NS_PER_S,) * channels, (Quality.GOOD, Quality.STALE) + (0,) * 11
        ),
        features=(),
        proposal=Proposal(None),
        verdict=Verdict((123, 0, 0, 0), (Reason(Rule.NOT_FINITE, sensors),)),
        mode=Mode.HOLDING,
        cause=cause,
    )
    return status_document(ENVELOPE, tick, TickStats(NS_PER_S), {"serial": {"state": "armed"}})


def test_status_tells_mode_cause_reasons_channels_and_links(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_of(control_document(), monkeypatch)
    assert main(["status"]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("air-handler  HOLDING  nobody decides  outdoor_temperature is stale")
    assert "not a finite number" in lines[1]
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "supply_temperature 21.50 GOOD 1.00 s" in text
    assert "mixed_temperature 21.50 STALE" in text
    assert "outdoor_damper 215.00 GOOD 1.00 s command 12.30" in text
    assert "serial\nstate armed" in text
    assert "report.records 7" in text
    assert "monitor" not in text


def test_status_of_an_agent_that_drives_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = control_document()
    document["enforced"] = False
    answer_of(document, monkeypatch)
    assert main(["status"]) == EXIT_OK
    assert "monitor: nothing is driven" in capsys.readouterr().out.splitlines()[1]


def test_status_as_json_is_one_object_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_of(control_document(), monkeypatch)
    assert main(["status", "--json"]) == EXIT_OK
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"control", "gateway"}
    assert {"device", "mode", "cause", "reasons", "command", "channels", "ticks"} <= set(
        document["control"]
    )
    assert document["control"]["channels"]["supply_temperature"] == {
        "value": 21.5,
        "quality": "GOOD",
        "age_s": 1.0,
    }


def test_status_of_an_agent_that_just_started_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_of({}, monkeypatch)
    assert main(["status"]) == EXIT_OK
    assert capsys.readouterr().out == "starting: nothing decided yet\n"


def test_sim_lists_its_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--scenario", "list"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "sensor-frozen" in out
    assert "serial-unplugged" in out


def test_sim_as_json_is_one_list_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sim", "--duration", "10", "--json", "--state-dir", str(tmp_path)]
    assert main(arguments) == EXIT_OK
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["scenario"], run["seed"], run["problems"]) == ("normal", 1, [])
    assert run["commands_outside_envelope"] == 0
    assert list((tmp_path / "recordings").iterdir())


def test_a_state_folder_of_the_machine_is_used_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    with pytest.raises(SystemExit):
        main(["sim", "--help"])
    assert str(tmp_path / "xdg") in "".join(capsys.readouterr().out.split())


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == EXIT_OK
    assert capsys.readouterr().out.startswith("edge-autonomy ")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(unbuffered: str) -> None:
    command = f'"{sys.executable}" -m edge_agent sim --scenario list; echo "exit $?" >&2'
    ended = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    assert ended.stderr == "exit 0\n"


_CLOSED = """
import os, sys
for number in range(3):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from edge_agent.cli_shared import stand_in_for_closed_streams
stand_in_for_closed_streams()
print("for nobody", file=sys.stderr, flush=True)
os.write(2, b"for nobody either")
with open(sys.argv[1], "w") as file:
    names = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
    file.write(f"{file.fileno() > 2} {names}")
"""


def test_what_is_opened_first_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Else words for people would go into a serial port."""
    told = tmp_path / "told"
    subprocess.run([sys.executable, "-c", _CLOSED, str(told)], check=True)
    assert told.read_text() == f"True {['/dev/null'] * 3}"
