"""A process that begins anew is the same one, with the same words and the same manager."""

import json
import os
import subprocess
import sys

_PROGRAM = """
import json, os, signal, sys
from edge_agent.service.again import AGAIN, start_again, stays_safe
from edge_agent.service.notify import open_notifier

ignored = signal.getsignal(AGAIN) == signal.SIG_IGN
words = [*sys.argv[1:], stays_safe(os.environ)]
told = os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", "")
print(json.dumps([os.getpid(), words, told, ignored]), flush=True)
runs = int(os.environ["RUNS"])
os.environ["RUNS"] = str(runs - 1)
if runs > 1:
    start_again(open_notifier(os.environ), safe=runs == 3)
"""


def test_the_process_keeps_its_number_its_words_and_its_manager() -> None:
    environment = {**os.environ, "RUNS": "3", "NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "9000"}
    command = [sys.executable, "-c", _PROGRAM, "run", "--arm"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({pid for pid, *_ in runs}) == 1
    assert [words for _, words, *_ in runs] == [
        ["run", "--arm", False],
        ["run", "--arm", True],  # for one run only
        ["run", "--arm", False],
    ]
    assert {tuple(told) for _, _, told, _ in runs} == {("@nobody", "9000")}
    # A second signal that comes before the next run listens must not end it.
    assert [ignored for *_, ignored in runs] == [False, True, True]
