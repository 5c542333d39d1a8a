"""The checks that need a whole machine: limits that a container's kernel does not enforce, and USB.

Owns: what must hold there. The power goes at the end of the first boot.
"""

import grp
import sys
from pathlib import Path

from tests.service import faults, sandboxes
from tests.service.board import CONFIG, CONTROL, GATEWAY, Board, run, until
from tests.service.checks import Check, run_checks
from tests.service.usb_board import UsbBoard


def the_first_port_may_come_late(board: Board) -> str:
    assert not list(Path("/dev").glob("ttyACM*")), "a port is there already"
    run("systemctl", "start", CONTROL)
    pid = board.pid()
    until(lambda: board.control()["serial"]["open_failures"] > 0, "it misses its port")
    board.replug()
    board.until_moving()
    assert board.pid() == pid, "the process was replaced"
    return "opened by the process that was there before it"


def udev_names_the_port(board: Board) -> str:
    port = board.link.resolve()
    group = grp.getgrgid(port.stat().st_gid).gr_name
    assert (port.name[:6], group) == ("ttyACM", "dialout"), (port, group)
    serial = board.control()["serial"]
    assert serial["path"] == str(board.link), serial
    return f"{board.link} is {port}, low latency: {serial['low_latency']}"


def real_time_is_granted(board: Board) -> str:
    wishes = "[loop]\nrealtime_priority = 50\ncpus = [1]\nlock_memory = true\n"
    board.configure(instead=CONFIG.read_text("utf-8").replace("[loop]\n", wishes))
    run("systemctl", "restart", CONTROL)
    board.until_moving()
    granted, pid = board.control()["realtime"], board.pid()
    words = granted["scheduler"], granted["cpus"], granted["memory"]
    assert words == ("SCHED_FIFO 50", "1", "locked on fault"), granted
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    locked_kb = int(status.split("VmLck:")[1].split()[0])
    assert locked_kb > 0, "nothing is locked"
    adjusted = Path(f"/proc/{pid}/oom_score_adj").read_text("ascii").strip()
    assert adjusted == "-500", adjusted
    board.configure()
    run("systemctl", "restart", CONTROL)
    board.until_moving()
    return f"{', '.join(words)} ({locked_kb} kB); the kernel's killer adjusted by {adjusted}"


def too_much_memory_ends_it(board: Board) -> str:
    return f"{_limited(board, 'MemoryMax=16M', 'oom-kill')}; pins safe"


def too_many_tasks_are_refused(board: Board) -> str:
    return _limited(board, "TasksMax=1", "exit-code")


def _limited(board: Board, limit: str, result: str) -> str:
    """Started with a limit that it cannot keep, it does not come up."""
    drop_in = Path(f"/run/systemd/system/{CONTROL}.d/limit.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(f"[Service]\n{limit}\nRestart=no\n", "ascii")
    run("systemctl", "daemon-reload")
    try:
        run("systemctl", "restart", CONTROL, check=False)
        until(lambda: board.show(CONTROL, "ActiveState") == "failed", f"{limit} is enforced", 60.0)
        found = board.show(CONTROL, "Result")
        assert found == result, found
        assert board.is_safe()
    finally:
        drop_in.unlink()
        run("systemctl", "daemon-reload")
        board.begin_anew()
    return f"{limit}: {found}"


def it_comes_back_after_a_power_cut(board: Board) -> str:
    board.replug()
    return faults.it_comes_back_after_a_power_cut(board)


FIRST: tuple[Check, ...] = (
    the_first_port_may_come_late,
    faults.both_units_reach_ready,
    faults.an_armed_agent_moves_the_outputs,
    udev_names_the_port,
    sandboxes.control_has_no_network_and_its_port,
    sandboxes.gateway_has_a_network_and_no_port,
    real_time_is_granted,
    faults.the_serial_port_is_pulled,
    faults.control_hangs,
    too_much_memory_ends_it,
    too_many_tasks_are_refused,
    faults.the_outputs_move_when_the_power_goes,
)
SECOND: tuple[Check, ...] = (it_comes_back_after_a_power_cut,)


if __name__ == "__main__":
    sys.exit(run_checks(FIRST, SECOND, (CONTROL, GATEWAY), UsbBoard))
