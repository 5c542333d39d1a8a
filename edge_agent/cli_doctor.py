"""The verb `edge-agent doctor`: its options, and what it prints.

Owns: the order of what is shown, and that each line is there as soon as it is known. Must not:
check anything; that is `app_doctor`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge_agent import __version__
from edge_agent.cli_config import add_config, chosen_settings, same_options
from edge_agent.cli_shared import Verbs, print_json
from edge_agent.config import Config, settings_of
from edge_agent.core.clock import NS_PER_S, SystemClock, utc_now_ns
from edge_agent.core.errors import EXIT_OK, ConfigError
from edge_agent.service.findings import Finding, Verdict, exit_code, lines, of_error, summary

_SECONDS_MAX = 600.0


def add_doctor(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "doctor",
        help="what is wrong with this machine, and how to put it right",
        description="Looks at packages, clocks, disk, rights, real time, model, serial ports,"
        " brokers and the running agent: one line each, ok, warn or fail, with the fix. It never"
        " arms and never moves an output, and every check has a limit in time. Exit 0: nothing"
        " fails. Exit 1: something fails. Exit 78: a person must correct the configuration.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--latency",
        action="store_true",
        help="measure instead how late the loop wakes up here and how long an inference then takes,"
        " with and without SCHED_FIFO, beside cyclictest where it is installed",
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument("--try-model", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(verb=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    if arguments.latency:
        return _latency(arguments)
    if arguments.try_model:
        from edge_agent.app_doctor import try_model

        print(msgspec.json.encode(try_model(chosen_settings(arguments), SystemClock())).decode())
        return EXIT_OK
    findings: list[Finding] = []
    for finding in _examine(arguments):
        findings.append(finding)
        if not arguments.json:
            print("\n".join(lines(finding)), flush=True)
    code = exit_code(findings)
    if arguments.json:
        print_json(_document(findings, code))
    else:
        print(summary(findings))
    return code


def _document(findings: list[Finding], code: int) -> dict[str, Any]:
    return {
        "version": __version__,
        "utc_ns": utc_now_ns(),
        "exit_code": code,
        "findings": [msgspec.structs.asdict(finding) for finding in findings],
    }


def _examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Each finding as soon as it is known. Packages come first: without them nothing else can be
    looked at, and without a configuration only the machine itself."""
    from edge_agent.app_doctor import UNCONFIGURED, Patient, ask_control, checks, look, wheels

    problem: ConfigError | None = None
    try:
        settings = chosen_settings(arguments)
    except ConfigError as error:
        problem, settings = error, settings_of(Config(), "built-in defaults")
    patient = Patient(settings, None, tuple(same_options(arguments)), SystemClock(), Path("/"))
    packages = look("wheels", wheels, patient)
    yield from packages
    if any(finding.verdict is Verdict.FAIL for finding in packages):
        return  # what follows would end in the same
    if problem is not None:
        yield of_error("config", problem)
    else:
        patient = patient._replace(control=ask_control(settings))
        yield Finding("config", Verdict.OK, f"{settings.source}: {settings.config.device}")
    for name, check in checks().items():
        if problem is None or name in UNCONFIGURED:
            yield from look(name, check, patient)


def _latency(arguments: argparse.Namespace) -> int:
    from edge_agent.app_latency import measure

    if not 0 < arguments.seconds <= _SECONDS_MAX:
        raise ConfigError(f"{arguments.seconds}", where="--seconds", fix="choose up to 600")
    settings = chosen_settings(arguments)
    rows = measure(settings, SystemClock(), round(arguments.seconds * NS_PER_S))
    if arguments.json:
        print_json([row.document() for row in rows])
        return EXIT_OK
    rate = f"{settings.config.loop.rate_hz:g} Hz"
    print(f"wake-up after its deadline, and what an inference takes, {rate}, us")
    width = max(16, *(len(row.scheduler) + 2 for row in rows))
    print(f"{'':<12}{'scheduler':<{width}}{'p50':>8}{'p99':>8}{'max':>8}{'missed':>8}")
    for row in rows:
        figures = row.lateness
        text = figures if isinstance(figures, str) else "".join(f"{f:>8}" for f in figures)
        but = f"  ({'; '.join(row.not_granted)})" if row.not_granted else ""
        print(f"{row.what:<12}{row.scheduler:<{width}}{text}{but}")
    return EXIT_OK
