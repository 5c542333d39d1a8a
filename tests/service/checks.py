"""The checks, in their order, each a line of `ok` or `FAIL`; run by edge-agent-checks.service.

Owns: what must hold. The first boot ends in mid-run, when the container is killed from outside;
the second finds what the first has left.
"""

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.service import faults, metrics, real_time, reloads, sandboxes
from tests.service.board import CONTROL, GATEWAY, OUT, Board, FailedError, run

Check = Callable[[Board], str]
FAILURES = (FailedError, AssertionError, OSError, ValueError, KeyError, TypeError)

FIRST: tuple[Check, ...] = (
    faults.both_units_reach_ready,
    faults.an_armed_agent_moves_the_outputs,
    faults.a_stop_is_confirmed,
    sandboxes.control_has_no_network_and_its_port,
    sandboxes.gateway_has_a_network_and_no_port,
    sandboxes.the_kinds_of_device_are_enforced,
    sandboxes.addresses_are_enforced,
    real_time.processors_and_locked_memory_are_not_forbidden,
    metrics.the_numbers_can_be_read_on_loopback,
    metrics.another_port_stays_shut_where_systemd_can,
    faults.a_keyring_comes_as_a_credential,
    reloads.a_bad_configuration_is_not_taken,
    reloads.a_good_one_is_taken_through_safe,
    faults.control_is_killed,
    faults.gateway_is_killed,
    faults.control_hangs,
    faults.gateway_hangs,
    faults.the_broker_is_away,
    faults.the_serial_port_is_pulled,
    faults.the_disk_is_full,
    faults.the_configuration_is_broken,
    faults.crashes_end_in_safe_mode,
    faults.or_in_a_refusal_where_that_is_wanted,
    faults.the_outputs_move_when_the_power_goes,
)
SECOND: tuple[Check, ...] = (faults.it_comes_back_after_a_power_cut,)


def main() -> int:
    return run_checks(FIRST, SECOND, (CONTROL, GATEWAY))


def run_checks(
    first: Sequence[Check],
    second: Sequence[Check],
    units: Sequence[str],
    kind: type[Board] = Board,
) -> int:
    """Those of this boot, each with its line; the first boot does not end by itself."""
    booted_before = (OUT / "in-mid-run").exists()
    board = kind()
    with (OUT / "checks.log").open("a", buffering=1, encoding="utf-8") as log:
        for check in second if booted_before else first:
            log.write(verdict(check, board))
    keep_the_journal("second" if booted_before else "first", units)
    if booted_before:
        (OUT / "done").touch()
        return 0
    (OUT / "in-mid-run").touch()
    time.sleep(600)  # for the end, which comes from outside
    return 1


def verdict(check: Check, board: Board) -> str:
    """One line, whatever the check does; what it broke is mended for the next."""
    name = check.__name__.replace("_", " ")
    began_s = time.monotonic()
    try:
        words = check(board)
    except FAILURES as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        with contextlib.suppress(*FAILURES):
            board.repair()
        return f"FAIL {name}: {where}: {type(error).__name__} {error}\n"
    return f"ok   {name}: {words} ({time.monotonic() - began_s:.1f} s)\n"


def keep_the_journal(part: str, units: Sequence[str]) -> None:
    for unit in units:
        text = run("journalctl", "--unit", unit, "--boot", "--output=short-monotonic")
        (OUT / f"{part}-{unit}.log").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
