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
from collections.abc import Sequence
from typing import Final, NoReturn

from edge_agent.service.notify import Notifier

# Not SIGHUP, which is a terminal that has gone: there it means stop.
AGAIN: Final = signal.SIGUSR1


def start_again(notifier: Notifier, options: Sequence[str] = ()) -> NoReturn:
    """Never returns. `options` are added to the command line, where the last word counts."""
    signal.signal(AGAIN, signal.SIG_IGN)  # until the next run listens; an exec keeps this
    notifier.pause()
    words = [word for word in sys.orig_argv if word not in options]
    environment = {**os.environ, **notifier.environment()}
    os.execve(sys.executable, [*words, *options], environment)  # noqa: S606 - own words again
