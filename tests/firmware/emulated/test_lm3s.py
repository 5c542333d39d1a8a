"""Real firmware on an emulated Cortex-M3, driven by the real host code over a real tty."""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import Kind, session_salt
from tests.firmware.emulated.board import Board
from tests.firmware.emulated.host import SAFE, Host
from tests.firmware.emulated.images import Image
from tests.firmware.emulated.lockstep import Lockstep

pytestmark = pytest.mark.xdist_group("emulated")

DEADMAN_TICKS = 100
RATE_PER_S = 60  # the host's 50 counts/s and the device's margin of 20 %
EARLY_COUNTS = 5  # what 60 ms of uneven line may bring forward, and one count of rounding


def test_the_outputs_are_safe_from_boot_until_a_host_arms(board: Board, host: Host) -> None:
    host.reach("ready", (500, 0, 0, 500), armed=False)
    host.drive((500, 0, 0, 500), 0.1, armed=False)
    assert host.status("device_state") == "SAFE"
    assert host.status("safe_reason") == "BOOT"
    assert {write.outputs for write in board.writes()} == {SAFE}


def test_a_host_shakes_hands_arms_drives_and_disarms(board: Board, host: Host) -> None:
    host.reach("ready", armed=False)
    board.set_sensors(321, -7)
    host.reach("armed")
    host.run(lambda: board.outputs() == (5, 0, 0, 3), (5, 0, 0, 3))
    host.drive((5, 0, 0, 3), 0.05)
    telemetry = host.port._telemetry
    assert telemetry is not None
    assert (telemetry.applied, telemetry.sensors) == ((5, 0, 0, 3), (321, -7))
    host.run(lambda: host.status("device_state") == "SAFE", (5, 0, 0, 3), armed=False)
    assert host.status("safe_reason") == "REQUESTED"
    assert board.outputs() == SAFE


def test_no_write_leaves_range_or_rate_whatever_the_host_asks(
    lockstep: Lockstep, stepped: Host
) -> None:
    stepped.reach("armed")
    asked = ((32767, 0, 0, 5), (-32768, 0, 0, 5), (32767, -1, 0, 1000))
    for counts in asked * 3:
        stepped.drive(counts, 0.1)
    writes = lockstep.board.writes()
    assert len(writes) > 100
    assert stepped.status("clamped_by_device") != 0
    for write in writes:
        assert all(0 <= counts <= 1000 for counts in write.outputs)
    first = next(write for write in writes if write.outputs != SAFE)
    for before, after in [*pairwise(writes), *((first, write) for write in writes)]:
        allowed = RATE_PER_S * (after.tick - before.tick) / 1000 + EARLY_COUNTS
        assert all(b - a <= allowed for a, b in zip(before.outputs, after.outputs, strict=True))


def test_two_outputs_that_exclude_each_other_are_never_open_together(
    lockstep: Lockstep, stepped: Host
) -> None:
    stepped.reach("armed")
    stepped.drive((0, 50, 50, 0), 0.3)
    opened = {write.outputs[1:3] for write in lockstep.board.writes()}
    assert max(heating for _, heating in opened) > 0
    assert all(cooling == 0 or heating == 0 for cooling, heating in opened)


def test_five_hundred_commands_are_applied_and_none_is_lost(
    lockstep: Lockstep, stepped: Host
) -> None:
    stepped.reach("armed")
    lockstep.wait()  # what was sent while arming has arrived
    before = lockstep.board.counters().sets_applied
    for number in range(500):
        stepped.round((number % 3, 0, 0, 0))
        lockstep.wait()
    counters = lockstep.board.counters()
    assert counters.sets_applied == before + 500
    assert (counters.sets_stale, counters.sets_repeated, counters.sets_not_armed) == (0, 0, 0)
    assert (counters.bad_frames, counters.overruns, counters.messages_refused) == (0, 0, 0)
    assert stepped.status("bad_frames") == stepped.status("frames_missed") == 0
    assert stepped.status("sessions") == 1


def test_a_silent_host_leaves_the_outputs_safe_after_exactly_the_dead_man(
    lockstep: Lockstep, stepped: Host
) -> None:
    stepped.reach("armed")
    stepped.drive((9, 0, 0, 9), 0.2)
    while lockstep.board.outputs() != SAFE:
        lockstep.wait()
        assert lockstep.now_ns() < 10e9
    driven, safe = lockstep.board.writes()[-2:]
    assert driven.outputs != SAFE
    assert safe.tick - driven.tick == DEADMAN_TICKS
    stepped.run(lambda: stepped.status("safe_reason") == "DEAD_MAN", armed=False)


def test_safe_is_latched_until_a_new_arm(board: Board, host: Host) -> None:
    host.reach("armed")
    host.drive((9, 0, 0, 9), 0.2)
    link = host.port._link
    time.sleep(0.2)
    host.port.poll(time.monotonic_ns())
    salt = session_salt(link.device, link._host_nonce) if link.device else 0
    for number in range(1, 6):
        seq = (link._seq + number) & 0xFFFF
        board.cable.inject(encode_frame(Frame(Kind.SET, seq, link._token, (9, 0, 0, 9)), salt))
        time.sleep(0.005)
    assert board.outputs() == SAFE
    assert board.counters().sets_not_armed == 5
    host.reach("ready", armed=False)
    host.reach("armed")
    host.run(lambda: board.outputs() == (2, 0, 0, 2), (2, 0, 0, 2))


def test_a_new_session_makes_safe_and_the_old_one_ends(board: Board, host: Host) -> None:
    host.reach("armed")
    host.run(lambda: board.outputs() == (4, 0, 0, 0), (4, 0, 0, 0))
    old = host.port._link.set_outputs((4, 0, 0, 0))
    host.close()
    other = Host(board.cable.host_path)
    try:
        other.reach("ready", armed=False)
        assert board.outputs() == SAFE
        bad = board.counters().bad_frames
        board.cable.inject(old)
        other.run(lambda: board.counters().bad_frames == bad + 1, armed=False)
        assert board.outputs() == SAFE
        assert other.status("safe_reason") in {"NEW_SESSION", "DEAD_MAN"}
    finally:
        other.close()


def test_a_host_with_another_envelope_cannot_arm(board: Board) -> None:
    other = Host(board.cable.host_path, replace(ENVELOPE, version=2))
    try:
        other.reach("refused", (9, 0, 0, 9))
        other.drive((9, 0, 0, 9), 0.3)
        assert "envelope" in str(other.status("fault"))
        assert {write.outputs for write in board.writes()} == {SAFE}
    finally:
        other.close()


def test_the_device_refuses_an_arm_that_was_salted_with_another_envelope(
    board: Board, host: Host
) -> None:
    host.reach("ready", armed=False)
    link = host.port._link
    assert link.device is not None
    wrong = msgspec.structs.replace(link.device, envelope_hash=link.device.envelope_hash ^ 1)
    salt = session_salt(wrong, link._host_nonce)
    arm = Frame(Kind.ARM, 1, link._token, (link._host_nonce, link._safe_count))
    board.cable.inject(encode_frame(arm, salt))
    host.run(lambda: board.counters().bad_frames == 1, armed=False)
    assert host.status("device_state") == "SAFE"
    board.cable.inject(encode_frame(arm, session_salt(link.device, link._host_nonce)))
    host.run(lambda: host.status("device_state") == "ARMING", armed=False)  # the right salt does


def test_every_start_has_another_boot_nonce(lm3s: Image, tmp_path: Path) -> None:
    nonces = set()
    for seed in (1, 2):
        board = Board(lm3s, tmp_path / str(seed), seed)
        host = Host(board.cable.host_path)
        for _ in range(3):
            host.reach("ready", armed=False)
            nonces.add(host.hello().boot_nonce)
            board.reset()
            host.reach("ident", armed=False)
        host.close()
        board.close()
    assert len(nonces) == 6
