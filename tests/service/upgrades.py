"""The package on a running system: what an upgrade, a broken one, a cut and a removal leave.

Owns: what must hold; the first boot ends in mid-trial, when the container is killed from outside.
Run by edge-agent-upgrade-checks.service, with an interpreter that no package replaces.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.service.upgrade import read_note
from tests.service.board import CONTROL, GATEWAY, PROGRAM, STATE, Board, run, until
from tests.service.checks import Check, run_checks

DEBS = Path("/opt/checks/debs")
NOTES = Path("/var/lib/edge-autonomy")
TRIAL_UNIT = "edge-agent-trial.service"
STEADY_S, TRIAL_S = 12, 45
FIRST_VERSION = "1.0"


def main() -> int:
    first_boot = not NOTES.exists()
    if first_boot:
        drop_in = Path(f"/etc/systemd/system/{TRIAL_UNIT}.d/checks.conf")
        drop_in.parent.mkdir(parents=True)
        times = f"[Service]\nEnvironment=STEADY_S={STEADY_S} TRIAL_S={TRIAL_S}\n"
        drop_in.write_text(times, encoding="utf-8")
        install(FIRST_VERSION)
    return run_checks(FIRST, SECOND, (CONTROL, GATEWAY, TRIAL_UNIT))


def install(version: str, *, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """As a user does, with a changed configuration that is kept."""
    command = ["dpkg", "--install", "--force-confold", "--force-downgrade", f"{DEBS}/{version}.deb"]
    environment = {"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert may_fail or done.returncode == 0, done.stderr
    return done


def note(name: str) -> Mapping[str, str]:
    """`trial` or `outcome`; empty when it is not there."""
    return read_note(NOTES / name)


def current() -> str:
    return Path("/opt/edge-agent/current").resolve(strict=True).name


def version_in_command(board: Board) -> str:
    """Of the process that answers, if it moves the outputs."""
    control = board.control()
    return str(control["version"]) if control.get("mode") == "ACTIVE" else ""


def until_in_command(board: Board, version: str, within_s: float = 60.0) -> None:
    until(lambda: version_in_command(board) == version, f"{version} in command", within_s)
    until(lambda: not board.is_safe(), "an output moves")


def until_outcome(board: Board, result: str, version: str, within_s: float = 120.0) -> str:
    """The trial of `version` ends so; why."""
    until(lambda: not note("trial"), f"the trial of {version} ends", within_s)
    outcome = note("outcome")
    assert (outcome["RESULT"], outcome["NEW"]) == (result, version), outcome
    return outcome["WHY"]


def doctor(check: str) -> Mapping[str, Any]:
    document = json.loads(run(PROGRAM, "doctor", "--json", check=False))
    found: dict[str, Mapping[str, Any]] = {f["check"]: f for f in document["findings"]}
    return found[check]


def nothing_was_started_by_the_installation(board: Board) -> str:
    states = [board.show(unit, "ActiveState") for unit in (CONTROL, GATEWAY)]
    assert states == ["inactive", "inactive"], states
    assert not note("trial")
    return "both units inactive, no trial"


def both_units_are_enabled_and_reach_command(board: Board) -> str:
    run("systemctl", "enable", "--now", CONTROL, GATEWAY)
    until_in_command(board, FIRST_VERSION)
    (STATE / "kept").write_text("state", encoding="utf-8")
    return f"pins {board.outputs()[-1][1]}"


def an_upgrade_makes_safe_and_goes_on_as_the_new_version(board: Board) -> str:
    began_ns = time.monotonic_ns()
    install("1.1")
    assert note("trial")["GOOD"] == "1.0", note("trial")
    until_in_command(board, "1.1")
    changes = [change for change in board.outputs() if change[0] > began_ns]
    safe_ns = [at for at, pins in changes if not any(pins)]
    assert safe_ns, "the outputs were never safe between the two"
    still_s = (next(at for at, _ in changes if at > safe_ns[-1]) - safe_ns[-1]) / 1e9
    ran_s = (safe_ns[0] - began_ns) / 1e9
    assert "on trial" in doctor("upgrade")["words"], doctor("upgrade")
    why = until_outcome(board, "held", "1.1")
    assert (STATE / "kept").exists()
    until(lambda: "1.1 has held" in board.journal(TRIAL_UNIT), "the journal says so", 5.0)
    return f"safe {ran_s:.1f} s after dpkg began, for {still_s:.1f} s; {why}"


def rolled_back(board: Board, version: str) -> str:
    """Install a broken one; why, and how long until the old one was in command again."""
    began_s = time.monotonic()
    install(version)
    why = until_outcome(board, "rolled-back", version)
    until_in_command(board, "1.1")
    took_s = time.monotonic() - began_s
    assert current() == "1.1"
    control = board.control()
    assert not control["safe_mode"], "crashes of the new version were counted"
    assert f"the upgrade to {version} was rolled back to 1.1" in control["upgrade"]
    assert doctor("upgrade")["verdict"] == "warn"
    assert f"{version} does not hold" in board.journal(TRIAL_UNIT)
    assert (STATE / "kept").exists()
    return f"{why}; 1.1 in command again after {took_s:.0f} s"


def one_without_a_python_is_rolled_back(board: Board) -> str:
    return rolled_back(board, "2.0-no-python")


def one_that_hangs_is_rolled_back(board: Board) -> str:
    return rolled_back(board, "2.1-hangs")


def one_that_refuses_the_configuration_is_rolled_back(board: Board) -> str:
    why = rolled_back(board, "2.2-refuses")
    assert "exit code 78" in why, why
    return why


def one_that_crashes_after_it_was_ready_is_rolled_back(board: Board) -> str:
    why = rolled_back(board, "2.3-crashes-later")
    assert "was started again 3 times" in why, why
    return why


def a_full_disk_stops_the_upgrade_and_not_the_agent(board: Board) -> str:
    pid = board.pid()
    run("mount", "-t", "tmpfs", "-o", "size=20M", "small", "/opt/edge-agent/package")
    try:
        done = install("1.2", may_fail=True)
    finally:
        run("umount", "/opt/edge-agent/package")
    assert done.returncode != 0
    assert "No space left" in done.stderr, done.stderr
    assert board.pid() == pid, "the agent was touched"
    until_in_command(board, "1.1")
    assert not note("trial")
    install("1.1")  # as dpkg asks for
    until_in_command(board, "1.1")
    return "the same process went on; the old version installed again over the rest"


def what_a_person_stops_in_a_trial_is_not_started(board: Board) -> str:
    install("1.2")
    run("systemctl", "stop", CONTROL, GATEWAY)
    time.sleep(STEADY_S + 4.0)
    assert note("trial"), "the trial ended without anybody on trial"
    assert board.show(CONTROL, "ActiveState") == "inactive"
    run("systemctl", "start", CONTROL)
    until_in_command(board, "1.2")
    return until_outcome(board, "held", "1.2")


def a_downgrade_is_on_trial_too(board: Board) -> str:
    install("1.1")
    until_in_command(board, "1.1")
    return until_outcome(board, "held", "1.1")


def two_in_a_row_go_back_to_the_one_that_held(board: Board) -> str:
    install("1.2")
    install("2.2-refuses")
    until_outcome(board, "rolled-back", "2.2-refuses")
    until_in_command(board, "1.1")
    return "1.1, not the one that was itself on trial"


def a_person_goes_back_by_hand(board: Board) -> str:
    install("1.2")
    until_in_command(board, "1.2")
    until_outcome(board, "held", "1.2")
    run("/usr/lib/edge-autonomy/versions", "back")
    until_in_command(board, "1.1")
    return note("outcome")["WHY"]


def the_power_goes_in_mid_trial(board: Board) -> str:
    install("1.2")
    until_in_command(board, "1.2")
    assert note("trial")["NEW"] == "1.2"
    until(lambda: note("trial")["WATCHED"], "the judge has begun")
    return f"pins {board.outputs()[-1][1]}"


def the_trial_goes_on_after_the_cut(board: Board) -> str:
    assert note("trial")["NEW"] == "1.2", note("trial")
    until_in_command(board, "1.2")
    return until_outcome(board, "held", "1.2")


def a_removal_stops_and_makes_safe(board: Board) -> str:
    done = run("dpkg", "--remove", "edge-autonomy")
    assert board.is_safe()
    assert "safe, by the microcontroller's word" in done, done
    assert board.show(CONTROL, "LoadState") == "not-found"
    assert (STATE / "kept").exists()
    left = [path for path in ("/opt/edge-agent/versions", str(NOTES)) if Path(path).exists()]
    assert not left, left
    run("dpkg", "--purge", "edge-autonomy")
    assert not STATE.exists()
    return "the microcontroller confirmed; state kept, and gone after a purge"


FIRST: tuple[Check, ...] = (
    nothing_was_started_by_the_installation,
    both_units_are_enabled_and_reach_command,
    an_upgrade_makes_safe_and_goes_on_as_the_new_version,
    one_without_a_python_is_rolled_back,
    one_that_hangs_is_rolled_back,
    one_that_refuses_the_configuration_is_rolled_back,
    one_that_crashes_after_it_was_ready_is_rolled_back,
    a_full_disk_stops_the_upgrade_and_not_the_agent,
    what_a_person_stops_in_a_trial_is_not_started,
    a_downgrade_is_on_trial_too,
    two_in_a_row_go_back_to_the_one_that_held,
    a_person_goes_back_by_hand,
    the_power_goes_in_mid_trial,
)
SECOND: tuple[Check, ...] = (the_trial_goes_on_after_the_cut, a_removal_stops_and_makes_safe)


if __name__ == "__main__":
    sys.exit(main())
