"""`edge-agent ctl` list, watch, events and desired: what devices say, and what they are to hold.

Owns: their words and tables. Must not: judge what was said. With --json each message is one line.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_agent.cli_shared import Verbs, print_json
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge_agent.core.errors import EXIT_OK, EXIT_TRANSIENT, ConfigError

if TYPE_CHECKING:
    from edge_agent.client import DeviceState, Event, Reported, Telemetry

_LISTEN_S: Final = 1.0
_REDRAW_NS: Final = 200 * NS_PER_MS
_CLEAR: Final = "\x1b[H\x1b[2J"


def add_key_option(parser: argparse.ArgumentParser) -> None:
    """`--key`, `--device` and `--json`, which every verb has."""
    parser.add_argument(
        "--key",
        type=Path,
        required=not os.environ.get("EDGE_AGENT_KEY"),
        default=os.environ.get("EDGE_AGENT_KEY"),
        metavar="FILE",
        help="one's own key of the device (default: $EDGE_AGENT_KEY)",
    )
    parser.add_argument(
        "--device",
        default="",
        metavar="ID",
        help="another device at which this key is enrolled (default: the key file's)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def plain(said: Any) -> dict[str, Any]:
    """What was said as plain values, for JSON; in one text what JSON has no form for."""
    import msgspec

    try:
        document: dict[str, Any] = msgspec.to_builtins(said, str_keys=True)
    except TypeError:  # a list as a key, an extension type: no device of ours says that
        return {"said": repr(said)}
    return document


def add_plane(operations: Verbs) -> None:
    """Add the verbs."""
    devices = _add(operations, "list", "every device of the plane, by its status", _list)
    devices.add_argument(
        "--within", type=float, default=2.0, metavar="S", help="how long to listen (default: 2)"
    )
    watch = _add(operations, "watch", "what a device says, as it comes, until Ctrl-C", _watch)
    watch.add_argument("--all", action="store_true", help="every device of the plane")
    events = _add(operations, "events", "what happens, as it comes, until Ctrl-C", _events)
    events.add_argument("--all", action="store_true", help="of every device")
    events.add_argument(
        "--name", default="", help="be heard of as NAME: the broker keeps for a day what one misses"
    )
    for parser in (watch, events):
        parser.add_argument("--for", dest="for_s", type=float, metavar="S", help="end after S")
    desired = operations.add_parser(
        "desired", help="what a device is to hold", description="The desired state of a device."
    )
    verbs = desired.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(verbs, "get", "what is desired, and what is in force", _get)
    put = _add(verbs, "set", "desire all of this and nothing else", _set)
    put.add_argument("wishes", nargs="*", metavar="KEY=VALUE", help="such as control=monitor")
    put.add_argument("--ver", type=int, help="its version (default: the next)")


def _add(verbs: Verbs, name: str, summary: str, verb: Any) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=f"{summary}.")
    add_key_option(parser)
    parser.set_defaults(verb=verb)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from edge_agent.client import FleetClient
    from edge_agent.client.key_file import read_key

    with FleetClient(read_key(arguments.key, ""), ("status", "tele")) as fleet:
        for _change in fleet.listen(arguments.within):
            pass
    devices = [fleet.devices[name] for name in sorted(fleet.devices)]
    if arguments.json:
        print_json([plain(device) for device in devices])
    else:
        print("\n".join(fleet_table(devices)))
    return EXIT_OK


def fleet_table(devices: Iterable["DeviceState"]) -> list[str]:
    """One line for each device, and one above."""
    lines = [f"{'DEVICE':<24}{'COMMANDS':<28}{'MODE':<9}{'MISSED':>6}  CAUSE"]
    for device in devices:
        status, sample = device.status, device.telemetry
        takes = "taken" if status.get("on") else f"no: {status.get('why', 'never seen')}"
        mode = sample.mode if sample is not None else ""
        cause = sample.cause.text if sample is not None and sample.cause is not None else ""
        lines.append(f"{device.id:<24}{takes:<28}{mode:<9}{device.missed:>6}  {cause}".rstrip())
    return lines


def _watch(arguments: argparse.Namespace) -> int:
    return _watch_all(arguments) if arguments.all else _watch_one(arguments)


def _watch_one(arguments: argparse.Namespace) -> int:
    from edge_agent.client import DeviceClient, Telemetry
    from edge_agent.client.key_file import read_key

    live = sys.stdout.isatty() and not arguments.json
    lines: list[str] = []
    with DeviceClient(read_key(arguments.key, "", arguments.device)) as device:
        for said in _until(arguments.for_s, device.listen):
            if arguments.json:
                kind = "status" if isinstance(said, Mapping) else type(said).__name__.lower()
                print_json({kind: plain(said)}, indent=None)
            elif not live:
                print(said_line(said), flush=True)
            else:
                if not isinstance(said, Telemetry):
                    lines = [*lines[-9:], said_line(said)]
                table = telemetry_table(device.telemetry) if device.telemetry else []
                print(_CLEAR + "\n".join([*table, "", *lines]), flush=True)
    return EXIT_OK


def _watch_all(arguments: argparse.Namespace) -> int:
    from edge_agent.client import FleetClient
    from edge_agent.client.key_file import read_key

    clock, drawn_ns = SystemClock(), 0
    live = sys.stdout.isatty() and not arguments.json
    with FleetClient(read_key(arguments.key, ""), ("status", "tele", "evt")) as fleet:
        for device, event in _until(arguments.for_s, fleet.listen):
            if arguments.json:
                print_json(plain(device) if event is None else plain(event), indent=None)
            elif not live:
                said = event or device.status
                print(f"{device.id}  {said_line(said)}", flush=True)
            elif clock.now_ns() - drawn_ns >= _REDRAW_NS:
                drawn_ns = clock.now_ns()
                rows = [fleet.devices[name] for name in sorted(fleet.devices)]
                print(_CLEAR + "\n".join(fleet_table(rows)), flush=True)
    return EXIT_OK


def telemetry_table(sample: "Telemetry") -> list[str]:
    """One sample for people."""
    cause = sample.cause.text if sample.cause is not None else ""
    monitor = "" if sample.driven else "  (monitor: nothing is driven)"
    lines = [f"{sample.mode}  {sample.decides} decides{monitor}  {cause}".rstrip()]
    for name, value in sample.values.items():
        number = f"{value:10.2f}" if value is not None else f"{sample.doubtful.get(name, ''):>10}"
        told = sample.command.get(name)
        lines.append(
            f"  {name:<24}{number}" + (f"  command {told:8.2f}" if told is not None else "")
        )
    return lines


def said_line(said: Any) -> str:
    """Anything that a device says, in one line."""
    from edge_agent.client import Event, Meta, Outcome, Reported, Telemetry

    match said:
        case Outcome():
            return f"{said.id}  {said.sentence()}"
        case Event():
            return event_line(said)
        case Telemetry():
            return f"telemetry  {said.run} {said.seq}  {said.mode}"
        case Meta():
            return f"meta  {said.device}, version {said.agent}"
        case Reported():
            return "; ".join(reported_lines(said))
    on = "takes commands" if said.get("on") else f"takes none: {said.get('why', '')}"
    return f"status  {on}"


def event_line(event: "Event") -> str:
    """One event for people."""
    facts = [
        f"{name} {value.get('text', value) if isinstance(value, Mapping) else value}"
        for name, value in event.data.items()
        if value != []
    ]
    return f"{event.sev:<8}{event.kind:<9}{', '.join(facts)}"


def _events(arguments: argparse.Namespace) -> int:
    from edge_agent.client import FleetClient
    from edge_agent.client.key_file import read_key

    options = read_key(arguments.key, "", arguments.device)
    seen: dict[tuple[str, str, int], None] = {}
    with FleetClient(dataclasses.replace(options, name=arguments.name), ("evt",)) as fleet:
        for device, event in _until(arguments.for_s, fleet.listen):
            if event is None or not (arguments.all or device.id == options.device):
                continue
            name = device.id, event.boot, event.seq
            if name in seen:
                continue
            seen[name] = None
            if len(seen) > 10_000:
                del seen[next(iter(seen))]
            if arguments.json:
                print_json({"device": device.id, **plain(event)}, indent=None)
            else:
                print(f"{device.id:<16}{event_line(event)}", flush=True)
    return EXIT_OK


def _until(for_s: float | None, listen: Any) -> Iterable[Any]:
    """What comes, for `for_s` seconds or until Ctrl-C."""
    clock = SystemClock()
    end_ns = None if for_s is None else clock.now_ns() + round(for_s * NS_PER_S)
    while end_ns is None or clock.now_ns() < end_ns:
        left_s = _LISTEN_S if end_ns is None else (end_ns - clock.now_ns()) / NS_PER_S
        yield from listen(min(_LISTEN_S, max(0.0, left_s)))


def _get(arguments: argparse.Namespace) -> int:
    from edge_agent.client import DeviceClient
    from edge_agent.client.key_file import read_key

    with DeviceClient(read_key(arguments.key, "", arguments.device)) as device:
        device.hear(_LISTEN_S)
    if arguments.json:
        print_json(
            {
                "desired": plain(device.desired) if device.desired else None,
                "reported": plain(device.reported) if device.reported else None,
            }
        )
        return EXIT_OK if device.reported else EXIT_TRANSIENT
    if device.desired is not None:
        wishes = " ".join(f"{key}={value}" for key, value in device.desired.set.items())
        print(f"desired {device.desired.ver}: {wishes or 'nothing'}")
    print("\n".join(reported_lines(device.reported) if device.reported else ["never reported"]))
    return EXIT_OK if device.reported else EXIT_TRANSIENT


def _set(arguments: argparse.Namespace) -> int:
    import getpass

    from edge_agent.client import DeviceClient
    from edge_agent.client.key_file import read_key

    wanted = dict(_wish(text) for text in arguments.wishes)
    options = read_key(arguments.key, getpass.getuser()[:64], arguments.device)
    with DeviceClient(options) as device:
        device.hear(_LISTEN_S)  # what is desired already, and by which version
        reported = device.set_desired(wanted, ver=arguments.ver)
    if arguments.json:
        print_json(plain(reported))
    else:
        print("\n".join(reported_lines(reported)))
    return EXIT_OK if reported.refused is None else EXIT_TRANSIENT


def _wish(text: str) -> tuple[str, float | str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ConfigError(f"{text!r}", where="--set", fix="give KEY=VALUE, such as control=monitor")
    try:
        return key, float(value)
    except ValueError:
        return key, value


def reported_lines(reported: "Reported") -> list[str]:
    """What is in force, and what was refused, for people."""
    lines = [f"in force: version {reported.ver}"]
    lines += [
        f"  {key:<28}{state.v!s:<12}{state.ac or '':<5}{state.why}".rstrip()
        for key, state in reported.keys.items()
    ]
    if reported.refused is not None:
        lines.append(f"refused: version {reported.refused.ver}, {reported.refused.reason}")
        lines += [f"  {key:<28}{s.ac} {s.why}" for key, s in reported.refused.keys.items()]
    return lines
