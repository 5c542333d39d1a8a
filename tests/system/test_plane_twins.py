"""Two devices with one identity, as after the copy of a memory card: they do not fight."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import PortError
from edge_agent.gateway.control_socket import query_status
from tests.system.plane_site import PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
_ROOT = Path(__file__).parents[2]


@contextmanager
def clone(site: PlaneSite) -> Iterator[Path]:
    """A second agent with the same configuration and keyring, and a state folder of its own."""
    state = site.folder / "clone"
    command = [sys.executable, "-m", "edge_agent", "run", "--config", str(site.config)]
    with (site.folder / "clone.err").open("wb") as err:
        agent = subprocess.Popen(
            [*command, "--state-dir", str(state)],
            cwd=site.folder,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stderr=err,
        )
        try:
            yield state
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)


def _report(state: Path) -> dict[str, Any]:
    try:
        status = query_status(state / "run" / "control.sock", 2.0)
    except PortError:
        return {}
    report: dict[str, Any] = status.get("gateway", {}).get("report", {})
    return report


def test_a_clone_is_noticed_told_and_not_fought() -> None:
    with PlaneSite().start() as site, clone(site) as cloned:
        states = {site.state: site.err, cloned: site.folder / "clone.err"}

        def left() -> list[Path]:
            return [state for state in states if _report(state).get("plane.state") == "taken_over"]

        site.until(left, "one of them leaves the plane", 90)
        time.sleep(6.0)  # longer than any of the pauses so far: would they go on?
        gone = left()
        before = {state: _report(state).get("plane.connects") for state in states}
        time.sleep(6.0)
        assert {state: _report(state).get("plane.connects") for state in states} == before
        for state in gone:
            said = states[state].read_text(encoding="utf-8")
            assert "ALARM: left the plane: another device has this identity" in said
            assert _report(state)["plane.reason"] == "another device has this identity"
            kept = b"".join(path.read_bytes() for path in state.rglob("plane.sqlite*"))
            assert b"another device has this identity" in kept  # the alarm waits for the way out
        if len(gone) == 1:  # the other stays, and is commanded
            assert site.client().command("ping", within_s=20).st == "done"


def test_a_gateway_that_is_killed_again_and_again_is_no_twin_of_itself() -> None:
    with PlaneSite().start() as site:
        ops = site.client()
        for _ in range(4):
            ops.wait_online(20)
            before = site.gateway_pid()
            os.kill(before, signal.SIGKILL)
            site.until(lambda b=before: site.gateway_pid() not in (0, b), "another gateway")  # type: ignore[misc]
            site.until(lambda: _report(site.state).get("plane.state") == "connected", "connected")
        assert ops.command("ping", within_s=20).st == "done"


def test_a_device_that_is_thrown_off_by_a_bad_network_is_no_twin_of_itself() -> None:
    with PlaneSite().start() as site:
        site.client().wait_online(20)
        for _ in range(4):
            site.broker.stop()
            site.broker.start()
            site.until(lambda: _report(site.state).get("plane.state") == "connected", "connected")
        assert site.client().command("ping", within_s=20).st == "done"
