"""What the gateway's unit lets it show over HTTP: its numbers on loopback, on one port."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.service.board import GATEWAY, Board, run, until

_PORT, _OTHER = 9464, 9500
_LISTEN = "0A"


def _page(path: str) -> tuple[int, str]:
    """Status and body; 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (urllib.error.URLError, http.client.HTTPException) as error:
        return 0, str(error)


def _report(board: Board) -> dict[str, Any]:
    return dict(board.status().get("gateway", {}).get("report") or {})


def _listening_on() -> list[str]:
    """The addresses behind the port, as the kernel writes them: 127.0.0.1 is 0100007F."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    places = [row[1].split(":") for row in rows if row[3] == _LISTEN]
    return [address for address, port in places if int(port, 16) == _PORT]


def the_numbers_can_be_read_on_loopback(board: Board) -> str:
    assert _page("/healthz")[0] == 0, "somebody listens without being configured to"
    board.configure("metrics = {}\n")
    run("systemctl", "restart", GATEWAY)
    until(lambda: _page("/readyz")[0] == 200, "/readyz")
    assert _page("/healthz")[0] == 200
    text = _page("/metrics")[1]
    assert "edge_agent_control_connected 1" in text, text[:500]
    assert 'edge_agent_mode{mode="ACTIVE"} 1' in text
    assert _listening_on() == ["0100007F"], _listening_on()
    return f"{len(text.splitlines())} lines of /metrics, on 127.0.0.1 alone"


def another_port_stays_shut_where_systemd_can(board: Board) -> str:
    """For a port that the unit does not name the gateway works on and says so. Debian 12 builds
    its systemd without what it needs to refuse one."""
    can = "+BPF_FRAMEWORK" in run("systemctl", "--version")
    board.configure(f"metrics = {{ port = {_OTHER} }}\n")
    run("systemctl", "restart", GATEWAY)
    expected = "not permitted" if can else "listening"
    until(lambda: expected in str(_report(board).get("pages.state")), expected)
    state = _report(board)["pages.state"]
    board.configure()
    run("systemctl", "restart", GATEWAY)
    board.until_moving()
    return f"it goes on and says: {state}" if can else "this systemd cannot forbid it"
