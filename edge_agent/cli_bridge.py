"""The verbs of `edge-agent bridge`: info, monitor, bench.

Owns: their help and what they print (results on stdout, diagnostics on stderr). Must not: open
a port or judge a firmware; that is `app_bridge`. None of them can arm.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli_shared import Verbs, print_json
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, ConfigError

if TYPE_CHECKING:
    from edge_agent.app_bridge import CountedLine

_DESCRIPTION = """\
Look at the line to the microcontroller. None of these can arm it or move an output; a port has
one owner, so stop the agent first (while it runs, `edge-agent status` tells the same).

  edge-agent bridge info                        the serial ports of this machine
  edge-agent bridge info /dev/ttyACM0           who answers there, and what it was built for
  edge-agent bridge monitor /dev/ttyACM0        live values, rates, errors, ages
  edge-agent bridge bench /dev/ttyACM0          round-trip time and frame rate
"""


def add_bridge(verbs: Verbs) -> None:
    """Add the group to the command line."""
    parser = verbs.add_parser(
        "bridge",
        help="look at the line to the microcontroller",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    info = _port_verb(
        group,
        "info",
        "who answers on a port, and what it was built for",
        "Asks the firmware for its versions, the hashes of its schema and envelope, why it last"
        " reset and its dead man, and says which installed device it fits. Without PORT it lists"
        " the serial ports of this machine and opens none: opening resets many boards. Exit 0:"
        " the firmware fits an installed device. Exit 78: it fits none. Exit 1: nobody answered,"
        " and what to try.",
    )
    info.add_argument("port", nargs="?", metavar="PORT", help="such as /dev/ttyACM0")
    info.set_defaults(verb=_info)
    monitor = _port_verb(
        group,
        "monitor",
        "live values, rates, errors and ages",
        "Opens a session in which the device stays SAFE and shows its telemetry: state and why,"
        " every value in its unit, frames and bytes a second, frames missed and bad at either"
        " end, the age of the newest. Goes on through unplugging and resets, until Ctrl-C. One"
        " line a period; on a terminal one page that is renewed.",
    )
    monitor.add_argument("port", metavar="PORT", help="such as /dev/ttyACM0")
    monitor.add_argument(
        "--duration", type=float, metavar="S", help="seconds (default: until Ctrl-C)"
    )
    monitor.add_argument(
        "--every", type=float, default=1.0, metavar="S", help="period (default: %(default)s s)"
    )
    monitor.set_defaults(verb=_monitor)
    bench = _port_verb(
        group,
        "bench",
        "round-trip time and frame rate",
        "Asks who is there, again as soon as it is answered, and prints the round-trip times, also"
        " without low latency where the driver leaves the choice; then counts"
        " telemetry in a session that is not armed.",
    )
    bench.add_argument("port", metavar="PORT", help="such as /dev/ttyACM0")
    bench.add_argument(
        "--duration",
        type=float,
        default=3.0,
        metavar="S",
        help="seconds for each part (default: %(default)s)",
    )
    bench.set_defaults(verb=_bench)


def _port_verb(group: Verbs, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=summary, description=description)
    parser.add_argument("--baud", type=int, default=115200, help="bit/s (default: %(default)s)")
    parser.add_argument(
        "--wait",
        type=float,
        default=3.0,
        metavar="S",
        help="for an answer; a board that resets when its port is opened needs two"
        " (default: %(default)s s)",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the key that the firmware was built with: 64 hexadecimal digits, mode 600",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one document a line")
    return parser


def _line_of(arguments: argparse.Namespace) -> "CountedLine":
    from edge_agent.app_bridge import CountedLine
    from edge_agent.app_key import read_key

    key = None if arguments.key_file is None else read_key(arguments.key_file)
    return CountedLine(arguments.port, arguments.baud, key)


def _info(arguments: argparse.Namespace) -> int:
    if arguments.port is None:
        return _list(as_json=arguments.json)
    from edge_agent.app_bridge import hello_document, identify
    from edge_agent.core.clock import SystemClock

    line = _line_of(arguments)
    try:
        document = hello_document(line.path, identify(line, SystemClock(), arguments.wait))
    finally:
        line.close()
    fits = document["protocol_matches"] and any(
        row["envelope_matches"] and row["schema_matches"] for row in document["devices"]
    )
    if arguments.json:
        print_json(document, indent=None)
    else:
        print(_info_text(document))
    return EXIT_OK if fits else EXIT_CONFIG


def _list(*, as_json: bool) -> int:
    from edge_agent.app_bridge import ports

    entries = ports()
    if as_json:
        print_json([{f: getattr(e, f) for f in e.__struct_fields__} for e in entries], indent=None)
        return EXIT_OK
    for entry in entries:
        print(f"{entry.path:<16} {entry.description}")
        if entry.stable_path:
            print(f"{'':<16} {entry.stable_path}")
    print(
        "`edge-agent bridge info PORT` asks who is there" if entries else "no serial port found",
        file=sys.stderr,
    )
    return EXIT_OK


def _info_text(document: Mapping[str, Any]) -> str:
    yes_no = {True: "yes", False: "NO"}
    rows = [(name.replace("_", " "), value) for name, value in document.items()]
    lines = [f"{name:<18} {value}" for name, value in rows if name not in ("devices", "port")]
    lines = [line.replace("True", "yes").replace("False", "NO") for line in lines]
    for row in document["devices"]:
        lines.append(
            f"{'fits ' + row['device']:<18} envelope {yes_no[row['envelope_matches']]},"
            f" channels {yes_no[row['schema_matches']]}"
        )
        if row["sensors"]:
            lines.append(f"{'  serial.sensors':<18} {json.dumps(row['sensors'])}")
    return "\n".join(lines)


def _monitor(arguments: argparse.Namespace) -> int:
    from edge_agent.app_bridge import Monitor, identify
    from edge_agent.core.clock import SystemClock

    _positive(arguments.every, "--every")
    clock = SystemClock()
    line = _line_of(arguments)
    try:
        monitor = Monitor(line, identify(line, clock, arguments.wait), clock)
        left_ns = None
        if arguments.duration is not None:
            _positive(arguments.duration, "--duration")
            left_ns = round(arguments.duration * NS_PER_S)
        _watch(monitor, round(arguments.every * NS_PER_S), left_ns, as_json=arguments.json)
    except KeyboardInterrupt:
        return EXIT_OK  # how a person ends it
    finally:
        line.close()
    return EXIT_OK


def _watch(monitor: Any, period_ns: int, left_ns: int | None, *, as_json: bool) -> None:
    """Print what is heard, period by period, until nothing is left of the time."""
    on_terminal = sys.stdout.isatty()
    while left_ns is None or left_ns > 0:
        this_ns = period_ns if left_ns is None else min(period_ns, left_ns)
        document = monitor.watch(this_ns)
        left_ns = None if left_ns is None else left_ns - this_ns
        if as_json:
            print_json(document, indent=None)
        elif on_terminal:
            print("\x1b[H\x1b[2J" + _page(document), flush=True)
        else:
            print(_line(document), flush=True)


def _errors(document: Mapping[str, Any]) -> str:
    return (
        f"missed {document['frames_missed']} bad {document['bad_frames']}"
        f" bad at device {document['device_bad_frames']} resets {document['lost_reset']}"
        f" unplugged {document['unplugged']}"
    )


def _rates(document: Mapping[str, Any]) -> str:
    age_ms = document["telemetry_age_ms"]
    return (
        f"{document['frames_per_s']:g} frames/s {document['bytes_received_per_s']:g} B/s"
        f" age {'-' if age_ms is None else age_ms} ms"
    )


def _state(document: Mapping[str, Any]) -> str:
    device = f"device {document['device_state'] or '-'} ({document['safe_reason'] or '-'})"
    fault = f" FAULT {document['fault']}" if document["fault"] else ""
    return f"link {document['state']} {device}{fault}"


def _values(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each channel; an output that follows no command is in brackets."""
    found = []
    for name, row in document["values"].items():
        text = f"{row['value']:g} {row['unit']}"
        found.append((name, text if row["followed"] else f"[{text}]"))
    return found


def _line(document: Mapping[str, Any]) -> str:
    values = " ".join(f"{name} {text}" for name, text in _values(document))
    return " | ".join((_state(document), _rates(document), _errors(document), values))


def _page(document: Mapping[str, Any]) -> str:
    head = [f"{document['device']} on {document['path']}", _state(document), _rates(document)]
    rows = [f"  {name:<24} {text:>16}" for name, text in _values(document)]
    foot = "[value]: an output that follows no command. Ctrl-C ends this."
    return "\n".join([*head, _errors(document), "", *rows, "", foot])


def _bench(arguments: argparse.Namespace) -> int:
    from edge_agent.app_bridge import bench
    from edge_agent.core.clock import SystemClock

    _positive(arguments.duration, "--duration")
    line = _line_of(arguments)
    try:
        document = bench(line, SystemClock(), arguments.wait, arguments.duration)
    finally:
        line.close()
    if arguments.json:
        print_json(document, indent=None)
    else:
        for name, value in document.items():
            print(f"{name.replace('_', ' '):<28} {value}")
    return EXIT_OK


def _positive(value: float, option: str) -> None:
    if not 0 < value < 1e9:
        raise ConfigError(f"{value}", where=option, fix="give a positive number of seconds")
