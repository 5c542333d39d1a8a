"""The service manager hears of complete ticks, of nothing else, and can hold nobody up."""

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns

import msgspec
import pytest

from edge_agent.core.clock import NS_PER_MS, NS_PER_S
from edge_agent.core.records import Mode, Reason, Rule, TickRecord
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service.notify import Notifier, TickNotifier, open_notifier, tick_words
from tests.unit.sim.sample_ticks import tick

WATCHDOG_NS = 2 * NS_PER_S


class Manager:
    """The other end: a real datagram socket, as systemd has."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self._sock.setblocking(False)

    def heard(self) -> list[str]:
        """Every message since the last call."""
        messages = []
        while True:
            try:
                messages.append(self._sock.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(str(tmp_path / "notify"))
    yield listening
    listening.close()


def at(now_ns: int, mode: Mode = Mode.ACTIVE, cause: Reason | None = None) -> TickRecord:
    return msgspec.structs.replace(tick(0, mode=mode, cause=cause), now_ns=now_ns)


def test_nothing_is_said_before_the_first_pass(manager: Manager) -> None:
    Notifier(manager.address, WATCHDOG_NS)
    assert manager.heard() == []


def test_the_first_pass_is_readiness_a_sign_of_life_and_the_state(manager: Manager) -> None:
    Notifier(manager.address, WATCHDOG_NS).progress(5, "SAFE")
    # The watchdog's own time is said too: a pause before it may have stretched it.
    assert manager.heard() == ["READY=1\nWATCHDOG_USEC=2000000\nWATCHDOG=1\nSTATUS=SAFE"]


def test_signs_of_life_are_a_quarter_of_the_watchdogs_period_apart(manager: Manager) -> None:
    notifier = Notifier(manager.address, WATCHDOG_NS)
    for now_ns in range(0, WATCHDOG_NS, 10 * NS_PER_MS):
        notifier.progress(now_ns, "ACTIVE")
    heard = manager.heard()
    assert heard[1:] == ["WATCHDOG=1"] * 3


def test_a_pass_that_does_not_come_is_no_sign_of_life(manager: Manager) -> None:
    notifier = Notifier(manager.address, WATCHDOG_NS)
    notifier.progress(0, "ACTIVE")
    manager.heard()
    assert manager.heard() == []
    notifier.progress(10 * WATCHDOG_NS, "ACTIVE")
    assert manager.heard() == ["WATCHDOG=1"]


def test_without_a_watchdog_there_is_readiness_and_state_only(manager: Manager) -> None:
    notifier = Notifier(manager.address, 0)
    notifier.progress(0, "SAFE")
    notifier.progress(NS_PER_S, "SAFE")
    notifier.progress(2 * NS_PER_S, "ARMING")
    assert manager.heard() == ["READY=1\nSTATUS=SAFE", "STATUS=ARMING"]


def test_words_cannot_say_anything_but_the_state(manager: Manager) -> None:
    notifier = Notifier(manager.address, 0)
    notifier.progress(0, "SAFE\nWATCHDOG=1\x00\r\n" + 2000 * "x")
    (message,) = manager.heard()
    assert message.count("\n") == 1
    assert len(message) < 600


def test_leaving_is_said_even_twice(manager: Manager) -> None:
    notifier = Notifier(manager.address, WATCHDOG_NS)
    notifier.leave()
    notifier.leave()
    assert manager.heard() == ["STOPPING=1"] * 2


def test_an_abstract_name_is_reached() -> None:
    abstract = Manager(f"@edge-agent-test-{secrets.token_hex(8)}")
    Notifier(abstract.address, 0).progress(0, "SAFE")
    assert abstract.heard() == ["READY=1\nSTATUS=SAFE"]
    abstract.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative", "@"])
def test_an_address_that_is_none_is_silence(address: str) -> None:
    notifier = Notifier(address, WATCHDOG_NS)
    notifier.progress(0, "SAFE")
    notifier.leave()


@pytest.mark.parametrize("address", ["/nobody/listens/here", "/" + 300 * "x", "/null\0byte"])
def test_a_manager_that_is_away_is_counted_and_no_error(address: str) -> None:
    notifier = Notifier(address, WATCHDOG_NS)
    notifier.progress(0, "SAFE")
    notifier.progress(1, "SAFE")
    notifier.leave()
    assert notifier.status()["send_failures"] == 3


def test_a_manager_that_does_not_read_holds_nobody_up_and_hears_it_later(manager: Manager) -> None:
    notifier = Notifier(manager.address, WATCHDOG_NS)
    now_ns = 0
    while not notifier.status()["send_failures"]:
        now_ns += WATCHDOG_NS
        notifier.progress(now_ns, "ACTIVE")
    notifier.progress(now_ns + 1, "HOLDING")
    assert notifier.status()["send_failures"] == 2
    manager.heard()
    notifier.progress(now_ns + 2, "HOLDING")
    assert manager.heard() == ["WATCHDOG=1\nSTATUS=HOLDING"]


def test_a_manager_that_comes_back_hears_that_the_process_is_ready(tmp_path: Path) -> None:
    address = str(tmp_path / "late")
    notifier = Notifier(address, 0)
    notifier.progress(0, "SAFE")
    late = Manager(address)
    notifier.progress(1, "SAFE")
    assert late.heard() == ["READY=1\nSTATUS=SAFE"]
    late.close()


def test_the_environment_is_used_and_left_clean_for_children(manager: Manager) -> None:
    environment = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "2000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/usr/bin",
    }
    notifier = open_notifier(environment)
    assert environment == {"PATH": "/usr/bin"}
    assert notifier.status() == {"manager": "listening", "watchdog_ms": 2000, "send_failures": 0}


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "1e6"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "nonsense"},
    ],
)
def test_a_watchdog_that_is_not_this_processes_is_not_fed(watchdog: dict[str, str]) -> None:
    notifier = open_notifier({"NOTIFY_SOCKET": "/nobody", **watchdog})
    assert notifier.status()["watchdog_ms"] == 0


def test_without_a_manager_nothing_happens() -> None:
    notifier = open_notifier({})
    notifier.progress(0, "SAFE")
    assert notifier.status() == {"manager": "none", "watchdog_ms": 0, "send_failures": 0}


def test_a_tick_says_mode_and_cause_at_most_once_a_second(manager: Manager) -> None:
    sink = TickNotifier(Notifier(manager.address, 0), ENVELOPE)
    sink.publish(at(0, Mode.SAFE))
    sink.publish(at(NS_PER_S // 2, Mode.ARMING, Reason(Rule.NOT_ARMED)))
    sink.publish(at(NS_PER_S, Mode.RAMPING, Reason(Rule.DISARM_REQUESTED)))
    assert manager.heard() == [
        "READY=1\nSTATUS=SAFE",
        "STATUS=RAMPING: a person disarmed it",
    ]


def test_every_tick_may_be_the_sign_of_life(manager: Manager) -> None:
    sink = TickNotifier(Notifier(manager.address, WATCHDOG_NS), ENVELOPE)
    for number in range(4):
        sink.publish(at(number * WATCHDOG_NS))
    assert [message.count("WATCHDOG=1") for message in manager.heard()] == [1, 1, 1, 1]


def test_a_monitor_is_called_one() -> None:
    watched = msgspec.structs.replace(at(0, Mode.SAFE), monitor=True)
    assert tick_words(watched, ENVELOPE) == "SAFE (monitor)"


def test_a_pause_is_told_with_its_time_and_a_longer_watchdog(manager: Manager) -> None:
    Notifier(manager.address, WATCHDOG_NS).pause()
    (message,) = manager.heard()
    reloading, since, watchdog, alive = message.split("\n")
    assert (reloading, watchdog, alive) == ("RELOADING=1", "WATCHDOG_USEC=90000000", "WATCHDOG=1")
    name, _, microseconds = since.partition("=")
    assert name == "MONOTONIC_USEC"
    assert 0 <= monotonic_ns() // 1_000 - int(microseconds) < 60_000_000


def test_without_a_watchdog_none_is_asked_for(manager: Manager) -> None:
    Notifier(manager.address, 0).pause()
    assert "WATCHDOG" not in manager.heard()[0]


def test_the_next_run_of_the_process_finds_the_line_as_it_was(manager: Manager) -> None:
    given = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000000"}
    environment = dict(given)
    notifier = open_notifier(environment)
    assert environment == {}
    assert notifier.environment() == given
    assert Notifier("", 0).environment() == {}
    assert Notifier("@abstract", 0).environment() == {"NOTIFY_SOCKET": "@abstract"}
