"""The completeness matrix says what a channel declares, and prints so that a hole is seen."""

import dataclasses

import pytest

from edge_agent.safety.completeness import Cell, matrix, matrix_text
from tests.unit.safety.lab import S, actuator, envelope, sensor


def declared(channel: str, check: str) -> str:
    """What the cell says of a device whose `valve` and `spare` differ from the others."""
    limits = dataclasses.replace(
        envelope(),
        sensors=(sensor(), dataclasses.replace(sensor("spare"), needed=False)),
        actuators=(actuator("pump"), dataclasses.replace(actuator("valve"), dwell_ns=3 * S)),
    )
    (cell,) = (c for c in matrix(limits) if (c.channel, c.check) == (channel, check))
    return cell.declared


@pytest.mark.parametrize(
    ("channel", "check", "words"),
    [
        ("pump", "dwell", "none: it may change at every tick"),
        ("valve", "dwell", "3 s"),
        ("level", "needed", "yes"),
        ("spare", "needed", "none: control goes on without it"),
    ],
)
def test_a_cell_says_what_the_channel_declares(channel: str, check: str, words: str) -> None:
    assert declared(channel, check) == words


@pytest.mark.parametrize(
    ("words", "test", "mark"),
    [
        ("3 s", "test_it", "x"),
        ("none: for a reason", "test_it", "-"),
        ("none: ", "test_it", ""),
        ("", "test_it", ""),
        ("3 s", "", ""),
    ],
)
def test_a_hole_is_blank_and_neither_a_limit_nor_a_reason(words: str, test: str, mark: str) -> None:
    cell = Cell("pump", "dwell", words, test)
    assert (cell.mark, cell.empty) == (mark, not mark)


def test_the_page_has_a_row_a_channel_and_a_column_a_check_of_each_kind() -> None:
    cells = [
        Cell("level", "age", "1 s", "test_age"),
        Cell("level", "step", "none: slow", "test_step"),
        Cell("oil", "age", "", ""),
        Cell("oil", "step", "2 %", "test_step"),
        Cell("pump", "dwell", "3 s", "test_dwell"),
    ]
    assert matrix_text(cells).split("\n") == [
        "        1   2",
        "level   x   -",
        "oil         x",
        "   1 age              test_age",
        "   2 step             test_step",
        "",
        "       1",
        "pump   x",
        "   1 dwell            test_dwell",
        "",
        "x: a limit; -: none, for a written reason; blank: a hole",
    ]
