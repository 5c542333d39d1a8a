"""The verbs that a service manager or the person who looks after a service types.

Owns: their help and what they print. Must not: do the work.
"""

import argparse
from functools import partial

from edge_agent.cli_config import add_config, chosen_settings
from edge_agent.cli_shared import Verbs
from edge_agent.core.errors import EXIT_OK, ConfigError

_WAIT_MAX_S = 60.0


def add_safe(verbs: Verbs) -> None:
    """`edge-agent safe`."""
    parser = verbs.add_parser(
        "safe",
        help="make the outputs safe after an agent has ended, and say that they are",
        description="Opens the configured serial port, sends the microcontroller to SAFE and"
        " waits for its word. For ExecStopPost of a service, and for a person: an agent that is"
        " running keeps its port, and nothing happens. Exit 0: the outputs are safe. 1: nobody"
        " said so; the device's own dead man is then what makes them safe.",
    )
    add_config(parser)
    parser.add_argument(
        "--wait",
        type=float,
        default=5.0,
        metavar="S",
        help=f"how long to try, to {_WAIT_MAX_S:g} s (default: %(default)s)",
    )
    parser.set_defaults(verb=_safe)


def add_reload(verbs: Verbs) -> None:
    """`edge-agent reload`."""
    parser = verbs.add_parser(
        "reload",
        help="a running agent takes its configuration anew, if it is good",
        description="Tries all that a start would load. If anything is wrong, says what, where and"
        " the fix, and the running agent goes on as it is (exit 78). Otherwise the agent brings its"
        " outputs to safe, confirmed, and begins anew in the same process; its gateway follows."
        " Waits until that is done. It arms itself only with `run --arm`, and only if it was"
        " driving before. `systemctl reload edge-agent` does this.",
    )
    add_config(parser)
    parser.set_defaults(verb=_reload)


def _reload(arguments: argparse.Namespace) -> int:
    from edge_agent.app_reload import reload
    from edge_agent.core.clock import SystemClock

    print(reload(partial(chosen_settings, arguments), SystemClock()))
    return EXIT_OK


def _safe(arguments: argparse.Namespace) -> int:
    from edge_agent.app_safe import make_safe
    from edge_agent.core.clock import SystemClock

    if not 0.0 < arguments.wait <= _WAIT_MAX_S:
        raise ConfigError(
            f"{arguments.wait} is out of range", where="--wait", fix=f"to {_WAIT_MAX_S:g}"
        )
    print(make_safe(chosen_settings(arguments), SystemClock(), arguments.wait))
    return EXIT_OK
