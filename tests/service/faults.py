"""What dies, hangs, fills up or is pulled out, and what the units make of it."""

import base64
import contextlib
import json
import os
import signal
import stat
import time
from pathlib import Path

from tests.service.board import CONFIG, CONTROL, GATEWAY, PROGRAM, STATE, Board, run, until

# The longest dead man that any firmware may have, and what this simulated one may come late on a
# machine that does other things as well.
SAFE_WITHIN_NS = 500_000_000 + 250_000_000
CONFIRMED = "safe, by the microcontroller's word"


def both_units_reach_ready(board: Board) -> str:
    run("systemctl", "start", CONTROL)  # it wants the gateway
    until(lambda: board.show(GATEWAY, "ActiveState") == "active", "the gateway is ready")
    names = [Path(f"/proc/{board.pid(unit)}").owner() for unit in (CONTROL, GATEWAY)]
    assert names == ["edge-agent", "edge-agent-gateway"], names
    mode = stat.filemode(Path("/run/edge-agent/control.sock").stat().st_mode)
    assert mode == "srw-rw----", mode
    return (
        f"status text {board.show(CONTROL, 'StatusText')!r}, {board.show(GATEWAY, 'StatusText')!r}"
    )


def an_armed_agent_moves_the_outputs(board: Board) -> str:
    board.until_moving()
    until(lambda: board.telemetry().get("mode") == "ACTIVE", "telemetry says so")
    until(lambda: board.show(CONTROL, "StatusText") == "ACTIVE", "systemctl status says so", 5.0)
    return f"pins {board.outputs()[-1][1]}"


def a_stop_is_confirmed(board: Board) -> str:
    run("systemctl", "stop", CONTROL)
    assert board.is_safe()
    assert board.show(CONTROL, "Result") == "success", board.show(CONTROL, "Result")
    assert CONFIRMED in board.journal(CONTROL), "nothing in the journal"
    board.begin_anew()
    return "the pins, the exit code and the microcontroller's word agree"


def a_keyring_comes_as_a_credential(board: Board) -> str:
    keyring = Path("/etc/credstore/edge-agent.keyring")
    keyring.parent.mkdir(mode=0o700, exist_ok=True)
    secret = base64.b64encode(os.urandom(32)).decode()
    rows = [{"kid": "alice", "secret": secret, "roles": ["cmd"]}]
    keyring.write_text(json.dumps({"ver": 1, "device": "ahu-7", "keys": rows}), encoding="utf-8")
    keyring.chmod(0o600)
    board.configure(instead=f'{CONFIG.read_text("utf-8")}\n[plane]\nid = "ahu-7"\n')
    board.begin_anew()
    commands = board.control()["commands"]
    assert commands["gateway"] == "connected", commands
    board.configure(instead=f'{CONFIG.read_text("utf-8")}local_only = ["arm"]\n')
    run("systemctl", "reload", CONTROL)  # the process begins anew, and must still have it
    until(lambda: board.control()["commands"]["gateway"] == "connected", "the plane is back")
    keyring.unlink()
    board.configure()
    board.begin_anew()
    return "read by the control process, whose user cannot read the file"


def control_is_killed(board: Board) -> str:
    gateway, old = board.pid(GATEWAY), board.pid()
    killed_ns = board.kill(CONTROL, signal.SIGKILL)
    until(lambda: board.pid() not in (0, old), "another control process")
    after_ns = board.safe_after(killed_ns)
    assert after_ns is not None
    assert after_ns <= SAFE_WITHIN_NS
    board.until_moving()
    assert board.pid(GATEWAY) == gateway, "the gateway was touched"
    assert CONFIRMED in board.journal(CONTROL)
    took_s = (time.monotonic_ns() - killed_ns) / 1e9
    return f"pins safe after {after_ns / 1e6:.0f} ms, in command again after {took_s:.1f} s"


def gateway_is_killed(board: Board) -> str:
    control, old = board.pid(), board.pid(GATEWAY)
    board.kill(GATEWAY, signal.SIGKILL)
    until(lambda: board.pid(GATEWAY) not in (0, old), "another gateway")
    board.until_moving()
    assert board.pid() == control, "the control process was touched"
    return "the control process went on"


def control_hangs(board: Board) -> str:
    board.begin_anew()
    old = board.pid()
    stopped_ns = board.kill(CONTROL, signal.SIGSTOP)
    until(lambda: board.safe_after(stopped_ns) is not None, "safe pins", 5.0)
    safe_ns = board.safe_after(stopped_ns) or 0
    assert board.pid() == old, "the pins waited for systemd"
    assert safe_ns <= SAFE_WITHIN_NS, safe_ns
    until(lambda: board.pid() not in (0, old), "another control process")
    took_s = (time.monotonic_ns() - stopped_ns) / 1e9
    board.until_moving()
    assert "Watchdog timeout" in board.journal(CONTROL, "--since=-60s")
    return f"pins safe after {safe_ns / 1e6:.0f} ms, by themselves; replaced after {took_s:.1f} s"


def gateway_hangs(board: Board) -> str:
    control, old = board.pid(), board.pid(GATEWAY)
    board.kill(GATEWAY, signal.SIGSTOP)
    until(lambda: board.pid(GATEWAY) not in (0, old), "another gateway", 60.0)
    assert board.pid() == control, "the control process was touched"
    assert "Watchdog timeout" in board.journal(GATEWAY)
    board.until_moving()
    return "replaced by its watchdog; the control process went on"


def the_broker_is_away(board: Board) -> str:
    pids = board.pid(), board.pid(GATEWAY)
    run("systemctl", "stop", "mosquitto")
    until(lambda: board.control()["mode"] == "RAMPING", "sensors that came over it are missed")
    until(board.is_safe, "safe pins", 60.0)
    time.sleep(3.0)
    assert (board.pid(), board.pid(GATEWAY)) == pids, "somebody was started again"
    run("systemctl", "start", "mosquitto")
    board.until_moving()
    assert (board.pid(), board.pid(GATEWAY)) == pids, "somebody was started again"
    return "nobody was started again; it goes on when the broker is back"


def the_serial_port_is_pulled(board: Board) -> str:
    old = board.pid()
    pulled_ns = time.monotonic_ns()
    board.unplug()
    until(lambda: board.safe_after(pulled_ns) is not None, "safe pins", 5.0)
    until(lambda: board.control()["mode"] == "RAMPING", "the loss is noticed")
    board.replug()
    board.until_moving()
    assert board.pid() == old, "the process was replaced"
    return f"pins safe after {(board.safe_after(pulled_ns) or 0) / 1e6:.0f} ms; the same process"


def the_disk_is_full(board: Board) -> str:
    run("systemctl", "stop", CONTROL, GATEWAY)
    run("mount", "-t", "tmpfs", "-o", "size=4M,mode=750", "small", str(STATE))
    run("systemd-tmpfiles", "--create", "edge-agent.conf")
    try:
        board.begin_anew()
        pids = board.pid(), board.pid(GATEWAY)
        with contextlib.suppress(OSError), (STATE / "ballast").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        until(lambda: _records_lost(board) > 0, "records that cannot be kept are counted")
        assert (board.pid(), board.pid(GATEWAY)) == pids, "somebody died of it"
        board.until_moving()
        run("systemctl", "restart", CONTROL)
        board.until_moving()
        return "both went on and counted what was lost; a restart works"
    finally:
        run("systemctl", "stop", CONTROL, GATEWAY)
        run("umount", str(STATE))
        board.begin_anew()


def _records_lost(board: Board) -> int:
    return int(board.status()["gateway"]["report"].get("recording.records_lost", 0))


def the_configuration_is_broken(board: Board) -> str:
    board.configure(instead='mode = "reel"\n')
    run("systemctl", "restart", CONTROL, check=False)
    until(lambda: board.show(CONTROL, "ActiveState") == "failed", "the unit fails")
    assert board.show(CONTROL, "ExecMainStatus") == "78", board.show(CONTROL, "ExecMainStatus")
    time.sleep(6.0)
    assert board.show(CONTROL, "NRestarts") == "0", "it was started again"
    assert "agent.toml:1" in board.journal(CONTROL), "the journal does not name the line"
    assert board.is_safe()
    board.configure()
    board.begin_anew()
    return "exit 78, named in the journal, not started again"


def crashes_end_in_safe_mode(board: Board) -> str:
    board.begin_anew()
    _crash(board)
    until(lambda: board.control().get("safe_mode"), "safe mode")
    control = board.control()
    assert control["mode"] == "TRIPPED", control["mode"]
    until(lambda: board.telemetry().get("mode") == "TRIPPED", "telemetry says so")
    assert "starts in safe mode" in board.journal(CONTROL)
    assert board.is_safe()
    run("systemctl", "restart", CONTROL)
    until(lambda: board.control().get("safe_mode"), "safe mode after a restart too")
    _reset(board)
    return f"{control['cause']!r}; `edge-agent reset` ends it"


def or_in_a_refusal_where_that_is_wanted(board: Board) -> str:
    board.configure('after_crashes = "stop"\n')
    board.begin_anew()
    _crash(board)
    until(lambda: board.show(CONTROL, "ActiveState") == "failed", "the unit fails")
    assert board.show(CONTROL, "ExecMainStatus") == "78", board.show(CONTROL, "ExecMainStatus")
    assert board.is_safe()
    board.configure()
    _reset(board)
    return "exit 78 after the fifth crash, and not started again"


def _crash(board: Board) -> None:
    """Five times, each as soon as it is ready."""
    for _ in range(5):
        until(lambda: board.show(CONTROL, "SubState") == "running", "it is ready again")
        board.kill(CONTROL, signal.SIGKILL)
        until(lambda: board.show(CONTROL, "SubState") != "running", "systemd has noticed")


def _reset(board: Board) -> None:
    run("systemctl", "stop", CONTROL)
    run("systemctl", "reset-failed")
    run("runuser", "-u", "edge-agent", "--", PROGRAM, "reset")
    run("systemctl", "start", CONTROL)
    board.until_moving()


def the_outputs_move_when_the_power_goes(board: Board) -> str:
    board.begin_anew()
    return f"pins {board.outputs()[-1][1]}"


def it_comes_back_after_a_power_cut(board: Board) -> str:
    run("systemctl", "start", CONTROL)
    board.until_moving()
    assert not (STATE / "trip.json").exists(), "a power cut is no trip"
    until(lambda: board.show(GATEWAY, "ActiveState") == "active", "the gateway is ready")
    count = len(list((STATE / "recordings").iterdir()))
    assert count >= 2, "the recordings of the first boot are gone"
    assert run(PROGRAM, "status"), "status does not answer"
    run("systemctl", "stop", CONTROL)
    assert board.is_safe()
    assert board.link.exists()
    return f"armed and active again by itself, {count} recordings kept"
