"""What a process in each unit's sandbox can do, asked from inside it."""

import os
from pathlib import Path

from tests.service.board import CONTROL, GATEWAY, Board, run
from tests.service.sandbox import probe

NEITHER_CAN = (
    *("packet", "netlink", "kernel memory", "write /etc", "write /usr", "write configuration"),
    *("write own program", "read /etc/shadow", "write and execute", "new namespace"),
    *("become root", "see process 1"),
)


def _refused(answers: dict[str, object], *more: str) -> None:
    can = [what for what in (*NEITHER_CAN, *more) if answers[what] == "can"]
    assert not can, f"it can: {', '.join(can)}"
    assert answers["uid"] != 0
    assert int(str(answers["capabilities"]), 16) == 0, answers["capabilities"]
    assert answers["read configuration"] == "can"
    assert answers["unix"] == "can"


def control_has_no_network_and_its_port(board: Board) -> str:
    run("systemctl", "stop", CONTROL)
    answers = probe(board, CONTROL, *board.more_of_control)
    _refused(answers, "inet", "inet6", "broker", "write recordings", "console serial")
    assert answers["interfaces"] == ["lo"], answers["interfaces"]
    assert answers["serial port"] == "can", answers["serial port"]
    assert answers["write the trip"] == "can", answers["write the trip"]
    board.begin_anew()
    return f"a socket to the network: {answers['inet']}; its serial port opens"


def gateway_has_a_network_and_no_port(board: Board) -> str:
    answers = probe(board, GATEWAY)
    _refused(answers, "serial port", "write the trip", "console serial")
    assert answers["broker"] == "can", answers["broker"]
    assert answers["write recordings"] == "can", answers["write recordings"]
    return f"the serial port: {answers['serial port']}; the broker answers"


def the_kinds_of_device_are_enforced(board: Board) -> str:
    """With a kind that this kernel has. ENXIO: allowed, and there is no such hardware."""
    port = Path("/dev/ttyS7")
    if not port.exists():
        os.mknod(port, 0o20660, os.makedev(4, 71))
    run("chown", "root:dialout", str(port))
    port.chmod(0o660)
    run("systemctl", "stop", CONTROL)
    shut, opened = probe(board, CONTROL), probe(board, CONTROL, "DeviceAllow=char-ttyS rw")
    assert shut["console serial"] == "EPERM", shut["console serial"]
    assert opened["console serial"] in {"can", "ENXIO", "EIO"}, opened["console serial"]
    board.begin_anew()
    return f"a kind not named: EPERM; named: {opened['console serial']}"


def addresses_are_enforced(board: Board) -> str:
    """The line behind the lines: were the family allowed, the addresses would not be."""
    run("systemctl", "stop", CONTROL)
    family = "RestrictAddressFamilies=AF_UNIX AF_INET"
    answers = probe(board, CONTROL, family)
    assert answers["inet"] == "can", answers["inet"]
    assert answers["broker"] != "can", "it reaches the broker"
    board.begin_anew()
    return f"with sockets allowed, the broker is still out of reach: {answers['broker']}"
