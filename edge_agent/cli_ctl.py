"""`edge-agent ctl`: command a device from afar, from a terminal.

Owns: its words, and how outcomes are printed. Must not: decide what an answer means; the client
says it in a sentence. Exit 0: done. 1: refused, failed, or nobody answered; stderr says which.
"""

import argparse
import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from edge_agent.cli_keys import add_keys
from edge_agent.cli_plane import add_key_option, add_plane, plain
from edge_agent.cli_shared import Verbs, print_json
from edge_agent.core.errors import EXIT_OK, EXIT_TRANSIENT

if TYPE_CHECKING:
    from edge_agent.client import DeviceClient, Outcome

_ARM_S: Final = 10.0
_HOLD_GRACE_S: Final = 5.0
_NOT_GIVEN: Final = float("nan")  # `none` is a value, too
_PLAIN: Final = (
    ("status", "is it there, in which mode, and why"),
    ("disarm", "bring the outputs to safe"),
    ("stop", "make everything safe at once; the device then needs a reset"),
    ("reset", "leave TRIPPED, once the cause is gone; arms nothing"),
)


def add_ctl(verbs: Verbs) -> None:
    """Add the verb and its own verbs."""
    parser = verbs.add_parser(
        "ctl",
        help="command a device from afar",
        description="Sends signed commands over the control plane and waits for the answer."
        " Each is followed at once or never; what is refused says why.",
    )
    operations = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, summary in _PLAIN:
        _add(operations, name, summary)
    arm = _add(operations, "arm", "let the policy decide, as soon as all is ready")
    arm.add_argument(
        "--within", type=float, default=_ARM_S, metavar="S", help="or not at all (default: 10)"
    )
    goal = _add(operations, "set-goal", "set a channel that is a wish, in its unit")
    goal.add_argument("channel")
    what = goal.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "value",
        type=_value,
        nargs="?",
        default=_NOT_GIVEN,
        help="a number, or 'none' to go by the measured one again",
    )
    what.add_argument(
        "--band",
        type=_number,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="between these two all is well, and outside the nearer one is to be reached",
    )
    manual = _add(
        operations,
        "manual",
        "hold an actuator at a value for a while; Ctrl-C lets go",
    )
    manual.add_argument("channel")
    manual.add_argument("value", type=_number, help="in the actuator's unit")
    manual.add_argument(
        "--for",
        dest="lease_s",
        type=_seconds,
        required=True,
        metavar="10s",
        help="how long, at most 60s; to hold it longer, ask again before that",
    )
    mode = _add(operations, "mode", "whether what is decided is also driven; only while SAFE")
    mode.add_argument("control", choices=("monitor", "enforce"))
    query = _add(operations, "query", "what became of a command")
    query.add_argument("id")
    cancel = _add(operations, "cancel", "end a command before it is done")
    cancel.add_argument("id")
    add_plane(operations)
    add_keys(operations)


def _add(verbs: Verbs, name: str, summary: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=f"{summary}.")
    add_key_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="check everything, do nothing")
    parser.set_defaults(verb=_command, op=name)
    return parser


def _command(arguments: argparse.Namespace) -> int:
    from edge_agent.client import DeviceClient
    from edge_agent.client.key_file import read_key

    op = "ping" if arguments.op == "status" else arguments.op
    args = _args(arguments)
    options = read_key(arguments.key, getpass.getuser()[:64], arguments.device)
    with DeviceClient(options) as device:
        # Time for the longest operation: a disarm waits for a ramp.
        within_s = {"arm": args.get("within_s", 0.0) + 5.0, "disarm": 125.0}.get(op, 5.0)
        if op == "manual":
            outcome = _hold(device, args, dry=arguments.dry_run)
        else:
            outcome = device.command(op, args, within_s=within_s, dry=arguments.dry_run)
        if arguments.json:
            print_json({"device": dict(device.status), "answer": plain(outcome)})
        else:
            print(outcome.sentence())
    return EXIT_OK if outcome.st == "done" else EXIT_TRANSIENT


def _hold(device: "DeviceClient", args: Mapping[str, Any], *, dry: bool) -> "Outcome":
    """Until the lease has ended, or Ctrl-C ends it."""
    command_id = device.send("manual", args, dry=dry)
    try:
        return device.wait(command_id, args["lease_s"] + _HOLD_GRACE_S)
    except KeyboardInterrupt:
        device.command("cancel", {"id": command_id})
        return device.wait(command_id, _HOLD_GRACE_S)


def _args(arguments: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    match arguments.op:
        case "arm":
            given = {"within_s": arguments.within}
        case "query" | "cancel":
            given = {"id": arguments.id}
        case "mode":
            given = {"control": arguments.control}
        case "set-goal" if arguments.band is not None:
            low, high = arguments.band
            given = {"channel": arguments.channel, "low": low, "high": high}
        case "set-goal":
            given = {"channel": arguments.channel, "value": arguments.value}
        case "manual":
            names = ("channel", "value", "lease_s")
            given = {name: getattr(arguments, name) for name in names}
    return given


def _value(text: str) -> float | None:
    return None if text == "none" else _number(text)


def _seconds(text: str) -> float:
    return _number(text.removesuffix("s"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, such as 16.5") from None
