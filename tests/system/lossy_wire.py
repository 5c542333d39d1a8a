"""A wire between two network namespaces that delays, loses and swallows frames, like a bad radio.

Owns: one TAP device here, one in a namespace of its own, and a process that carries each frame
from one to the other as the present `Weather` says. Must not: know a protocol. The kernel here
has no netem. Needs root; meant to be run in namespaces of its own (`unshare --net --mount`), so
that nothing of it is left when it ends.
"""

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

HERE: Final = "10.77.0.1"
THERE: Final = "10.77.0.2"
NAMESPACE: Final = "board"
_DEVICES: Final = ("wire0", "wire1")  # here, there
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP_WITHOUT_HEADER: Final = 0x0002 | 0x1000
_FRAME_BYTES_MAX: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What becomes of a frame. `lost` is a share of all, in each direction."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # to both sides of `delay_ms`
    lost: float = 0.0
    to_there: bool = True  # whether anything passes that way
    to_here: bool = True


FAIR: Final = Weather()


class Wire:
    """From `lossy_wire()`."""

    def __init__(self, carrier: subprocess.Popen[str]) -> None:
        self._carrier = carrier

    def become(self, weather: Weather) -> int:
        """From the next frame on; how many frames were lost or swallowed before."""
        assert self._carrier.stdin is not None
        assert self._carrier.stdout is not None
        self._carrier.stdin.write(json.dumps(asdict(weather)) + "\n")
        self._carrier.stdin.flush()
        return int(self._carrier.stdout.readline())

    @staticmethod
    def plugged(there: bool) -> None:
        """Pull the plug of the far device, which its kernel sees, or put it back."""
        _run("ip", "-n", NAMESPACE, "link", "set", _DEVICES[1], "up" if there else "down")


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


@contextmanager
def lossy_wire(seed: int) -> Iterator[Wire]:
    """Both ends are up; programs of the far end run behind `ip netns exec board`."""
    Path("/run/netns").mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "none", "/run/netns")  # the name of the namespace ends with us
    _run("ip", "netns", "add", NAMESPACE)
    words = [sys.executable, "-m", "tests.system.lossy_wire", str(seed)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as carrier:
        try:
            assert carrier.stdout is not None
            assert carrier.stdout.readline() == "ready\n"
            _run("ip", "link", "set", "lo", "up")
            _run("ip", "address", "add", f"{HERE}/24", "dev", _DEVICES[0])
            _run("ip", "link", "set", _DEVICES[0], "up")
            _run("ip", "link", "set", _DEVICES[1], "netns", NAMESPACE)
            _run("ip", "-n", NAMESPACE, "link", "set", "lo", "up")
            _run("ip", "-n", NAMESPACE, "address", "add", f"{THERE}/24", "dev", _DEVICES[1])
            _run("ip", "-n", NAMESPACE, "link", "set", _DEVICES[1], "up")
            yield Wire(carrier)
        finally:
            carrier.kill()
            _run("ip", "netns", "delete", NAMESPACE)
            _run("umount", "/run/netns")


# The carrier's process from here on.


def _tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_WITHOUT_HEADER))
    return fd


def _write(fd: int, frame: bytes) -> None:
    with contextlib.suppress(OSError):  # its device is down: as with a pulled plug
        os.write(fd, frame)


def _carry(seed: int) -> None:
    """Until standard input ends."""
    rng = random.Random(seed)
    here, there = map(_tap, _DEVICES)
    print("ready", flush=True)
    weather = FAIR
    due: list[tuple[float, int, int, bytes]] = []  # when, order, to, frame
    count = lost = 0
    while True:
        wait_s = max(0.0, due[0][0] - time.monotonic()) if due else None
        readable, _, _ = select.select((sys.stdin, here, there), (), (), wait_s)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            weather = Weather(**json.loads(line))
            print(lost, flush=True)
            lost = 0
        for source, sink, passes in (
            (here, there, weather.to_there),
            (there, here, weather.to_here),
        ):
            if source in readable:
                frame = os.read(source, _FRAME_BYTES_MAX)
                delay_ms = weather.delay_ms + rng.uniform(-1, 1) * weather.jitter_ms
                count += 1
                if passes and rng.random() >= weather.lost:
                    heapq.heappush(due, (time.monotonic() + delay_ms / 1000, count, sink, frame))
                else:
                    lost += 1
        while due and due[0][0] <= time.monotonic():
            _, _, sink, frame = heapq.heappop(due)
            _write(sink, frame)


if __name__ == "__main__":
    _carry(int(sys.argv[1]))
