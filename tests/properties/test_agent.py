"""What holds for every history, whatever model, sensors, clock and people do."""

import math
from itertools import accumulate, pairwise

from hypothesis import given, settings

from edge_agent.core.records import Mode, Op, Quality, Rule, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.envelope import DT_MAX_NS
from tests.properties.world import ACTUATORS, ARM, CALM, SCRIPTS, SENSORS, S, Tick, encode, play

SAFE_VALUES = tuple(a.safe.counts for a in ENVELOPE.actuators)
AT = ENVELOPE.actuator_index
MIXED = ENVELOPE.sensor_index["mixed_temperature"]
SUPPLY = ENVELOPE.sensor_index["supply_temperature"]
FAN = ENVELOPE.sensor_index["fan_status"]
FORCED = (Rule.INTERLOCK, Rule.EXCLUSIVE)
BOUNDED = settings(max_examples=60)


def forced(record: TickRecord) -> bool:
    return any(r.rule in FORCED for r in record.verdict.reasons)


def good(record: TickRecord, channel: int) -> bool:
    return record.snapshot.qualities[channel] == Quality.GOOD


@BOUNDED
@given(SCRIPTS)
def test_every_command_is_complete_and_in_range(script: list[Tick]) -> None:
    for record in play(script):
        assert len(record.verdict.command) == ACTUATORS
        for counts, limits in zip(record.verdict.command, ENVELOPE.actuators, strict=True):
            assert type(counts) is int
            assert limits.min_counts <= counts <= limits.max_counts


@BOUNDED
@given(SCRIPTS)
def test_the_interlocks_hold_in_every_tick(script: list[Tick]) -> None:
    for record in play(script):
        command, counts = record.verdict.command, record.snapshot.counts
        heating, cooling = command[AT["heating_valve"]], command[AT["cooling_valve"]]
        assert heating == 0 or cooling == 0
        if not (good(record, FAN) and counts[FAN] == 1):
            assert heating == cooling == 0
        if not good(record, MIXED) or counts[MIXED] < 300:
            assert command[AT["outdoor_damper"]] == 0
        if not good(record, SUPPLY) or counts[SUPPLY] > 6000:
            assert heating == 0


@BOUNDED
@given(SCRIPTS)
def test_nothing_moves_before_somebody_arms(script: list[Tick]) -> None:
    armed = False
    for record in play(script):
        armed = armed or any(i.op == Op.ARM for i in record.intents)
        if not armed:
            assert record.mode in (Mode.SAFE, Mode.TRIPPED)
            assert record.verdict.command == SAFE_VALUES


@BOUNDED
@given(SCRIPTS)
def test_no_control_with_a_trip_a_stop_or_a_bad_input(script: list[Tick]) -> None:
    tripped = False
    for record in play(script):
        ops = {i.op for i in record.intents}
        if record.mode == Mode.ACTIVE:
            assert not tripped
            assert not ops & {Op.STOP}
            assert all(q == Quality.GOOD for q in record.snapshot.qualities)
            assert record.cause is None
            assert not good(record, SUPPLY) or record.snapshot.counts[SUPPLY] <= 6000
        if Op.STOP in ops:
            assert record.mode == Mode.TRIPPED
        if tripped and record.mode != Mode.TRIPPED:
            assert Op.RESET in ops
            assert record.mode == Mode.SAFE
        if record.mode in (Mode.SAFE, Mode.TRIPPED):
            assert record.verdict.command == SAFE_VALUES
        tripped = record.mode == Mode.TRIPPED


@BOUNDED
@given(SCRIPTS)
def test_speed_holds_over_every_window_of_control(script: list[Tick]) -> None:
    records = play(script)
    # A clock that stands or goes back earns nothing; a leap earns what one tick may.
    latest = list(accumulate((r.now_ns for r in records), max))
    steps = [0, *(min(b - a, DT_MAX_NS) for a, b in pairwise(latest))]
    earned_ns = list(accumulate(steps))
    for i, limits in enumerate(ENVELOPE.actuators):
        at = [r.verdict.command[i] for r in records]
        start = None  # first record of the present unbroken stretch of control
        for k, record in enumerate(records):
            moving = record.mode in (Mode.ACTIVE, Mode.HOLDING) and not forced(record)
            if not moving or start is None:
                start = k if moving else None
                continue
            for j in range(start, k):
                window_ns = earned_ns[k] - earned_ns[j]
                up = limits.rate_up_counts_per_s * window_ns // S + 1
                down = limits.rate_down_counts_per_s * window_ns // S + 1
                assert -down <= at[k] - at[j] <= up


@BOUNDED
@given(SCRIPTS)
def test_travel_holds_over_every_window_of_control(script: list[Tick]) -> None:
    records = play(script)
    for i, limits in enumerate(ENVELOPE.actuators):
        moves = [
            (b.now_ns, abs(b.verdict.command[i] - a.verdict.command[i]))
            for a, b in pairwise(records)
            if a.mode == b.mode == Mode.ACTIVE and not forced(b)
        ]
        for end, _ in moves:
            since = end - limits.travel_window_ns
            assert sum(d for t, d in moves if since < t <= end) <= limits.travel_max_counts


@BOUNDED
@given(SCRIPTS)
def test_a_proposal_inside_every_limit_passes_unchanged(script: list[Tick]) -> None:
    for record in play(script):
        if record.mode == Mode.ACTIVE and not record.verdict.reasons:
            values = record.proposal.values
            assert values is not None
            assert record.verdict.command == tuple(round(v * 10) for v in values)


@BOUNDED
@given(SCRIPTS)
def test_what_is_not_passed_on_has_a_reason(script: list[Tick]) -> None:
    for record in play(script):
        values = record.proposal.values
        usable = values is not None and len(values) == ACTUATORS and all(map(math.isfinite, values))
        if record.mode == Mode.ACTIVE:
            assert usable
        elif record.mode in (Mode.HOLDING, Mode.RAMPING):
            assert record.cause is not None


@BOUNDED
@given(SCRIPTS)
def test_what_is_held_by_hand_was_asked_for_and_ends(script: list[Tick]) -> None:
    asked: dict[tuple[int, str, str, int], int] = {}
    latest = 0
    for record in play(script):
        latest = max(latest, record.now_ns)
        for i in record.intents:
            if i.op == Op.MANUAL and 0 < i.lease_ns <= 60 * S:
                asked[i.channel, i.source, i.command, i.counts] = latest + i.lease_ns
        assert not record.manual or record.mode in (Mode.ACTIVE, Mode.HOLDING)
        assert len({m.channel for m in record.manual}) == len(record.manual)
        for m in record.manual:
            assert 0 < m.left_ns <= asked[m.channel, m.source, m.command, m.counts] - latest
            limits = ENVELOPE.actuators[m.channel - SENSORS]
            assert limits.min_counts <= m.counts <= limits.max_counts


@settings(max_examples=40)
@given(SCRIPTS)
def test_the_same_inputs_give_the_same_bytes(script: list[Tick]) -> None:
    assert encode(play(script)) == encode(play(script))


def test_a_calm_start_reaches_control_and_the_wish() -> None:
    """Without this, every property above could hold for an agent that never moves."""
    records = play([CALM, ARM, *[CALM] * 200])
    assert records[-1].mode == Mode.ACTIVE
    assert records[-1].verdict.command == (500, 0, 300, 600)
    assert records[-1].verdict.reasons == ()
    assert all(len(r.snapshot.qualities) == SENSORS + ACTUATORS for r in records)


def test_an_input_of_every_kind_of_age_leaves_control_within_two_ticks() -> None:
    silent = CALM._replace(silent=frozenset(range(SENSORS)))
    records = play([CALM, ARM, *[CALM] * 50, *[silent] * 10])
    modes = [r.mode for r in records[-10:]]
    # fan_current and damper_position may be 0.5 s old: five ticks, not six.
    assert modes == [Mode.ACTIVE] * 5 + [Mode.HOLDING] * 5
