"""Every fault on every channel in every phase: the declared reaction, in the declared time.

Claim I14 of the safety case; the cells are in `fault_cells.py`.
"""

import pytest

from edge_agent.core.records import Mode, Op, Quality, TickRecord
from tests.properties.fault_cells import AFTER_TICKS, CELLS, Cell, Kind, Phase, Site, broken_in
from tests.unit.safety.air_handler_bench import ACTUATORS, SENSORS, channel

every_phase = pytest.mark.parametrize("phase", Phase)
every_cell = pytest.mark.parametrize(
    "cell", CELLS, ids=lambda cell: f"{cell.kind}, {cell.name or 'policy'}"
)


def _is_seen(cell: Cell, record: TickRecord) -> bool:
    """Whether the record says that this channel, or the model, is not in order."""
    if not cell.name or cell.kind is Kind.NOT_FOLLOWED:
        found = [*record.verdict.reasons, record.cause]
        return any(reason is not None and reason.rule == cell.rule for reason in found)
    return record.snapshot.qualities[channel(cell.name)] != Quality.GOOD


def _until_seen(site: Site, cell: Cell, ticks: int) -> TickRecord:
    """The first record that shows the fault; the last one when none does in time."""
    for _ in range(ticks):
        record = site.go()
        if _is_seen(cell, record):
            break
    return record


def _is_unseen(cell: Cell, phase: Phase) -> bool:
    """What is not armed is not compared with its command."""
    return cell.kind is Kind.NOT_FOLLOWED and phase in (Phase.SAFE, Phase.TRIPPED)


@every_phase
@every_cell
def test_a_fault_has_its_reaction_in_its_time(cell: Cell, phase: Phase) -> None:
    site, ticks = broken_in(cell, phase)
    record = _until_seen(site, cell, ticks)
    assert _is_seen(cell, record) is not _is_unseen(cell, phase)
    assert record.mode == cell.reacts[phase]
    if phase is Phase.ACTIVE:  # the one root cause of the stop
        assert record.cause is not None
        at = channel(cell.name) if cell.name else record.cause.channel
        assert (record.cause.rule, record.cause.channel) == (cell.rule, at)


@every_phase
@every_cell
def test_while_it_lasts_nothing_moves_but_towards_safe(cell: Cell, phase: Phase) -> None:
    site, ticks = broken_in(cell, phase)
    record = _until_seen(site, cell, ticks)
    site.speechless = False  # nothing but the fault is wrong any more
    for _ in range(AFTER_TICKS):
        before = record.verdict.command
        record = site.go()
        assert record.mode != Mode.ACTIVE
        assert all(0 <= c <= b for c, b in zip(record.verdict.command, before, strict=True))


@every_phase
@every_cell
def test_when_it_is_over_control_comes_back_or_waits_for_a_person(cell: Cell, phase: Phase) -> None:
    site, ticks = broken_in(cell, phase)
    if _until_seen(site, cell, ticks).mode == Mode.TRIPPED:
        ends_in = Mode.TRIPPED
    else:
        ends_in = Mode.SAFE if phase in (Phase.SAFE, Phase.DISARMING) else Mode.ACTIVE
    site.fault, site.speechless = None, False
    for _ in range(AFTER_TICKS):
        record = site.go()
    assert record.mode == ends_in


@every_cell
def test_with_it_nobody_can_bring_the_device_into_control(cell: Cell) -> None:
    site, ticks = broken_in(cell, Phase.SAFE)
    _until_seen(site, cell, ticks)
    modes = {site.go(*ops).mode for ops in ((Op.ARM,), *((),) * AFTER_TICKS)}
    if cell.kind is Kind.NOT_FOLLOWED:  # shows only in what is driven
        assert modes <= {Mode.ARMING, Mode.ACTIVE, Mode.TRIPPED}
        assert site.agent.mode == Mode.TRIPPED
    else:
        assert modes == {Mode.ARMING}


def test_every_channel_and_every_way_to_fail_is_in_the_matrix() -> None:
    assert {cell.name for cell in CELLS} == {*SENSORS, *ACTUATORS, ""}
    assert {cell.kind for cell in CELLS} == set(Kind)
    assert len({(cell.kind, cell.name) for cell in CELLS}) == len(CELLS)
