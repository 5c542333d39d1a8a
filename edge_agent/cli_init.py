"""The verb `edge-agent init`.

Owns: its options and what it prints. Must not: write; that is `app_init`.
"""

import argparse
from pathlib import Path

from edge_agent.cli_shared import Verbs
from edge_agent.core.errors import EXIT_OK


def add_init(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "init",
        help="write a folder to begin with",
        description="Writes a configuration that runs at once as a simulation, the package of a"
        " device of your own with every limit to be filled in, and keys to command it from afar."
        " Writes over nothing.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--device", default="my-device", metavar="NAME", help="your device (default: %(default)s)"
    )
    parser.set_defaults(verb=_init)


def _init(arguments: argparse.Namespace) -> int:
    from edge_agent.app_init import init

    print(init(arguments.folder, arguments.device))
    return EXIT_OK
