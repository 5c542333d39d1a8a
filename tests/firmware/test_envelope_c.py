"""The envelope in C answers as the Python one does, on every device and for every history."""

from array import array
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE as AIR_HANDLER
from edge_agent.safety.header import render
from tests.firmware import differential, golden, histories, toolchain
from tests.firmware.twin_devices import ENVELOPES

HEADER = toolchain.DEVICE / "limits_air_handler.h"
HISTORIES = {"air-handler": 90, "uneven": 120, "wide": 10, "extreme": 60, "bare": 40}
# One wrong character or line each, in every part of the step.
MUTANTS = (
    ("(counts > ENVELOPE_MOTIONS[i].max", "(counts - 1 > ENVELOPE_MOTIONS[i].max"),
    ("target < last - reach ?", "target < last - reach - 1 ?"),
    ("budget : ENVELOPE_MOTIONS[i].travel_full;", "budget : ENVELOPE_MOTIONS[i].travel_full - 1;"),
    ("now.dt_ns < DT_MAX_NS ?", "now.dt_ns < 2 * DT_MAX_NS ?"),
    ("memory->rest_ns > now->dt_ns", "memory->rest_ns >= now->dt_ns"),
    ("ramping_ns < ENVELOPE_MOTIONS[i].hold", "ramping_ns <= ENVELOPE_MOTIONS[i].hold"),
    ("last <= first_closed", "last < first_closed"),
    ("n + 1 < ENVELOPE_LOCKS[k].engage", "n < ENVELOPE_LOCKS[k].engage"),
    ("value <= ENVELOPE_LOCKS[k].clear_max", "value < ENVELOPE_LOCKS[k].clear_max"),
    ("left < NS_PER_S ?", "left < 2 * NS_PER_S ?"),
    ("twice = 2 * distance", "twice = distance"),
    ("    if (left < 0) {", "    if (left < -1) {"),
    ("memory->rest_ns = ENVELOPE_MOTIONS[i].dwell_ns;\n    }", "}"),
    ("counts <= ENVELOPE_MOTIONS[i].max", "counts - 1 <= ENVELOPE_MOTIONS[i].max"),
)


def test_the_committed_limits_are_those_of_the_envelope() -> None:
    assert HEADER.read_text(encoding="utf-8") == render(AIR_HANDLER), (
        "stale limits; write them anew:"
        f" .venv/bin/edge-agent envelope header air-handler > {HEADER.relative_to(toolchain.ROOT)}"
    )


@pytest.mark.parametrize("device", ENVELOPES)
def test_both_envelopes_agree_on_every_number(device: str, tmp_path: Path) -> None:
    envelope = ENVELOPES[device]
    twin = toolchain.build(tmp_path, render(envelope))
    rows = histories.rows(envelope, HISTORIES[device], seed=2)
    assert differential.difference(envelope, twin, rows) == ""


def test_the_golden_steps_are_what_the_python_envelope_says() -> None:
    stored = golden.load()
    stale = f"the envelope changed; write the golden steps anew: {golden.COMMAND}"
    assert stored.envelope_sha256 == AIR_HANDLER.sha256(), stale
    assert stored.answers == golden.answers(AIR_HANDLER, stored.rows), stale


def test_the_twin_reproduces_the_golden_steps(tmp_path: Path) -> None:
    stored = golden.load()
    twin = toolchain.build(tmp_path, HEADER.read_text(encoding="utf-8"))
    says = array("q")
    says.frombytes(toolchain.run(twin, np.array(stored.rows, np.int64).tobytes()))
    assert says.tolist() == list(chain.from_iterable(stored.answers))


def test_a_difference_names_row_and_number(tmp_path: Path) -> None:
    envelope = ENVELOPES["bare"]
    shifted = render(envelope).replace(".max_counts = 300", ".max_counts = 299")
    twin = toolchain.build(tmp_path, shifted)
    rows = histories.rows(envelope, 4, seed=3)
    found = differential.difference(envelope, twin, rows)
    assert found.startswith("bare: row ")
    assert "Python [" in found


@pytest.fixture(scope="module")
def law() -> tuple[histories.Rows, "array[int]"]:
    """Some histories and what the Python envelope says to them."""
    rows = histories.rows(ENVELOPES["uneven"], 60, seed=4)
    return rows, differential.of_law(ENVELOPES["uneven"], rows).numbers


@pytest.mark.xdist_group("mutants")
@pytest.mark.parametrize("mutant", range(len(MUTANTS)))
def test_a_wrong_twin_is_noticed(
    mutant: int, law: tuple[histories.Rows, "array[int]"], tmp_path: Path
) -> None:
    right, wrong = MUTANTS[mutant]
    text = toolchain.ENVELOPE.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source = tmp_path / "mutant.c"
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    twin = toolchain.build(tmp_path, render(ENVELOPES["uneven"]), source=source)
    rows, numbers = law
    assert differential.of_twin(twin, rows) != numbers


def test_the_shares_of_a_long_comparison_hold_at_every_length() -> None:
    plan = differential._plan(200)
    assert {d: plan.count(d) for d in differential.SHARES} == {
        d: 2 * share for d, share in differential.SHARES.items()
    }


def test_a_long_comparison_runs_at_least_the_steps_it_was_asked_for() -> None:
    line = differential.compare(10_000, processes=1, seed=5)
    assert "0 differences" in line
