"""A probe in the sandbox of a unit: the unit's own text, another program in it.

Owns: what is changed of the text, and nothing that confines. Must not: judge the answers.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.service.board import OUT, Board, run

# A probe says nothing to systemd, ends at once, and is not started again.
_NOT_OF_A_PROBE = ("ExecStopPost=", "Restart", "WatchdogSec=", "NotifyAccess=", "LoadCredential=")


def probe(board: Board, unit: str, *more: str) -> dict[str, Any]:
    """What the probe says from inside `unit`, or with `more` lines in its [Service]."""
    name = f"probe-{unit}"
    answer = OUT / f"{name}.json"
    answer.unlink(missing_ok=True)
    lines = Path(board.show(unit, "FragmentPath")).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(_NOT_OF_A_PROBE)]
    command = f"{sys.executable} /opt/checks/tests/service/probe.py {board.link}"
    changed = {"Type=": ["Type=oneshot"], "ExecStart=": [f"ExecStart={command}"]}
    text = []
    for line in kept:
        text += next((new for key, new in changed.items() if line.startswith(key)), [line])
        if line == "[Service]":
            text += [f"StandardOutput=file:{answer}", *more]
    Path("/run/systemd/system", name).write_text("\n".join(text) + "\n", encoding="utf-8")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", name)
    return dict(json.loads(answer.read_text(encoding="utf-8")))
