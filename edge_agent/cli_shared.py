"""What every verb of the command line may need: types, JSON, options that are alike.

Owns: nothing of any verb. Must not: import a room; `--help` has to be quick.
"""

import argparse
import json
import os
import sys
from typing import TypeAlias

from edge_agent.core.errors import ConfigError

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse gives its return type no public name


def stand_in_for_closed_streams() -> None:
    """/dev/null for each of standard input, output and error that is closed. The next socket or
    serial port would get its number otherwise, and words for people would go into it."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One document; without an indent on one line."""
    print(json.dumps(document, indent=indent, sort_keys=True), flush=True)


def broker_address(text: str) -> tuple[str, int]:
    """(host, port) of an option `--broker HOST:PORT`; ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{text!r}", where="--broker", fix="give HOST:PORT")
    return host, int(port)
