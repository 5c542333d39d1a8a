"""Faults of board and host, made from outside: hang, reset, freeze, stopped and killed host."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import Kind, ResetReason, session_salt
from tests.firmware.emulated.board import Board, Write
from tests.firmware.emulated.host import HELD_FAN, SAFE, Host
from tests.firmware.toolchain import ROOT

pytestmark = pytest.mark.xdist_group("emulated")

DEADMAN_TICKS = 100
WATCHDOG_MS = 250  # its first period ends in safe outputs, its second in a reset
DRIVEN = (9, 0, 0, 9)
LIMIT_S = 10.0


def wait_until(claim: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def last_two(board: Board) -> tuple[Write, Write]:
    """The last driven write and the safe one after it. (The watchdog may have added another.)"""
    writes = board.writes()
    last = max(k for k, write in enumerate(writes) if write.outputs != SAFE)
    return writes[last], writes[last + 1]


@pytest.mark.parametrize("place", ["eb1_receive", "eb1_transmit", "eb1_main_progress", "uart_take"])
def test_a_hung_main_loop_leaves_the_outputs_safe_by_the_interrupt(
    board: Board, host: Host, place: str
) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.2)
    board.hang_in(place)
    wait_until(lambda: board.outputs() == SAFE)
    driven, safe = last_two(board)
    assert safe.outputs == SAFE
    assert safe.tick - driven.tick == DEADMAN_TICKS


def test_the_watchdog_restarts_a_hung_board_and_the_host_can_arm_again(
    board: Board, host: Host
) -> None:
    host.reach("armed")
    board.hang_in("eb1_main_progress")
    board.qmp.wait_for("RESET")
    board.heal()
    host.run(lambda: host.status("sessions") == 2, DRIVEN)
    assert host.hello().reset_reason == ResetReason.WATCHDOG
    host.reach("armed", DRIVEN)


def test_a_hang_with_the_timer_locked_out_ends_in_safe_outputs_by_the_watchdog(
    board: Board, host: Host
) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.2)
    # The reset waits until the hang is undone: it would hang again, in the way to its first word.
    board.qmp.execute("set-action", watchdog="pause")
    board.hang_in("board_unlock")
    stood_at = board.word("board_ticks")
    start = time.monotonic()
    wait_until(lambda: board.outputs() == SAFE)
    assert time.monotonic() - start < 1.0  # 0.25 s by the board's clock
    assert last_two(board)[1].tick <= stood_at + 1
    board.qmp.wait_for("WATCHDOG")
    board.heal()
    board.qmp.execute("system_reset")
    board.resume()
    host.run(lambda: host.status("sessions") == 2, armed=False)
    assert host.hello().reset_reason == ResetReason.WATCHDOG
    assert {write.outputs for write in board.writes()} == {SAFE}


def test_after_a_reset_no_frame_of_the_old_session_is_obeyed(board: Board, host: Host) -> None:
    host.reach("armed")
    host.drive(DRIVEN, 0.1)
    link = host.port._link
    assert link.device is not None
    salt = session_salt(link.device, link._host_nonce)
    board.reset()
    wait_until(lambda: board.word("board_ticks") < 50 and board.outputs() == SAFE)
    seqs = [(link._seq + number) & 0xFFFF for number in range(1, 40)]
    arm = encode_frame(Frame(Kind.ARM, seqs[0], 0, (link._host_nonce, 0)), salt)
    board.cable.inject(arm)
    for seq in seqs[1:]:  # any age that the restarted clock may show
        board.cable.inject(encode_frame(Frame(Kind.SET, seq, seq % 8, DRIVEN), salt))
    host.reach("ready", armed=False)
    assert host.status("lost_reset") == 1
    board.cable.inject(arm)
    for seq in seqs[1:]:
        board.cable.inject(encode_frame(Frame(Kind.SET, seq, link._token, DRIVEN), salt))
    wait_until(lambda: board.counters().bad_frames >= 2 * len(seqs) - 2)
    assert {write.outputs for write in board.writes()} == {SAFE}


def has_taken_all(host: Host) -> bool:
    """Whether the board says that it has seen the newest command."""
    host.port.poll(time.monotonic_ns())
    telemetry = host.port._telemetry
    return telemetry is not None and telemetry.last_set_seq == host.port._link._seq


def frozen_while_driven(board: Board, host: Host, asked: tuple[int, ...]) -> bool:
    """Freeze the board; false, and it runs again, when a starved machine has let its dead man act
    before."""
    host.reach("armed", asked)
    host.drive(asked, 0.1)
    wait_until(lambda: has_taken_all(host))
    board.freeze()
    driven = board.outputs() != SAFE and host.status("state") == "armed"
    if not driven:
        board.resume()
    return driven


def test_a_command_that_waited_through_a_freeze_is_never_executed(board: Board, host: Host) -> None:
    asked = (1000, 1000, 1000, 1000)  # a frame of 25 bytes: more than UART and driver hold
    wait_until(lambda: frozen_while_driven(board, host, asked))
    writes, flushed = board.word("board_writes"), board.cable.flushed
    lost, sessions = int(host.status("lost_silent")), int(host.status("sessions"))
    host.drive(asked, 0.4)
    assert host.status("lost_silent") == lost + 1
    assert board.cable.flushed > flushed + 25
    board.resume()
    host.run(lambda: host.status("sessions") == sessions + 1, asked)
    wait_until(lambda: board.word("board_writes") > writes)
    assert board.writes()[writes].outputs == SAFE  # the first thing that moved
    host.reach("armed", asked)


@pytest.fixture
def host_process(board: Board) -> Iterator[subprocess.Popen[str]]:
    """The host as a process of its own, armed and driving."""
    command = [sys.executable, "-m", "tests.firmware.emulated.host", board.cable.host_path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "armed\n"
        wait_until(lambda: board.outputs()[0] > 5)
        yield process
        process.kill()


def stopped(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return status.rsplit(")", 1)[1].split()[0] == "T"


@pytest.mark.parametrize("stall_s", [0.08, 0.5])
def test_no_command_of_a_host_that_was_stopped_meanwhile_is_applied(
    board: Board, host_process: subprocess.Popen[str], stall_s: float
) -> None:
    os.kill(host_process.pid, signal.SIGUSR1)
    wait_until(lambda: stopped(host_process.pid))
    time.sleep(stall_s)
    os.kill(host_process.pid, signal.SIGCONT)
    wait_until(lambda: board.counters().sets_stale + board.counters().sets_not_armed >= 1)
    time.sleep(0.05)
    assert all(write.outputs[3] != HELD_FAN for write in board.writes())


def test_a_host_that_was_stopped_arms_again_by_itself(
    board: Board, host_process: subprocess.Popen[str]
) -> None:
    os.kill(host_process.pid, signal.SIGSTOP)
    wait_until(lambda: board.outputs() == SAFE)
    os.kill(host_process.pid, signal.SIGCONT)
    wait_until(lambda: board.outputs()[0] > 0)


def test_a_killed_host_leaves_the_outputs_safe_after_exactly_the_dead_man(
    board: Board, host_process: subprocess.Popen[str]
) -> None:
    os.kill(host_process.pid, signal.SIGKILL)
    wait_until(lambda: board.outputs() == SAFE)
    driven, safe = last_two(board)
    assert safe.outputs == SAFE
    assert safe.tick - driven.tick == DEADMAN_TICKS
