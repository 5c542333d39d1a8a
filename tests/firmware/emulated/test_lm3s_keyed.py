"""Real firmware that was built with a key, on an emulated Cortex-M3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.frames import Frame, Stranger, encode_frame
from firmware_bridge.messages import Kind
from tests.firmware.emulated.board import Board
from tests.firmware.emulated.host import SAFE, Host
from tests.firmware.emulated.images import Image, key_in, lm3s_image

pytestmark = pytest.mark.xdist_group("emulated")

DIGITS = "00112233445566778899aabbccddeeff" * 2
KEY = bytes.fromhex(DIGITS)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("keyed")
    return lm3s_image(folder, COUNTERS="1", KEY_FILE=str(key_in(folder, DIGITS)))


@pytest.fixture
def board(keyed: Image, tmp_path: Path) -> Iterator[Board]:
    made = Board(keyed, tmp_path / "board")
    yield made
    made.close()


def test_with_the_key_a_host_arms_drives_and_disarms(board: Board) -> None:
    host = Host(board.cable.host_path, key=KEY)
    try:
        host.reach("armed")
        host.run(lambda: board.outputs() == (5, 0, 0, 3), (5, 0, 0, 3))
        host.run(lambda: host.status("device_state") == "SAFE", armed=False)
        assert board.outputs() == SAFE
    finally:
        host.close()


@pytest.mark.parametrize(
    ("key", "why"),
    [(None, Stranger.WITH_KEY.value), (bytes(32), Stranger.OTHER_KEY.value)],
)
def test_without_the_key_a_host_moves_nothing_and_is_told_why(
    board: Board, key: bytes | None, why: str
) -> None:
    host = Host(board.cable.host_path, key=key)
    try:
        host.reach("refused", (9, 0, 0, 9))
        host.drive((9, 0, 0, 9), 0.2)
        assert host.status("fault") == why
        assert {write.outputs for write in board.writes()} == {SAFE}
    finally:
        host.close()


def test_a_session_that_was_recorded_is_not_opened_again(board: Board) -> None:
    """Byte for byte what the first host sent, sent again: the device goes on in its new session."""
    host = Host(board.cable.host_path, key=KEY)
    try:
        host.reach("armed")
        link = host.port._link
        assert link.device is not None
        again = link._codec.encode(
            Frame(Kind.HELLO_ACK, 0, 0, link._codec.hello_ack(link.device, link._host_nonce))
        )
        host.run(lambda: board.outputs() == (4, 0, 0, 0), (4, 0, 0, 0))
        bad = board.counters().bad_frames
        board.cable.inject(again + encode_frame(Frame(Kind.DISARM, 500, 0, ()), 0))
        host.run(lambda: board.counters().bad_frames > bad, (4, 0, 0, 0))
        assert board.outputs() == (4, 0, 0, 0)
        assert host.status("sessions") == 1
    finally:
        host.close()


def test_a_file_that_is_no_key_builds_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is no key: 64 hexadecimal digits"):
        lm3s_image(tmp_path, KEY_FILE=str(key_in(tmp_path, "0123")))
