"""What a process inside a unit's sandbox can do: tried, not read from a file. Prints JSON.

    python probe.py PORT

Each row is "can" or the name of the error. Owns nothing; knows no unit.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000


def tried(act: Callable[[], object]) -> str:
    """Whether it can, or the error's name."""
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "can"


def opened(path: str, flags: int = os.O_RDWR) -> str:
    return tried(lambda: os.close(os.open(path, flags | os.O_NOCTTY | os.O_NONBLOCK)))


def new_socket(family: int, kind: int = socket.SOCK_STREAM) -> str:
    return tried(lambda: socket.socket(family, kind).close())


def connected(port: int) -> str:
    return tried(lambda: socket.create_connection(("127.0.0.1", port), timeout=2).close())


def unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) < 0:
        raise OSError(ctypes.get_errno(), "unshare")


def main() -> None:
    port = sys.argv[1]
    answers = {
        "uid": os.getuid(),
        "groups": sorted(os.getgroups()),
        "capabilities": next(
            line.split()[1]
            for line in Path("/proc/self/status").read_text("ascii").splitlines()
            if line.startswith("CapEff")
        ),
        "interfaces": sorted(
            line.split(":")[0].strip()
            for line in Path("/proc/self/net/dev").read_text("ascii").splitlines()[2:]
        ),
        "inet": new_socket(socket.AF_INET),
        "inet6": new_socket(socket.AF_INET6),
        "packet": new_socket(socket.AF_PACKET, socket.SOCK_RAW),
        "netlink": new_socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "unix": new_socket(socket.AF_UNIX),
        "broker": connected(1883),
        "serial port": opened(port),
        "console serial": opened("/dev/ttyS7"),
        "kernel memory": opened("/dev/mem", os.O_RDONLY),
        "write /etc": opened("/etc/probe", os.O_WRONLY | os.O_CREAT),
        "write /usr": opened("/usr/probe", os.O_WRONLY | os.O_CREAT),
        "write configuration": opened("/etc/edge-agent/agent.toml", os.O_WRONLY),
        "write own program": opened("/opt/edge-agent/bin/edge-agent", os.O_WRONLY),
        "write the trip": opened("/var/lib/edge-agent/probe", os.O_WRONLY | os.O_CREAT),
        "write recordings": opened("/var/lib/edge-agent/recordings/probe", os.O_RDWR | os.O_CREAT),
        "read configuration": opened("/etc/edge-agent/agent.toml", os.O_RDONLY),
        "read /etc/shadow": opened("/etc/shadow", os.O_RDONLY),
        "write and execute": tried(
            lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close()
        ),
        "new namespace": tried(lambda: unshare(_CLONE_NEWUSER)),
        "become root": tried(lambda: os.setuid(0)),
        "see process 1": opened("/proc/1/status", os.O_RDONLY),
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
