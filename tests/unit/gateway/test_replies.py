"""Copies of answers: where the sender asked for them, if that is below the device's own `resp`."""

import pytest

from edge_agent.authority.topics import ALL_STOP
from edge_agent.core.command_ipc import Answer, Carried
from edge_agent.gateway.journal import UNFINISHED_MAX
from edge_agent.gateway.replies import CORRELATION_BYTES_MAX
from edge_agent.gateway.session import ReplyTo
from tests.unit.gateway.carrier_bench import CMD, RESP, Bench

DESK = ReplyTo(f"{RESP}/desk-1", b"mark")


def _carried(bench: Bench, number: int, reply_to: ReplyTo | None, topic: str = CMD) -> int:
    """The row under which the command is carried."""
    bench.receive(number, reply_to=reply_to, topic=topic)
    (carried,) = bench.step()
    assert isinstance(carried, Carried)
    return carried.row


def _answer(bench: Bench, *answers: Answer) -> None:
    for answer in answers:
        bench.relay.send(answer)
    bench.step()
    bench.step()


def test_every_answer_is_copied_with_the_mark_and_none_after_the_last(bench: Bench) -> None:
    bench.stand()
    row = _carried(bench, 1, DESK)
    _answer(bench, Answer(row, False, b"accepted"), Answer(row, True, b"done"))
    assert bench.link.published == [b"accepted", b"done"]
    assert bench.link.copies == [(DESK.topic, body, b"mark") for body in (b"accepted", b"done")]
    _answer(bench, Answer(row, True, b"done"))
    assert len(bench.link.copies) == 2


def test_who_did_not_ask_gets_no_copy(bench: Bench) -> None:
    bench.stand()
    _answer(bench, Answer(_carried(bench, 1, None), True, b"done"))
    assert (bench.link.published, bench.link.copies) == ([b"done"], [])


@pytest.mark.parametrize(
    "wish",
    [
        ReplyTo(RESP, b"m"),
        ReplyTo(f"{RESP}/", b"m"),
        ReplyTo(f"{RESP}/a/b", b"m"),
        ReplyTo(f"{RESP}/+", b"m"),
        ReplyTo("ed/v1/ahu-7/status", b"m"),
        ReplyTo("ed/v1/ahu-8/resp/desk-1", b"m"),
        ReplyTo("ed/v1/ahu-8/cmd", b"m"),
        ReplyTo("cmnd/plug/POWER", b"m"),
        ReplyTo(DESK.topic, b"m" * (CORRELATION_BYTES_MAX + 1)),
    ],
)
def test_a_wish_that_leads_elsewhere_is_counted_and_the_answer_stays_on_resp(
    bench: Bench, wish: ReplyTo
) -> None:
    bench.stand()
    _answer(bench, Answer(_carried(bench, 1, wish), True, b"done"))
    assert (bench.link.published, bench.link.copies) == ([b"done"], [])
    assert bench.count("reply_topics_refused") == 1


@pytest.mark.parametrize("wish", [DESK, ReplyTo("ed/v1/ahu-8/resp/desk-1", b"m")])
def test_nothing_is_copied_for_the_stop_for_all_or_counted(bench: Bench, wish: ReplyTo) -> None:
    """It reaches every device, and the wish can be good at one of them at most."""
    bench.stand()
    _answer(bench, Answer(_carried(bench, 1, wish, ALL_STOP), True, b"done"))
    assert (bench.link.published, bench.link.copies) == ([b"done"], [])
    assert bench.count("reply_topics_refused") == 0


def test_a_command_that_is_dropped_leaves_nothing_and_sends_nothing(bench: Bench) -> None:
    bench.stand()
    row = _carried(bench, 1, DESK)
    _answer(bench, Answer(row, True, b""), Answer(row, True, b"again"))
    assert bench.link.copies == []


def test_wishes_are_bounded(bench: Bench) -> None:
    bench.stand()
    rows = []
    for number in range(UNFINISHED_MAX + 1):
        rows.append(_carried(bench, number, DESK))
        bench.carrier._journal.finish([Answer(rows[-1], True, b"")], RESP)  # it makes room
    _answer(bench, Answer(rows[0], True, b"first"), Answer(rows[-1], True, b"last"))
    assert [body for _, body, _ in bench.link.copies] == [b"last"]
