"""`edge-agent envelope`: what it prints, where, and with which code it ends."""

import json

import pytest

from edge_agent.cli import main
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT
from edge_agent.safety import completeness
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.header import render
from edge_agent.safety.table import page

DEVICE = "air-handler"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, results and diagnostics."""
    code = main(["envelope", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("verb", "taught"),
    [
        ("show", ("unit", "hash", "sign")),
        ("check", ("completeness matrix", "Exit 0", "Exit 78", "never could")),
        ("header", ("limits.h", "hash", "microcontroller")),
        ("attack", ("square waves", "NaN", "inspector", "Exit 0", "--ticks", "--seed")),
    ],
)
def test_the_help_of_every_verb_teaches(
    verb: str, taught: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["envelope", verb, "--help"])
    assert stop.value.code == EXIT_OK
    text = " ".join(capsys.readouterr().out.split())
    for words in taught:
        assert words in text


def test_show_prints_the_page_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", DEVICE) == (EXIT_OK, page(ENVELOPE) + "\n", "")


def test_show_as_json_is_every_limit_and_the_hash(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", DEVICE, "--json")
    document = json.loads(out)
    assert code == EXIT_OK
    assert document["sha256"] == ENVELOPE.sha256()
    assert document["actuators"][0]["safe"] == {
        "counts": 0,
        "hold_ns": 2_000_000_000,
        "ramp_counts_per_s": 200,
    }


@pytest.mark.parametrize("verb", ["show", "check", "header", "attack"])
def test_an_unknown_device_ends_with_78(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, verb, "toaster")
    assert (code, out) == (EXIT_CONFIG, "")
    assert "use one of: air-handler" in err


def test_header_of_a_microcontroller_has_its_sensors_and_its_dead_man(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(capsys, "header", DEVICE, "--mcu", "fan_current,damper_position")
    assert (code, err) == (EXIT_OK, "")
    assert "#define ENVELOPE_SENSORS 2" in out
    assert "#define EB1_DEADMAN_MS 500" in out
    assert "#define ENVELOPE_SENSORS 0" in run(capsys, "header", DEVICE, "--mcu", "")[1]


def test_header_prints_the_header_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "header", DEVICE) == (EXIT_OK, render(ENVELOPE), "")


def test_check_prints_every_cell_and_the_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", DEVICE)
    assert code == EXIT_OK
    assert "supply_temperature" in out
    assert "tests/unit/safety/test_cells.py::test_a_wish_rises_no_faster_than_declared" in out
    assert "warning: fan_current: no step" in out
    assert " 0 empty" in out


def test_check_as_json_is_the_same_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", DEVICE, "--json")
    document = json.loads(out)
    assert code == EXIT_OK
    assert document["empty"] == []
    assert len(document["cells"]) == len(completeness.matrix(ENVELOPE))


@pytest.mark.parametrize("hole", [("dwell", lambda _: "none: ", "test"), ("dwell", str, "")])
def test_an_empty_cell_ends_with_78(
    hole: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completeness, "_ACTUATOR_CHECKS", (hole,))
    code, out, _ = run(capsys, "check", DEVICE)
    assert code == EXIT_CONFIG
    assert "4 empty" in out


def test_an_attack_that_proves_nothing_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "attack", DEVICE, "--ticks", "1")
    assert code == EXIT_TRANSIENT
    assert "NEVER ACTED" in out
    assert "ticks per second" in err


def test_an_attack_that_held_ends_with_0_and_tells_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.core.clock.NS_PER_S", 1)  # a second is over at once
    code, out, err = run(capsys, "attack", DEVICE, "--ticks", "9000", "--seed", "3", "--json")
    assert json.loads(out)["violations"] == 0
    assert code == EXIT_OK
    assert "of 9,000 ticks, 0 violations" in err
