"""The whole agent hangs: stopped as by a debugger, or spinning in a model that never answers.

Nobody is told, and no process ends. What makes the outputs safe is the lease of the
microcontroller, which only fresh decisions renew.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode
from tests.system.hanging_model import HANGS_ABOVE, write_hanging_model
from tests.system.whole_agent import SAFE, Site

SAFE_WITHIN_NS = NS_PER_S // 2 + NS_PER_S // 5  # the lease, and what a busy machine adds
STOPPED_S = 2.0
FIRST_MOVE = 10  # counts: two ticks at the speed of the actuators


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_stopped_agent_is_safe_within_the_lease_and_starts_anew_when_it_wakes(
    site: Site,
) -> None:
    site.start("broker", "mcu", "agent")
    site.until_mode("ACTIVE")
    site.until_moving()
    pids = (site.agent.pid, site.gateway_pid())
    stopped_ns = time.monotonic_ns()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    site.until(lambda: site.outputs()[-1][1] == SAFE, "pins safe")
    assert site.outputs()[-1][0] - stopped_ns <= SAFE_WITHIN_NS
    time.sleep(STOPPED_S)  # sensors and telemetry pile up before a process that does not read
    changes = len(site.outputs())
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    site.until(lambda: len(site.outputs()) > changes, "it drives again")
    assert max(site.outputs()[changes][1]) <= FIRST_MOVE  # from safe, not from where it was
    woken = [tick for tick in site.recorded() if tick.now_ns > stopped_ns + NS_PER_S]
    assert woken[0].mode != Mode.ACTIVE
    assert site.end_mcu()["safe_reason"] == "DEAD_MAN"


def test_a_model_that_never_answers_is_safe_within_the_lease(site: Site) -> None:
    write_hanging_model(site.folder / "hanging")
    with site.config.open("a", encoding="utf-8") as config:
        config.write('[model]\npath = "hanging"\n')
    site.start("broker", "mcu", "agent")
    site.until_mode("ACTIVE")
    site.until_moving()
    site.fed["supply_setpoint"] = str(HANGS_ABOVE + 1)
    site.until(lambda: site.outputs()[-1][1] == SAFE, "pins safe")
    assert site.alive()
    before_s = _cpu_s(site.agent.pid)
    site.until(lambda: _cpu_s(site.agent.pid) > before_s + 0.5, "it spins")
    last = site.recorded()[-1]
    assert (last.mode, last.features[0] <= HANGS_ABOVE) == (Mode.ACTIVE, True)
    assert site.outputs()[-1][0] - last.now_ns <= SAFE_WITHIN_NS
    assert site.outputs()[-1][1] == SAFE
    assert site.end_mcu()["safe_reason"] == "DEAD_MAN"
