"""Commands over a bad network: the board in one network namespace, broker and planes in another.

    unshare --net --mount python -m tests.system.plane_netfaults [--commands 25] [--outage-s 14]

Owns: the weather, what each side sees of it and when, and the account. `make plane-netfaults`
runs it, as root. Nothing is on a network of this machine: see `lossy_wire`.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec

from edge_agent.client import DeviceClient, Outcome
from tests.system.lossy_wire import FAIR, HERE, NAMESPACE, Weather, Wire, lossy_wire
from tests.system.plane_faults import ANSWER_S, Trial, faulty, held_back, quick
from tests.system.tls_site import TlsSite

KEEPALIVE_S: Final = 3
# Of silence: the board twice its keepalive, the broker one and a half and the 5 s in which it
# looks; and 2 s of a busy machine.
BOARD_KNOWS_WITHIN_S: Final = 2 * KEEPALIVE_S + 2.0
PLANE_KNOWS_WITHIN_S: Final = 1.5 * KEEPALIVE_S + 5.0 + 2.0
# Each attempt that fails doubles the wait; a pulled plug makes it fail at once, five times or six.
HEALED_WITHIN_S: Final = 30.0
STABLE_S: Final = 11.0  # a connection that lasted so long begins anew with short waits
LATE: Final = 20
BAD: Final = {
    "delay 50 ms, give or take 10": Weather(delay_ms=50, jitter_ms=10),
    "8 % lost each way": Weather(lost=0.08),
    "both": Weather(delay_ms=50, jitter_ms=10, lost=0.05),
}
FROM_BOARD: Final = "nothing from the board"
NOTHING: Final = Weather(to_there=False, to_here=False)
OUTAGES: Final = {
    "nothing passes": NOTHING,
    "nothing to the board": Weather(to_there=False),
    FROM_BOARD: Weather(to_here=False),
    "plug pulled": None,
}


class BoardSite(TlsSite):
    """The agent at the far end of the wire, the shipped broker at this one; a keepalive that a
    short outage outlasts."""

    def __init__(self) -> None:
        super().__init__(host=HERE)
        self.write_config(keepalive_s=KEEPALIVE_S)

    def command_line(self) -> list[str]:
        return ["ip", "netns", "exec", NAMESPACE, *super().command_line()]

    def connected(self) -> bool:
        """As its gateway says, at whose socket the wire does not matter."""
        report = self.status().get("gateway", {}).get("report", {})
        return bool(report.get("plane.state") == "connected")


@dataclass
class Sight:
    """Seconds: until the board and the plane knew of an outage, and were back after it."""

    board_s: float = 0.0
    plane_s: float = 0.0
    healed_s: float = 0.0

    def in_time(self) -> bool:
        return (
            0 < self.board_s <= BOARD_KNOWS_WITHIN_S
            and 0 < self.plane_s <= PLANE_KNOWS_WITHIN_S
            and 0 < self.healed_s <= HEALED_WITHIN_S
        )


class NetTrial(Trial):
    """The account of `Trial`, with outages in the place of kills."""

    def __init__(self, site: BoardSite, wire: Wire, seed: int, outage_s: float) -> None:
        super().__init__(site, seed, outage_s)
        self.board = site
        self.wire = wire
        self.sights: dict[str, Sight] = {}
        self.late: dict[str, Counter[str]] = {}

    def fault(self, kind: str) -> None:
        """An outage, commands that are sent in it, and its end; or nothing."""
        if kind not in OUTAGES:
            return
        late = [self.ops.compose("ping", ttl_s=2.0) for _ in range(LATE)]
        began_s = time.monotonic()
        self._change(OUTAGES[kind])
        for body in late:
            self.ops.publish(msgspec.msgpack.encode(body))
        sight = self.sights[kind] = Sight()
        while (passed_s := time.monotonic() - began_s) < self._outage_s:
            self.account.hear(self._fleet, 0.05)
            self.ops.hear(0.05)
            if not sight.board_s and not self.board.connected():
                sight.board_s = passed_s
            if not sight.plane_s and not self.ops.status["on"]:
                sight.plane_s = passed_s
        self._change(FAIR)
        self.site.until(self._back, "the board is back", ANSWER_S)
        sight.healed_s = time.monotonic() - began_s - self._outage_s
        self.late[kind] = Counter(_why(self.ops.wait(body["id"], ANSWER_S)) for body in late)

    def rest(self) -> None:
        """Until the connection counts as a stable one."""
        self.account.hear(self._fleet, STABLE_S)

    def _back(self) -> bool:
        return self._online() and self.board.connected()

    def _change(self, weather: Weather | None) -> None:
        if weather is None:
            self.wire.plugged(there=False)
        else:
            self.wire.plugged(there=True)
            self.wire.become(weather)


def _why(outcome: Outcome) -> str:
    return outcome.reason or outcome.st


def _short_silence(site: BoardSite, ops: DeviceClient, wire: Wire) -> Counter[str]:
    """Too short for anybody to see: the commands come late, on the connection that they left on."""
    ops.command("reset")  # refused, if it is not tripped
    late = held_back(site, ops, lambda: wire.become(NOTHING), lambda: wire.become(FAIR))
    return Counter(map(_why, late))


def run(commands: int, outage_s: float, seed: int) -> bool:
    """All of it; prints what it found, and says whether all is as it must be."""
    with lossy_wire(seed) as wire, BoardSite() as site:
        quick(site)
        trial = NetTrial(site, wire, seed, outage_s)
        for name, weather in BAD.items():
            began_s = time.monotonic()
            wire.become(weather)
            trial.round(name, commands)
            lost = wire.become(FAIR)
            took_s = time.monotonic() - began_s
            print(f"{name:<32}{commands} commands in {took_s:.1f} s, {lost} frames lost")
            # The weather was what it is called, or the trial says nothing.
            assert bool(lost) == bool(weather.lost)
            assert took_s > commands * 2 * (weather.delay_ms - weather.jitter_ms) / 1000
        for name in OUTAGES:
            trial.rest()
            trial.round(name, commands)
            sight = trial.sights[name]
            print(
                f"{name:<32}known to the board after {sight.board_s:.1f} s, to the plane after "
                f"{sight.plane_s:.1f} s; healed {sight.healed_s:.1f} s after its end; sent in it: "
                f"{dict(trial.late[name])}"
            )
        held = _short_silence(site, trial.ops, wire)
        found = trial.close().verdict()
    print(f"held back for 3 s: {dict(held)}")
    for name, number in found.items():
        print(f"{name:<20}{number:>6}")
    refused = held == {"expired": 100} and all(map(_as_it_must, trial.late.items()))
    in_time = all(sight.in_time() for sight in trial.sights.values())
    print(f"late ones refused: {refused}; outages known in time: {in_time}")
    return refused and in_time and not faulty(found)


def _as_it_must(late: tuple[str, Counter[str]]) -> bool:
    """A board that hears and cannot answer has followed them; its answers come late, and come."""
    kind, reasons = late
    allowed = {"done"} if kind == FROM_BOARD else {"stale_session", "expired"}
    return reasons.total() == LATE and reasons.keys() <= allowed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=25)
    parser.add_argument("--outage-s", type=float, default=14.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return 0 if run(arguments.commands, arguments.outage_s, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
