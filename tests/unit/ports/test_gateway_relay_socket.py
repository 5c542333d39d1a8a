"""The socket's file: private, replaced only when nobody listens, and never another's."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core.errors import PortError
from edge_agent.core.ipc import Welcome
from edge_agent.core.records import Command
from edge_agent.ports.gateway_relay import GatewayRelay

WELCOME = Welcome("b00t", "air-handler", {"envelope": "ab"})
NOW_NS = 10**12


def test_the_socket_is_private_and_goes_with_the_relay(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    relay = GatewayRelay(path, WELCOME, ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path], "no temporary name is left"
    relay.apply(NOW_NS, Command((0,), armed=False))
    relay.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("folder", "socket"),
    [
        (0o700, 0o600),
        (0o750, 0o660),
        (0o770, 0o660),
        (0o755, 0o600),
        (0o711, 0o600),
        (0o740, 0o600),
    ],
)
def test_a_group_may_connect_where_the_folder_is_the_groups_and_nobody_elses(
    tmp_path: Path, folder: int, socket: int
) -> None:
    tmp_path.chmod(folder)
    relay = GatewayRelay(tmp_path / "control.sock", WELCOME, ())
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == socket
    relay.close()


def test_closing_leaves_a_successors_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    relay = GatewayRelay(path, WELCOME, ())
    path.unlink()
    path.write_text("the successor's")
    relay.close()
    assert path.exists()


def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    program = (
        "import os, sys, signal; from pathlib import Path;"
        "from edge_agent.core.ipc import Welcome;"
        "from edge_agent.ports.gateway_relay import GatewayRelay;"
        "relay = GatewayRelay(Path(sys.argv[1]), Welcome('a', 'b', {}), ());"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program, str(path)], cwd=root, check=False, timeout=20)
    assert path.is_socket()
    GatewayRelay(path, WELCOME, ()).close()


def test_a_second_control_process_is_refused(tmp_path: Path) -> None:
    first = GatewayRelay(tmp_path / "control.sock", WELCOME, ())
    with pytest.raises(PortError, match="another control process"):
        GatewayRelay(tmp_path / "control.sock", WELCOME, ())
    assert first.poll(NOW_NS) == []
    first.close()


def test_a_file_that_is_not_a_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(PortError, match="not a socket"):
        GatewayRelay(path, WELCOME, ())
    assert path.read_text() == "precious"


def test_an_unusable_folder_or_an_endless_path_is_a_port_error(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="cannot listen"):
        GatewayRelay(tmp_path / "absent" / "control.sock", WELCOME, ())
    with pytest.raises(PortError, match="longer than"):
        GatewayRelay(tmp_path / ("x" * 120), WELCOME, ())
