"""The summary counts what the ticks say, and promises that were not kept are problems."""

from edge_agent.core.records import Mode, Reason, Rule
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.faults import Fault, FaultKind
from edge_agent.sim.scenarios import Injection, Reaction
from edge_agent.sim.summary import SummaryBuilder, summary_text
from tests.unit.sim.sample_ticks import TICK_NS, tick

NAN = Reason(Rule.NOT_FINITE, 9)
INJECTION = Injection(
    Fault(kind=FaultKind.MODEL_NAN, start_s=1.0, duration_s=1.0),
    Reaction(rules=(Rule.NOT_FINITE,), within_s=0.3, mode=Mode.HOLDING, recovers_within_s=0.5),
)


def builder(*injections: Injection) -> SummaryBuilder:
    return SummaryBuilder(ENVELOPE, TICK_NS, injections)


def watched(reacts: int, recovers: int) -> SummaryBuilder:
    """A run whose HOLDING lasts from tick `reacts` to `recovers`; tick k is at (k + 1) / 10 s."""
    summary = builder(INJECTION)
    for k in range(40):
        if reacts <= k < recovers:
            summary.add(tick(k, mode=Mode.HOLDING, reasons=(NAN,), cause=NAN))
        else:
            summary.add(tick(k))
    return summary


def test_a_run_without_ticks_has_a_summary() -> None:
    data = builder().as_data()
    assert data["ticks"] == 0
    assert data["rms_error"] is None
    assert builder().problems() == []
    assert "never occupied and active" in summary_text("empty", data)


def test_ticks_clamps_refusals_modes_and_trips_are_counted() -> None:
    summary = builder()
    clamp = Reason(Rule.RATE_UP, 9, 900)
    for k, (mode, reasons) in enumerate(
        [
            (Mode.SAFE, ()),
            (Mode.ACTIVE, (clamp, clamp)),
            (Mode.ACTIVE, (clamp,)),
            (Mode.HOLDING, (NAN,)),
            (Mode.TRIPPED, ()),
            (Mode.TRIPPED, ()),
            (Mode.SAFE, ()),
            (Mode.TRIPPED, ()),
        ]
    ):
        summary.add(tick(k, mode=mode, reasons=reasons))
    data = summary.as_data()
    assert data["ticks"] == 8
    assert data["clamped_ticks"] == {"RATE_UP": 2}
    assert data["refused_ticks"] == {"NOT_FINITE": 1}
    assert data["trips"] == 2
    assert data["modes_percent"]["ACTIVE"] == 25.0
    assert data["missed_deadlines"] == 0


def test_a_gap_of_more_than_two_periods_is_a_missed_deadline() -> None:
    summary = builder()
    for k in (0, 1, 3, 6, 7):
        summary.add(tick(k))
    assert summary.as_data()["missed_deadlines"] == 1


def test_the_control_error_is_measured_only_while_occupied_and_active() -> None:
    summary = builder()
    summary.add(tick(0, mode=Mode.SAFE))
    assert summary.as_data()["rms_error"] is None
    summary.add(tick(1))
    assert summary.as_data()["rms_error"] == 2.0  # 18 degC for a set-point of 16


def test_travel_is_in_percent_of_full_strokes() -> None:
    summary = builder()
    for k, position in enumerate((0, 5, 10, 5)):
        summary.add(tick(k, (position, 0, 0, 0)))
    assert summary.as_data()["travel_percent"]["outdoor_damper"] == 1.5


def test_a_command_outside_the_envelope_is_a_problem_of_the_run() -> None:
    summary = builder()
    summary.add(tick(0, (2000, 0, 0, 0)))
    assert summary.as_data()["commands_outside_envelope"] == 1
    assert "out of range" in summary.problems()[0]


def test_findings_are_counted_all_and_told_ten() -> None:
    summary = builder()
    for k in range(30):
        summary.add(tick(k, (2000, 0, 0, 0)))
    assert summary.as_data()["commands_outside_envelope"] == 30
    assert len(summary.problems()) == 10


def test_a_declared_reaction_in_time_is_no_problem() -> None:
    summary = watched(reacts=10, recovers=21)
    assert summary.problems() == []
    fault = summary.as_data()["faults"][0]
    assert (fault["reaction_s"], fault["recovery_s"], fault["mode"]) == (0.1, 0.2, "HOLDING")
    assert fault["cause"] == "the model's value for outdoor_damper is not a finite number"
    text = summary_text("nan", summary.as_data())
    assert "HOLDING after 0.1 s, control back after 0.2 s" in text


def test_a_late_reaction_and_a_late_return_are_problems() -> None:
    assert "reaction after 0.6 s, 0.3 s allowed" in watched(15, 21).problems()[0]
    assert "returned after 1.1 s, 0.5 s allowed" in watched(10, 30).problems()[0]


def test_no_reaction_and_no_return_are_problems() -> None:
    assert watched(99, 99).problems() == ["model gives NaN: no reaction (NOT_FINITE)"]
    assert watched(10, 99).problems() == ["model gives NaN: control did not return"]


def test_a_reaction_before_the_fault_does_not_count() -> None:
    assert "no reaction" in watched(2, 8).problems()[0]


def test_the_table_names_the_recording_and_what_it_lost() -> None:
    status = {"path": "x.rec", "records": 3, "records_lost": 0, "error": ""}
    data = builder().as_data()
    assert "3 records in x.rec" in summary_text("a", {**data, "recording": status})
    full = {**status, "records_lost": 2, "error": "No space left on device"}
    assert "2 records lost: No space" in summary_text("a", {**data, "recording": full})
