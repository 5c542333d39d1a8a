"""The verbs of `edge-agent envelope`: show, check, header, attack.

Owns: their help and what they print (results on stdout, progress on stderr). Must not: judge;
pages, findings and scores come from `safety` and `sim`.
"""

import argparse
import sys

from edge_agent.cli_shared import Verbs, print_json
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, ConfigError

_DESCRIPTION = """\
The envelope of a device is code: limits that no model, message or configuration can widen.

  edge-agent envelope show air-handler            one page, with units, to review and sign
  edge-agent envelope check air-handler           is it whole, and which test covers each cell
  edge-agent envelope header air-handler          limits.h for the envelope in C
  edge-agent envelope attack air-handler          try to break it; exit 0 only if it held
"""
_TICKS = 100_000


def add_envelope(verbs: Verbs) -> None:
    """Add the group to the command line."""
    parser = verbs.add_parser(
        "envelope",
        help="read, check and attack the limits of a device",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    show = _device_verb(
        group,
        "show",
        "the limits as one page to review and sign",
        "Every limit in the unit of its channel, interlocks and effect checks in sentences, the"
        " hash that microcontroller, recording and status carry too, and a line to sign.",
    )
    show.set_defaults(verb=_show)
    check = _device_verb(
        group,
        "check",
        "is it complete, and what can never act",
        "Checks that the limits fit together, prints the completeness matrix (every channel,"
        " every mandatory check, and the test that drives that cell) and warns of limits that"
        " never could, or always would, intervene. Exit 0: complete. Exit 78: a contradiction,"
        " or an empty cell. A warning does not change the exit code.",
    )
    check.set_defaults(verb=_check)
    header = group.add_parser(
        "header",
        help="the same limits as a C header, for the microcontroller",
        description="Prints limits.h: the constants from which the envelope in C, on the"
        " microcontroller, decides as this one does. It carries the hash; a device whose hash"
        " differs is not armed.",
    )
    header.add_argument("device", metavar="DEVICE", help="for example air-handler")
    header.add_argument(
        "--mcu",
        metavar="SENSORS",
        help="the limits of a microcontroller that measures these, in the order of its telemetry"
        " and joined by commas ('' for none): a margin wider, with dead man, leases and schema",
    )
    header.set_defaults(verb=_header)
    attack = _device_verb(
        group,
        "attack",
        "let enemies try to break it",
        "Plays hostile policies (square waves, NaN, stale, late, shapeless, huge, a search for"
        " the worst), sensors, clocks and people against the real gate, supervisor and envelope;"
        " an inspector that shares no code with them judges every command. Exit 0: no command"
        " left the envelope and every kind of rule had to act. The same seed gives the same run.",
    )
    attack.add_argument(
        "--ticks", type=int, default=_TICKS, metavar="N", help="at least (default: %(default)s)"
    )
    attack.add_argument(
        "--seed", type=int, default=1, metavar="S", help="of the enemies (default: %(default)s)"
    )
    attack.set_defaults(verb=_attack)


def _device_verb(
    group: Verbs, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=summary, description=description)
    parser.add_argument("device", metavar="DEVICE", help="for example air-handler")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _show(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from edge_agent.safety.devices import find
    from edge_agent.safety.table import page

    envelope = find(arguments.device)
    if arguments.json:
        print_json({"sha256": envelope.sha256(), **asdict(envelope)})
    else:
        print(page(envelope))
    return EXIT_OK


def _check(arguments: argparse.Namespace) -> int:
    from edge_agent.safety.completeness import matrix, matrix_text
    from edge_agent.safety.devices import find
    from edge_agent.safety.review import warnings

    envelope = find(arguments.device)  # refuses, with exit 78, what contradicts itself
    cells = matrix(envelope)
    empty, doubts = [cell for cell in cells if cell.empty], warnings(envelope)
    if arguments.json:
        print_json(
            {
                "device": envelope.device,
                "sha256": envelope.sha256(),
                "cells": [cell._asdict() for cell in cells],
                "empty": [cell._asdict() for cell in empty],
                "warnings": doubts,
            }
        )
    else:
        print(matrix_text(cells))
        for words in doubts:
            print(f"warning: {words}")
        print(f"{envelope.device}: {len(cells)} cells, {len(empty)} empty, {len(doubts)} warnings")
    return EXIT_CONFIG if empty else EXIT_OK


def _header(arguments: argparse.Namespace) -> int:
    from edge_agent.app_firmware import limits_header
    from edge_agent.safety.devices import find
    from edge_agent.safety.header import render

    envelope = find(arguments.device)
    if arguments.mcu is None:
        sys.stdout.write(render(envelope))
    else:
        feedback = tuple(filter(None, arguments.mcu.split(",")))
        sys.stdout.write(limits_header(envelope, feedback))
    return EXIT_OK


def _attack(arguments: argparse.Namespace) -> int:
    from edge_agent.core.clock import NS_PER_S, SystemClock
    from edge_agent.safety.devices import find
    from edge_agent.sim.attack import Score, attack, score_document, score_text

    if arguments.ticks < 1:
        raise ConfigError(f"{arguments.ticks}", where="--ticks", fix="give a positive number")
    clock = SystemClock()
    start_ns = shown_ns = clock.now_ns()

    def progress(score: Score) -> None:
        nonlocal shown_ns
        if clock.now_ns() - shown_ns >= NS_PER_S:
            shown_ns = clock.now_ns()
            words = f"{score.ticks:,} of {arguments.ticks:,} ticks, {score.violations} violations"
            print(words, file=sys.stderr)

    score = attack(find(arguments.device), arguments.ticks, arguments.seed, progress)
    per_s = score.ticks * NS_PER_S // max(clock.now_ns() - start_ns, 1)
    if arguments.json:
        print_json({"device": arguments.device, "seed": arguments.seed, **score_document(score)})
    else:
        print(score_text(score, arguments.device))
    print(f"{per_s:,} ticks per second", file=sys.stderr)
    return EXIT_OK if score.held else EXIT_TRANSIENT
