"""What every verb of the command line may need: types, JSON, options that are alike.

Owns: nothing of any verb. Must not: import a room; `--help` has to be quick.
"""

import argparse
import json
from typing import TypeAlias

from edge_agent.core.errors import ConfigError

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse gives its return type no public name


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One document; without an indent on one line."""
    print(json.dumps(document, indent=indent, sort_keys=True), flush=True)


def broker_address(text: str) -> tuple[str, int]:
    """(host, port) of an option `--broker HOST:PORT`; ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{text!r}", where="--broker", fix="give HOST:PORT")
    return host, int(port)
