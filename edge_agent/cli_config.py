"""Which configuration a verb works with: two options that many verbs share, and their reading.

Owns: `--config` and `--state-dir`. Must not: check more than `config.load` does.
"""

import argparse
from pathlib import Path

from edge_agent.config import DEFAULT_PATH, Settings, load, with_state_dir


def add_config(parser: argparse.ArgumentParser) -> None:
    """The options of a verb that concerns one agent."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration (default: {DEFAULT_PATH} if it is there, else a simulation)",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="keep recordings, state and the socket here (a development machine)",
    )


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """What those options name; ConfigError when it cannot work."""
    path = arguments.config
    if path is None and DEFAULT_PATH.exists():
        path = DEFAULT_PATH
    settings = load(path)
    return with_state_dir(settings, arguments.state_dir) if arguments.state_dir else settings


def same_options(arguments: argparse.Namespace) -> list[str]:
    """The options again, for a process of the same configuration."""
    options: list[str] = []
    for option, value in (("--config", arguments.config), ("--state-dir", arguments.state_dir)):
        options += [option, str(value)] if value else []
    return options
