"""Results and events while broker and device are killed: none lost, none twice, none reordered.

    python -m tests.system.plane_faults [--results 1000] [--kills 200] [--outage-s 10]

Owns: the commands, the faults and the account. `make plane-faults` runs all of it, the tests a
few. Every process is real, the broker with the shipped configuration; SIGKILL is the only end
they get.
"""

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from edge_agent.client import (
    BrokerOptions,
    DeviceClient,
    Event,
    FleetClient,
    NoAnswerError,
    Outcome,
)
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.plane_site import PlaneSite
from tests.system.tls_site import TlsSite

FAULTS = ("broker", "device", "both", "gateway")
PER_ROUND = 25
ANSWER_S = 60.0


@dataclass
class Account:
    """What was sent and what was heard of it."""

    outcomes: list[Outcome] = field(default_factory=list)
    finals: dict[str, int] = field(default_factory=dict)  # command -> different last answers
    events: dict[tuple[str, int], Event] = field(default_factory=dict)  # as first heard
    copies: int = 0
    acted: Counter[str] = field(default_factory=Counter)  # command's name -> ticks it was told in

    def hear(self, fleet: FleetClient, within_s: float) -> None:
        for _device, event in fleet.listen(within_s):
            if event is not None:
                self.copies += (event.boot, event.seq) in self.events
                self.events.setdefault((event.boot, event.seq), event)

    def verdict(self) -> dict[str, int]:
        """Everything but the first three must be 0."""
        by_boot: dict[str, list[int]] = {}
        for boot, seq in self.events:
            by_boot.setdefault(boot, []).append(seq)
        finals = [o for o in self.outcomes if o.final]
        ordered = [pair for pair in pairwise(finals) if pair[0].boot == pair[1].boot]
        return {
            "results": len(self.outcomes),
            "events": len(self.events),
            "interrupted": sum(o.reason == "interrupted" for o in self.outcomes),
            "results_lost": sum(count == 0 for count in self.finals.values()),
            "results_twice": sum(count > 1 for count in self.finals.values()),
            "results_reordered": sum(a.seq > b.seq for a, b in ordered),
            "events_lost": sum(max(s) - len(s) for s in by_boot.values()),
            "events_reordered": sum(a > b for s in by_boot.values() for a, b in pairwise(s)),
            "acted_twice": sum(count > 1 for count in self.acted.values()),
        }


class Trial:
    """One site under faults."""

    def __init__(self, site: PlaneSite, seed: int, outage_s: float) -> None:
        self.site = site
        self.account = Account()
        self._rng = random.Random(seed)
        self._outage_s = outage_s
        self._tripped = False
        self._count = 0
        where = site.broker
        options = BrokerOptions(host=where.host, port=where.port, name="witness", tls=site.tls)
        self._fleet = FleetClient(options, ("evt",))
        self.ops: DeviceClient = site.client()

    def send(self) -> str:
        """One command that changes something, under a name of its own; its id."""
        self.site.until(self._online, "the device takes commands", ANSWER_S)
        self._count += 1
        body = self.ops.compose("reset" if self._tripped else "stop", ttl_s=10.0)
        body["by"] = f"c{self._count}"
        self.ops.publish(msgspec.msgpack.encode(body))
        command_id: str = body["id"]
        return command_id

    def settle(self, command_id: str) -> Outcome | None:
        """Its last answer, and what the device is like after it."""
        try:
            outcome = self.ops.wait(command_id, ANSWER_S)
        except NoAnswerError:
            self.account.finals[command_id] = 0
            return None
        self.account.outcomes.append(outcome)
        self.account.finals[command_id] = 1
        if outcome.st == "done":
            self._tripped = not self._tripped
        elif outcome.reason in ("wrong_state", "interrupted", "not_taken", "stale_session"):
            self._look()
        return outcome

    def fault(self, kind: str) -> None:
        """Kill it, and start it again after a while."""
        gateway = self.site.gateway_pid()
        if kind in ("broker", "both"):
            self.site.broker.stop()
        if kind in ("device", "both"):
            self.site.end_agent(signal.SIGKILL)
        if kind == "gateway" and gateway:
            os.kill(gateway, signal.SIGKILL)
        if kind in ("broker", "both"):
            self.account.hear(self._fleet, self._outage_s)
            self.site.broker.start()
        if kind in ("device", "both"):
            self.site.start_agent()

    def round(self, kind: str, commands: int) -> None:
        """So many commands, and the fault while one of them is under way."""
        unlucky = self._rng.randrange(commands)
        for number in range(commands):
            command_id = self.send()
            if number == unlucky:
                time.sleep(self._rng.uniform(0.0, 0.03))
                self.fault(kind)
            self.settle(command_id)
            self.account.hear(self._fleet, 0.0)

    def close(self) -> Account:
        """The whole account, after everything that is still on its way has come."""
        for _ in range(20):
            self.account.hear(self._fleet, 0.5)
        self.ops.hear(0.5)
        for command_id, known in self.account.finals.items():
            found = {(o.boot, o.seq) for o in self.ops.answers(command_id) if o.final}
            self.account.finals[command_id] = max(known, len(found))
        self.site.end_agent()
        for path in segments(self.site.state / "recordings"):
            for tick in SegmentReader(path):
                sources = {intent.source for intent in tick.intents}
                self.account.acted.update(s for s in sources if s.startswith("plane:ops:c"))
        self._fleet.__exit__(None, None, None)
        return self.account

    def _online(self) -> bool:
        try:
            return bool(self.ops.wait_online(1.0))
        except NoAnswerError:
            return False

    def _look(self) -> None:
        """Which of the two is possible now."""

        def answered() -> bool:
            try:
                outcome = self.ops.command("ping")
            except NoAnswerError:
                return False
            if outcome.st == "done":
                self._tripped = outcome.data["mode"] == "TRIPPED"
            return outcome.st == "done"

        self.site.until(answered, "an answer to ping", ANSWER_S)


def quick(site: PlaneSite) -> PlaneSite:
    """A loop that settles a command within 20 ms."""
    text = site.config.read_text(encoding="utf-8")
    site.config.write_text(f"[loop]\nrate_hz = 50.0\n{text}", encoding="utf-8")
    return site.start()


def held_back(
    site: PlaneSite, ops: DeviceClient, hold: Callable[[], object], free: Callable[[], object]
) -> list[Outcome]:
    """What becomes of 100 stops that wait 3 s, longer than they live, on a link that stands."""
    session = ops.status["sess"]
    site.until(lambda: list(ops.listen(0.1)) and ops.status["sess"] != session, "a new session")
    site.until(lambda: ops.command("arm").st == "done", "armed", 30)
    hold()
    ids = [ops.send("stop", ttl_s=2.0) for _ in range(100)]
    time.sleep(3.0)
    free()
    outcomes = [ops.wait(i, 30) for i in ids]
    # A busy machine misses deadlines, and is then out of ACTIVE without anybody's stop.
    assert site.status()["control"]["mode"] != "TRIPPED"
    return outcomes


def faulty(found: Mapping[str, int]) -> bool:
    """Whether a verdict has what must not be."""
    return any(n for name, n in found.items() if name not in ("results", "events", "interrupted"))


def run(results: int, kills: int, outage_s: float, seed: int) -> dict[str, int]:
    """Commands under every kind of fault, then random kills; the account of all."""
    with TlsSite() as site:
        trial = Trial(quick(site), seed, outage_s)
        rng = random.Random(seed + 1)
        for number in range(-(-results // PER_ROUND)):
            trial.round(FAULTS[number % len(FAULTS)], PER_ROUND)
        for _ in range(kills):
            trial.round(rng.choice(("device", "gateway")), 2)
        return trial.close().verdict()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--outage-s", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = run(arguments.results, arguments.kills, arguments.outage_s, arguments.seed)
    for name, number in found.items():
        print(f"{name:<20}{number:>6}")
    return 1 if faulty(found) else 0


if __name__ == "__main__":
    sys.exit(main())
