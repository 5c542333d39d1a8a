"""Another device with our identity: what is a sign of it, and what is none."""

import msgspec
import pytest

from edge_agent.authority.body import Status
from edge_agent.gateway.twins import SIGNS, WITHIN_NS, Twins

S = 1_000_000_000


def said(run: str, *, on: bool = True) -> bytes:
    return msgspec.msgpack.encode(Status(on=on, run=run))


def test_a_foreign_status_at_each_of_several_connections_is_a_twin() -> None:
    twins = Twins("ours")
    for connection in range(1, SIGNS):
        twins.hear(said("theirs", on=False), connection, connection * S)
        assert not twins.seen
    twins.hear(said("theirs"), SIGNS, SIGNS * S)
    assert twins.seen == "another device has this identity"


def test_what_the_run_before_has_left_is_no_sign_however_often_it_is_said() -> None:
    twins = Twins("ours")
    for second in range(100):
        twins.hear(said("before", on=False), 1, second * S)
    assert not twins.seen


def test_our_own_status_is_no_sign_over_any_number_of_connections() -> None:
    twins = Twins("ours")
    for connection in range(100):
        twins.hear(said("ours"), connection, connection * S)
    assert not twins.seen


def test_signs_that_are_far_apart_are_none() -> None:
    twins = Twins("ours")
    for connection in range(20):
        twins.hear(said("theirs"), connection, connection * (WITHIN_NS // (SIGNS - 1) + 1))
    assert not twins.seen


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x91" * 9000, b"\x80", msgspec.msgpack.encode({"on": 1}), said("")],
)
def test_what_says_no_run_is_no_device(payload: bytes) -> None:
    twins = Twins("ours")
    for connection in range(100):
        twins.hear(payload, connection, connection)
    assert not twins.seen
