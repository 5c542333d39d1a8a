"""What the service manager is told: ready, alive, in which state, leaving (sd_notify).

Owns: the datagrams and when each is due. Must not: block, raise, or speak of anything but a
pass of the main loop that is complete: a thread that fed the watchdog would keep a hung loop
alive. Without a service manager every call does nothing.

The protocol is one datagram of `NAME=value` lines to the socket in NOTIFY_SOCKET. One that the
manager has no room for is sent again with the next pass.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from edge_agent.core.clock import NS_PER_S, NS_PER_US, SystemClock
from edge_agent.core.records import Mode, TickRecord
from edge_agent.decision.words import explain_reason
from edge_agent.safety.limits import Envelope

# Signs of life per WatchdogSec: one that is lost, or late by a whole period, is not yet a hang.
_SIGNS_PER_WATCHDOG: Final = 4
_WORDS_EVERY_NS: Final = NS_PER_S
_WORDS_MAX: Final = 500
_PAUSE_NS: Final = 90 * NS_PER_S  # as long as the units give a start


class Notifier:
    """One process's line to the service manager."""

    def __init__(self, address: str, watchdog_ns: int) -> None:
        """`address` as in NOTIFY_SOCKET; `watchdog_ns` 0: no signs of life are wanted."""
        self._named = address
        self._address = _kernel_address(address)
        self._watchdog_ns = watchdog_ns
        self._sign_due_ns = 0
        self._ready = False
        self._told = ""
        self._failures = 0

    def progress(self, now_ns: int, words: str) -> None:
        """A pass of the main loop is complete: READY with the first, then a sign of life whenever
        one is due, and `words` when they are new."""
        lines = [] if self._ready else self._first_lines()
        sign = self._watchdog_ns > 0 and now_ns >= self._sign_due_ns
        if sign:
            lines.append("WATCHDOG=1")
        if words != self._told:
            lines.append(f"STATUS={_one_line(words)}")
        if lines and self._send("\n".join(lines)):
            self._ready = True
            self._told = words
            if sign:
                self._sign_due_ns = now_ns + self._watchdog_ns // _SIGNS_PER_WATCHDOG

    def pause(self) -> None:
        """The process begins anew in its place: for so long no pass is complete."""
        lines = ["RELOADING=1", f"MONOTONIC_USEC={SystemClock().now_ns() // NS_PER_US}"]
        if self._watchdog_ns:
            lines += [f"WATCHDOG_USEC={_PAUSE_NS // NS_PER_US}", "WATCHDOG=1"]
        self._send("\n".join(lines))

    def environment(self) -> dict[str, str]:
        """What `open_notifier` has taken, for the next run of this process."""
        if not self._named:
            return {}
        watchdog = {"WATCHDOG_USEC": str(self._watchdog_ns // NS_PER_US)}
        return {"NOTIFY_SOCKET": self._named, **(watchdog if self._watchdog_ns else {})}

    def _first_lines(self) -> list[str]:
        """Ready; and the watchdog is as it was configured, if a pause has stretched it."""
        watchdog = [f"WATCHDOG_USEC={self._watchdog_ns // NS_PER_US}"] if self._watchdog_ns else []
        return ["READY=1", *watchdog]

    def leave(self) -> None:
        """The process ends in good order; safe to call from a signal handler, more than once."""
        self._send("STOPPING=1")

    def status(self) -> dict[str, int | str]:
        """Whether anybody listens, how often a sign of life is wanted, what could not be sent."""
        return {
            "manager": "listening" if self._address else "none",
            "watchdog_ms": self._watchdog_ns // 1_000_000,
            "send_failures": self._failures,
        }

    def _send(self, message: str) -> bool:
        """Whether the message is on its way; True as well when nobody wants it."""
        if not self._address:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(), self._address)
        except OSError:  # no room, or the manager is being replaced
            self._failures += 1
            return False
        return True


class TickNotifier:
    """A sink of the loop, its last: a tick is complete when all the others have had it."""

    def __init__(self, notifier: Notifier, envelope: Envelope) -> None:
        self._notifier = notifier
        self._envelope = envelope
        self._words = ""
        self._words_due_ns = 0

    def publish(self, tick: TickRecord) -> None:
        """The command of this tick has left, so the loop is alive; never waits."""
        if tick.now_ns >= self._words_due_ns:
            self._words_due_ns = tick.now_ns + _WORDS_EVERY_NS
            self._words = tick_words(tick, self._envelope)
        self._notifier.progress(tick.now_ns, self._words)


def open_notifier(environment: MutableMapping[str, str]) -> Notifier:
    """The manager's line as the environment names it, and takes it out of there: a child that
    inherits it would speak for this process."""
    address = environment.pop("NOTIFY_SOCKET", "")
    period_us = environment.pop("WATCHDOG_USEC", "")
    for_pid = environment.pop("WATCHDOG_PID", "")
    wanted = period_us.isdecimal() and for_pid in ("", str(os.getpid()))
    return Notifier(address, int(period_us) * NS_PER_US if wanted else 0)


def tick_words(tick: TickRecord, envelope: Envelope) -> str:
    """Mode and cause, as `systemctl status` shows them."""
    mode = Mode(tick.mode).name + (" (monitor)" if tick.monitor else "")
    return f"{mode}: {explain_reason(tick.cause, envelope)}" if tick.cause else mode


def _kernel_address(address: str) -> str:
    """A path, or an abstract name (written with @); empty for what this cannot send to."""
    if len(address) < 2 or address[0] not in "/@":
        return ""
    return "\0" + address[1:] if address[0] == "@" else address


def _one_line(words: str) -> str:
    return " ".join(words.split())[:_WORDS_MAX]
