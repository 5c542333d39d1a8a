"""Records are frozen, small, and read back as what was written."""

import inspect
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core import records
from edge_agent.core.records import (
    Command,
    Intent,
    Manual,
    Mode,
    Op,
    Proposal,
    Quality,
    Reading,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
    Verdict,
)

STRUCTS = [
    item
    for _, item in inspect.getmembers(records, inspect.isclass)
    if issubclass(item, msgspec.Struct) and item is not msgspec.Struct
]
I64 = st.integers(-(2**63), 2**63 - 1)
REASONS = st.builds(Reason, st.sampled_from(Rule), st.integers(-1, 100), I64)
FLOATS = st.floats(allow_nan=False)
TICKS = st.builds(
    TickRecord,
    tick=I64,
    now_ns=I64,
    readings=st.tuples(st.builds(Reading, I64, I64, I64, st.sampled_from(Quality))),
    intents=st.tuples(
        st.builds(Intent, st.sampled_from(Op), st.text(), I64, I64, I64, st.text(), I64),
    ),
    snapshot=st.builds(Snapshot, *[st.tuples(I64, I64)] * 3),
    features=st.tuples(FLOATS, FLOATS),
    proposal=st.builds(Proposal, st.none() | st.tuples(FLOATS), I64, st.tuples(REASONS)),
    verdict=st.builds(Verdict, st.tuples(I64), st.tuples(REASONS, REASONS)),
    mode=st.sampled_from(Mode),
    cause=st.none() | REASONS,
    fallback=st.none() | st.tuples(FLOATS, FLOATS),
    monitor=st.booleans(),
    manual=st.tuples(st.builds(Manual, I64, I64, st.text(), st.text(), I64)),
)

TICK = TickRecord(
    tick=3,
    now_ns=300,
    readings=(Reading(0, 2150, 290, Quality.GOOD),),
    intents=(Intent(Op.ARM),),
    snapshot=Snapshot((2150,), (10,), (Quality.GOOD,)),
    features=(21.5,),
    proposal=Proposal((50.0,), 40_000),
    verdict=Verdict((500,), (Reason(Rule.RATE_UP, 0, 500),)),
    mode=Mode.ACTIVE,
    cause=None,
)


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_record_is_frozen_and_encoded_as_a_plain_array(struct: type[msgspec.Struct]) -> None:
    config = struct.__struct_config__
    assert (config.frozen, config.array_like, config.tag) == (True, True, None)


@pytest.mark.parametrize("name", ["tick", "mode", "unknown"])
def test_a_record_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(TICK, name, 1)


@given(tick=TICKS)
def test_what_is_written_is_read_back(tick: TickRecord) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tick), type=TickRecord) == tick


def test_a_recording_is_readable_without_this_package() -> None:
    plain = msgpack.unpackb(msgspec.msgpack.encode(TICK))
    assert plain == [
        3,
        300,
        [[0, 2150, 290, 0]],
        [[1, "local", -1, 0, 0, "", 0]],
        [[2150], [10], [0]],
        [21.5],
        [[50.0], 40_000, []],
        [[500], [[22, 0, 500]]],
        2,
        None,
        None,
        False,
        [],
    ]


def test_a_record_of_an_earlier_version_is_read() -> None:
    plain = msgpack.unpackb(msgspec.msgpack.encode(TICK))
    plain[3] = [[1, "local", -1, 0]]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain[:12]), type=TickRecord) == TICK


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xc1",
        b"\x90",
        msgspec.msgpack.encode(TICK)[:-1],
        msgspec.msgpack.encode({"tick": 1}),
        msgspec.msgpack.encode(["3", *list(msgspec.structs.astuple(TICK))[1:]]),
    ],
)
def test_damaged_bytes_are_refused(damaged: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.msgpack.decode(damaged, type=TickRecord)


NUMBERS: Mapping[type[IntEnum], str] = MappingProxyType(
    {
        Quality: "GOOD=0 STALE=1 MISSING=2 INVALID=3",
        Mode: "SAFE=0 ARMING=1 ACTIVE=2 HOLDING=3 RAMPING=4 TRIPPED=5",
        Op: (
            "ARM=1 DISARM=2 STOP=3 RESET=4 SET_GOAL=5 CLEAR_GOAL=6 MONITOR=7 ENFORCE=8"
            " MANUAL=9 RELEASE=10 SET_BAND=11"
        ),
        Rule: (
            "NO_MODEL=1 STALE_INPUT=2 MISSING_INPUT=3 INVALID_INPUT=4 OUTSIDE_TRAINING_RANGE=5"
            " WRONG_SHAPE=6 NOT_FINITE=7 LATE=8 MODEL_ERROR=9"
            " ABOVE_MAX=20 BELOW_MIN=21 RATE_UP=22 RATE_DOWN=23 TRAVEL=24 EXCLUSIVE=25"
            " INTERLOCK=26 DWELL=27 BY_HAND=30 SOURCES_DISAGREE=10 NOT_ARMED=40 DEADLINE_MISSED=41"
            " CLOCK_FAULT=42 LINK_LOST=43"
            " EFFECT_MISSING=44 INTERNAL_ERROR=45 STOP_REQUESTED=46 DISARM_REQUESTED=47"
            " NOT_EVALUATED=48 NOT_FOLLOWED=49 TOO_MANY_MISSES=50"
        ),
    }
)


@pytest.mark.parametrize("kind", NUMBERS)
def test_no_code_is_ever_renumbered(kind: type[IntEnum]) -> None:
    assert set(NUMBERS[kind].split()) <= {f"{m.name}={m.value}" for m in kind}


def test_boot_state_is_safe_and_unknown_input_is_not_good() -> None:
    assert Mode(0) is Mode.SAFE
    assert [q for q in Quality if q is not Quality.GOOD] == [1, 2, 3]


def test_no_proposal_is_not_a_proposal_of_zero() -> None:
    assert Proposal(None) != Proposal((0.0,))
    assert Proposal(None).values is None


def test_a_command_says_whether_hardware_may_leave_its_safe_state() -> None:
    assert Command((0,), armed=False) != Command((0,), armed=True)
    with pytest.raises(TypeError):
        Command((0,))  # type: ignore[call-arg]


def test_a_record_from_before_there_was_a_fallback_can_still_be_read() -> None:
    old = msgspec.msgpack.encode(msgspec.structs.astuple(TICK)[:10])
    assert msgspec.msgpack.decode(old, type=TickRecord) == TICK
    assert TICK.fallback is None
