"""The same program in the same process, begun anew: with its configuration as it is by then.

Owns: the way from one run to the next. Must not: decide when, or leave anything of the old run:
an agent is a pure machine whose configuration is in the head of its recording, in its status and
in what the microcontroller is told, so another configuration is another run.

The process keeps its number, its service manager and its credentials. Sockets, ports and files
are closed by the exec, and the microcontroller makes its outputs safe when the next run greets it.
"""

import os
import signal
import sys
from collections.abc import MutableMapping
from typing import Final, NoReturn

from edge_agent.service.notify import Notifier

# Not SIGHUP, which is a terminal that has gone: there it means stop.
AGAIN: Final = signal.SIGUSR1


# Told by one run to the next, and by nobody else: a person's `--arm` is not the last word there.
_STAYS_SAFE: Final = "EDGE_AGENT_STAYS_SAFE"


def start_again(notifier: Notifier, *, safe: bool = False) -> NoReturn:
    """Never returns. `safe`: the next run is not to arm itself, whatever its command line says."""
    signal.signal(AGAIN, signal.SIG_IGN)  # until the next run listens; an exec keeps this
    notifier.pause()
    environment = {**os.environ, **notifier.environment(), **({_STAYS_SAFE: "1"} if safe else {})}
    os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - own words again


def stays_safe(environment: MutableMapping[str, str]) -> bool:
    """Whether the run before this one was not driving; takes the word out, it is for one run."""
    return environment.pop(_STAYS_SAFE, "") != ""
