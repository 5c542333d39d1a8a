"""Asking who is there: one question at a time, and what counts as an answer."""

from pathlib import Path

import pytest
from serial.tools import list_ports

from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import Kind
from firmware_bridge.port_list import list_entries
from firmware_bridge.probe import Probe

MS = 1_000_000
FIELDS = (1, 3, 4, 5, 6, 0, 100)
HELLO = encode_frame(Frame(Kind.HELLO, 0, 0, FIELDS), 0)


def test_a_question_is_asked_again_only_when_it_was_answered_or_is_late() -> None:
    probe = Probe(100 * MS)
    assert probe.tick(0)
    assert probe.tick(99 * MS) == b""
    assert probe.tick(100 * MS)
    assert probe.receive(103 * MS, HELLO)
    assert probe.hello is not None
    assert probe.round_trip_ns == 3 * MS
    assert probe.tick(103 * MS)
    assert (probe.asked, probe.answered) == (3, 1)


def test_what_is_no_answer_is_not_taken_for_one() -> None:
    probe = Probe(100 * MS)
    question = probe.tick(0)
    impossible = encode_frame(Frame(Kind.HELLO, 0, 0, (1, 2)), 0)
    other = encode_frame(Frame(0xC2, 0, 0, (1,)), 0)
    for data in (
        b"",
        b"U" * 50,
        question,
        impossible,
        other,
        encode_frame(Frame(0x90, 1, 1, ()), 7),
    ):
        assert not probe.receive(0, data)
    assert probe.hello is None
    assert (probe.bad.reflected, probe.bad.body, probe.bad.no_session) == (1, 1, 1)
    assert probe.bytes_received > 100


def test_a_hello_nobody_asked_for_is_heard_and_is_no_round_trip() -> None:
    probe = Probe(100 * MS)
    assert not probe.receive(0, b"\0" + HELLO)
    assert probe.hello is not None
    assert probe.answered == 0


class _Port:
    def __init__(self, device: str, description: str) -> None:
        self.device, self.description = device, description


def test_ports_are_listed_with_the_name_that_survives_replugging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev").touch()
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-board").symlink_to(tmp_path / "dev")
    found = [_Port("/dev/ttyUSB9", "adapter"), _Port(str(tmp_path / "dev"), "board")]
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    named, plain = sorted(list_entries(by_id), key=lambda entry: entry.description, reverse=True)
    assert (named.description, named.stable_path) == ("board", str(by_id / "usb-board"))
    assert (plain.path, plain.stable_path) == ("/dev/ttyUSB9", "")
    assert list_entries(tmp_path / "absent")[0].stable_path == ""
