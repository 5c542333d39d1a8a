"""`systemctl reload`: a configuration is taken as a whole, or what is wrong with it is said."""

import time

from tests.service.board import CONFIG, CONTROL, GATEWAY, Board, FailedError, run, until

STRICTER = "\n[limits.cooling_valve]\nmax = 50.0\n"


def a_bad_configuration_is_not_taken(board: Board) -> str:
    pid, boot = board.pid(), board.control()["boot"]
    board.configure(instead='mode = "reel"\n')
    try:
        run("systemctl", "reload", CONTROL)
    except FailedError:
        pass
    else:
        raise FailedError("systemctl reload says that all is well")
    journal = board.journal(CONTROL, "--since=-30s")
    assert "agent.toml:1" in journal, "the journal does not name the line"
    assert "keeps the configuration it has" in journal
    assert board.show(CONTROL, "ActiveState") == "active"
    board.configure()
    assert (board.pid(), board.control()["boot"]) == (pid, boot), "it was started again"
    assert board.control()["mode"] == "ACTIVE"
    return "refused with line and fix; the same run goes on, outputs and all"


def a_good_one_is_taken_through_safe(board: Board) -> str:
    before, gateway = board.control(), board.pid(GATEWAY)
    facts = [board.show(CONTROL, name) for name in ("MainPID", "InvocationID", "WatchdogUSec")]
    began_ns = time.monotonic_ns()
    board.configure(instead=CONFIG.read_text("utf-8") + STRICTER)
    run("systemctl", "reload", CONTROL)
    took_s = (time.monotonic_ns() - began_ns) / 1e9
    after = board.control()
    assert after["hashes"]["config"] != before["hashes"]["config"]
    board.until_moving()
    assert [at for at, pins in board.outputs() if at > began_ns and not any(pins)], "never safe"
    same = [board.show(CONTROL, name) for name in ("MainPID", "InvocationID", "WatchdogUSec")]
    assert same == facts, (facts, same)
    assert board.pid(GATEWAY) == gateway, "the gateway was started again"
    until(lambda: board.telemetry().get("boot") == board.control()["boot"], "telemetry goes on")
    board.configure()
    run("systemctl", "reload", CONTROL)
    board.until_moving()
    return f"in force after {took_s:.1f} s, through safe, in the same process"
