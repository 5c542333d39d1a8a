"""The command line: words in, a call of `app.py`, an exit code out.

Owns: the verbs, their help, and how errors and results are printed (results on stdout,
diagnostics on stderr). Must not: do any of the work. Late imports keep `--help` quick and a
verb from loading what it does not use.

Exit codes: 0 done, 1 something outside failed and a restart may help, 2 wrong usage,
78 a configuration that a person must correct (do not restart), 130 ended by Ctrl-C before it was
done (`run` and `gateway` are done when they are told to stop, so theirs is 0).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edge_agent import __version__
from edge_agent.cli_bridge import add_bridge
from edge_agent.cli_config import add_config, chosen_settings, same_options
from edge_agent.cli_ctl import add_ctl
from edge_agent.cli_doctor import add_doctor
from edge_agent.cli_envelope import add_envelope
from edge_agent.cli_init import add_init
from edge_agent.cli_service import add_reload, add_safe
from edge_agent.cli_shared import Verbs, broker_address, print_json, stand_in_for_closed_streams
from edge_agent.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    EdgeAgentError,
)

_DESCRIPTION = """\
Let a learned policy move real things, inside limits that are fixed in code.

  edge-agent init DIR                  a configuration and a device package to begin with
  edge-agent sim                       watch a model hold a simulated air handler
  edge-agent sim --scenario all        ... with every fault injected
  edge-agent check --config agent.toml what would run, or what is wrong and how to fix it
  edge-agent doctor                    what is wrong with this machine, and the fix
  edge-agent run --config agent.toml   the real thing (starts its gateway itself)
  edge-agent status                    what a running agent is doing, and why
  edge-agent ctl status --key FILE     command a device from afar (and: ctl keys new)
  edge-agent envelope show air-handler the limits that nothing can widen, on one page
  edge-agent bridge info               the serial ports, and who answers on one
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    stand_in_for_closed_streams()
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.verb(arguments)
        print(end="", flush=True)  # here, not at the interpreter's end, where nobody catches it
    except EdgeAgentError as error:
        from edge_agent.service.log import Level, formed, is_journal

        told = formed(Level.ERROR, str(error), journal=is_journal(os.environ))
        print(told, end="", file=sys.stderr)
        # What was wrong with an option's value is usage, whoever found out.
        return EXIT_USAGE if error.where.startswith("--") else error.exit_code
    except KeyboardInterrupt:
        print("edge-agent: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `edge-agent ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-agent",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 done, 1 try again, 2 wrong usage, 78 correct the configuration,"
        " 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"edge-autonomy {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    add_init(verbs)
    _add_sim(verbs)
    _add_run(verbs)
    _add_gateway(verbs)
    _add_check(verbs)
    add_doctor(verbs)
    _add_status(verbs)
    _add_reset(verbs)
    add_safe(verbs)
    add_reload(verbs)
    _add_feed(verbs)
    add_envelope(verbs)
    add_bridge(verbs)
    add_ctl(verbs)
    return parser


def _verb(verbs: Verbs, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=summary, description=description)


def _add_sim(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "sim",
        "run the agent against simulated hardware",
        "Runs the real agent, envelope and wire protocol against a simulated plant and"
        " microcontroller, on simulated time: the same seed gives the same run. Ends by itself"
        " with a summary and leaves a recording under STATE_DIR/recordings/. Ctrl-C ends it early,"
        " with the summary of what ran until then and exit code 130.",
    )
    parser.add_argument(
        "--device", default="air-handler", help="which device (default: %(default)s)"
    )
    parser.add_argument(
        "--scenario",
        default="normal",
        help="what happens to it; 'list' prints them, 'all' runs all (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of weather, load and noise (default: %(default)s)"
    )
    parser.add_argument(
        "--duration",
        type=float,
        metavar="S",
        help="simulated seconds (default: the scenario's own)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=0.0,
        metavar="N",
        help="times real time (default: as fast as it can)",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=_user_state_dir(),
        metavar="DIR",
        help="where to record (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON only")
    parser.set_defaults(verb=_sim)


def _sim(arguments: argparse.Namespace) -> int:
    from edge_agent.app_sim import SimRequest, list_scenarios, run_simulation, view_for
    from edge_agent.sim.run import SimOptions

    if arguments.scenario == "list":
        print(list_scenarios())
        return EXIT_OK
    options = SimOptions(
        device=arguments.device,
        scenario=arguments.scenario,
        seed=arguments.seed,
        duration_s=arguments.duration,
        speed=arguments.speed,
        view=view_for(as_json=arguments.json),
    )
    return run_simulation(SimRequest(options, arguments.state_dir, arguments.json))


def _add_run(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "run",
        "run the control process (and its gateway)",
        "Reads the sensors, decides, and drives the actuators inside the device's envelope,"
        " until SIGTERM or Ctrl-C; then it brings the outputs to their safe action, waits for"
        " the microcontroller to confirm, and exits 0. Without a configuration with"
        ' mode = "real" and [serial] the hardware is simulated, in real time; try a'
        " configuration first with `edge-agent check`.",
    )
    add_config(parser)
    parser.add_argument(
        "--arm",
        action="store_true",
        help="arm as soon as inputs and hardware are ready; without it nothing moves",
    )
    parser.add_argument(
        "--no-gateway", action="store_true", help="the gateway is a service of its own"
    )
    parser.set_defaults(verb=_run)


def _run(arguments: argparse.Namespace) -> int:
    from edge_agent.app import run_control
    from edge_agent.app_password import broker_password, plane_password

    settings = chosen_settings(arguments)
    gateway: list[str] = []
    if not arguments.no_gateway:  # its gateway would end again and again for want of these
        broker_password(settings)
        if settings.config.plane is not None:
            from edge_agent.app_tls import plane_tls

            plane_password(settings)
            plane_tls(settings)
        gateway = [sys.executable, "-m", "edge_agent", "gateway"]
        gateway += ["--with-parent", str(os.getpid())]
        gateway += same_options(arguments)
    return run_control(settings, arm=arguments.arm, gateway_command=gateway)


def _add_gateway(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "gateway",
        "run the gateway process",
        "Owns the network and the disk: MQTT sensors in, status and telemetry out, the"
        " recording. It can neither decide nor drive. `edge-agent run` starts one itself.",
    )
    add_config(parser)
    parser.add_argument(
        "--with-parent", type=int, metavar="PID", help="end when this parent process ends"
    )
    parser.set_defaults(verb=_gateway)


def _gateway(arguments: argparse.Namespace) -> int:
    from edge_agent.app_gateway import run_gateway_process

    return run_gateway_process(partial(chosen_settings, arguments), arguments.with_parent)


def _add_check(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "check",
        "check a configuration and its model without moving anything",
        "Loads everything that `run` would load, runs the model's golden vectors, and says"
        " what it found. Exit 0: a real configuration would start. Exit 78: what is wrong, where,"
        " and the fix.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(verb=_check)


def _check(arguments: argparse.Namespace) -> int:
    from edge_agent.app_check import check, check_gateway

    settings = chosen_settings(arguments)
    findings = {**check(settings), "plane": check_gateway(settings)}
    if arguments.json:
        print_json(findings)
    else:
        for name, value in findings.items():
            print(f"{name:<18} {value}")
        where = "" if settings.config.mode == "real" else ", on simulated hardware"
        print(f"ok: this configuration can run{where}")
    return EXIT_OK


def _add_status(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "status",
        "what a running agent is doing, and why",
        "Asks the control process over its local socket: mode and root cause, every channel"
        " with age and quality, the command and its reasons, tick times, link and broker.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the whole document as JSON")
    parser.set_defaults(verb=_status)


def _status(arguments: argparse.Namespace) -> int:
    from edge_agent.app_gateway import ask_status
    from edge_agent.service.status import status_text

    document = ask_status(chosen_settings(arguments))
    if arguments.json:
        print_json(document)
    else:
        print(status_text(document))
    return EXIT_OK


def _add_reset(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "reset",
        "clear a trip, after looking at its cause",
        "A trip outlives the process that tripped: until it is reset, `edge-agent run` starts"
        " TRIPPED and --arm has no effect. Shows the cause and its time and removes it. Refused"
        " while an agent is running. It arms nothing.",
    )
    add_config(parser)
    parser.set_defaults(verb=_reset)


def _reset(arguments: argparse.Namespace) -> int:
    from edge_agent.app_reset import reset

    print(reset(chosen_settings(arguments)))
    return EXIT_OK


def _add_feed(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "feed",
        "play a recorded log onto MQTT topics",
        "Publishes the rows of a CSV log (plain, .gz or .xz) at their recorded pace to a running"
        " broker, for commissioning and tests. Cells are sent as they are, bad ones too.",
    )
    parser.add_argument("log", type=Path, metavar="LOG.csv", help="the log, with a header row")
    parser.add_argument(
        "--map", type=Path, required=True, metavar="MAP.toml", help="columns to topics"
    )
    parser.add_argument(
        "--broker",
        default="127.0.0.1:1883",
        metavar="HOST:PORT",
        help="where to publish (default: %(default)s)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="N",
        help="times real time (default: %(default)s)",
    )
    parser.add_argument("--first", default="", metavar="ROW", help="first row (number or time)")
    parser.add_argument("--last", default="", metavar="ROW", help="last row (number or time)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent")
    parser.set_defaults(verb=_feed)


def _feed(arguments: argparse.Namespace) -> int:
    from edge_agent.app_gateway import run_feed
    from edge_agent.gateway.feed import FeedJob

    host, port = broker_address(arguments.broker)
    job = FeedJob(
        log_path=arguments.log,
        map_path=arguments.map,
        host=host,
        port=port,
        speed=arguments.speed,
        first=arguments.first,
        last=arguments.last,
        dry_run=arguments.dry_run,
    )
    return run_feed(job)


def _user_state_dir() -> Path:
    """Where a person's own runs are kept: XDG_STATE_HOME, by its specification."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "edge-agent"
