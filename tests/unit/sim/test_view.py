"""The view shows what a tick says, whatever a faulty model put into it."""

import math

import msgspec
import pytest

from edge_agent.core.records import Mode, Proposal, Reason, Rule
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim import view
from tests.unit.sim.sample_ticks import tick

DAMPER = ENVELOPE.actuators[0]
CAUSE = Reason(Rule.STALE_INPUT, 1, 151_000_000_000)


def state(
    values: tuple[float, ...] | None = (40.0, 0.0, 0.0, 0.0), *, reasons: int = 1
) -> view.ViewState:
    record = msgspec.structs.replace(
        tick(7, (300, 0, 0, 0), Mode.HOLDING, (CAUSE,) * reasons, CAUSE),
        proposal=Proposal(values),
    )
    return view.ViewState(ENVELOPE, "sensor-silent", 450.0, record, 64_000, ("sensor silent",))


def test_the_screen_shows_values_set_point_mode_cause_and_time() -> None:
    text = view.screen(state())
    assert text.startswith(view.HOME)
    for words in (
        "supply_setpoint            16.00 degC",
        "mode HOLDING  nobody decides   mixed_temperature is stale: 151.0 s old (limit 150.0 s)",
        "decided in 64 us",
        "fault sensor silent",
    ):
        assert words in text


def test_proposal_and_command_stand_side_by_side() -> None:
    (row,) = (r for r in view.screen(state()).splitlines() if r.startswith("outdoor_damper"))
    assert row.split()[1:4] == ["40.0", "30.0", "0.0"]
    assert "[#########...|.................]" in row


@pytest.mark.parametrize(
    "values",
    [
        None,
        (),
        (1.0,),
        (math.nan,) * 4,
        (math.inf, -math.inf, 1e308, -1e308),
        (50.0,) * 9,
    ],
)
def test_garbage_from_a_model_is_shown_and_breaks_nothing(values: tuple[float, ...] | None) -> None:
    assert "outdoor_damper" in view.screen(state(values))
    assert "\n" not in view.line(state(values))


def test_the_picture_keeps_its_height_and_width() -> None:
    heights = {view.screen(state(reasons=n)).count("\n") for n in (0, 1, 20)}
    assert len(heights) == 1
    plain = view.screen(state(reasons=20)).replace("\x1b[K", "").replace(view.HOME, "")
    assert max(len(row) for row in plain.splitlines()) <= 100


@pytest.mark.parametrize(
    ("command", "wanted", "expected"),
    [
        (0, None, "." * 30),
        (1000, None, "#" * 30),
        (500, 0.0, "|" + "#" * 14 + "." * 15),
        (0, 100.0, "." * 29 + "|"),
        (0, -5.0, "|" + "." * 29),
        (0, 1e9, "." * 29 + "|"),
        (0, math.nan, "." * 30),
    ],
)
def test_a_bar_shows_command_and_proposal(
    command: int, wanted: float | None, expected: str
) -> None:
    assert view.bar(DAMPER, command, wanted) == expected


def test_a_line_tells_time_mode_values_commands_and_cause() -> None:
    text = view.line(state())
    assert text.startswith("     0.8 s  HOLDING")
    assert "supply_temperature=18.0" in text
    assert "outdoor_damper=30.0" in text
    assert text.endswith("(limit 150.0 s)")


def test_a_run_that_drives_nothing_says_so() -> None:
    watched = state()._replace(tick=msgspec.structs.replace(state().tick, monitor=True))
    assert "MONITOR: nothing is driven" in view.screen(watched)
    assert view.line(watched).find("monitor, not driven") > 0
    assert "onitor" not in view.screen(state()) + view.line(state())


def test_while_the_fallback_decides_it_is_its_wish_that_is_shown() -> None:
    tick = msgspec.structs.replace(
        state().tick, mode=Mode.ACTIVE, fallback=(12.5, 0.0, 0.0, 60.0), cause=None
    )
    shown = state()._replace(tick=tick)
    assert "fallback decides" in view.screen(shown)
    assert "      12.5" in view.screen(shown)
    assert "fallback decides" in view.line(shown)
