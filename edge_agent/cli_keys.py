"""`edge-agent ctl keys`: who may command which device.

Owns: its words. Must not: print a secret.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cli_shared import Verbs, broker_address
from edge_agent.core.errors import EXIT_OK

if TYPE_CHECKING:
    from edge_agent.client.key_file import NewKey


def add_keys(operations: Verbs) -> None:
    """Add the verb and its own verbs."""
    keys = operations.add_parser(
        "keys",
        help="make, enrol and sign keys",
        description="Who may command a device stands in its keyring. For a few devices, `new` is"
        " all there is. For a fleet, make a `root` key once and keep it away from every network:"
        " a device that has its public half takes only keyrings that it has signed, each newer"
        " than the last. Then make keys with `new --ed25519 --root FILE`, put them into the"
        " keyrings of more devices with `enrol`, and copy each keyring to its device, which takes"
        " it without a restart. To withdraw a key, remove its row and `sign` the keyring anew.",
    )
    verbs = keys.add_subparsers(title="commands", required=True, metavar="COMMAND")
    root = verbs.add_parser(
        "root",
        help="make the key that signs keyrings",
        description="Writes the root's key, for its owner only, and prints the line with its public"
        " half for the [plane] section of every device.",
    )
    root.add_argument("file", type=Path, help="where, such as root.key.json")
    root.set_defaults(verb=_root)
    _add_new(verbs)
    enrol = verbs.add_parser(
        "enrol",
        help="put a key that somebody has into another device's keyring",
        description="By its public half, so only for keys made with --ed25519: the secret of"
        " another key must be known at one device only.",
    )
    _add_row(enrol)
    enrol.add_argument(
        "--public", required=True, metavar="BASE64", help="as `keys new --ed25519` printed it"
    )
    enrol.set_defaults(verb=_enrol)
    sign = verbs.add_parser(
        "sign",
        help="sign a keyring as it is",
        description="Signs what the keyring says, as its next version.",
    )
    sign.add_argument("keyring", type=Path)
    sign.add_argument("--root", type=Path, required=True, metavar="FILE", help="the root's key")
    sign.set_defaults(verb=_sign)


def _add_new(verbs: Verbs) -> None:
    new = verbs.add_parser(
        "new",
        help="make one key, and enrol it for a device",
        description="Writes two files: DEVICE.keyring.json, to be installed on the device as its"
        " keyring_file, with a row more than before; and DEVICE.KID.key.json, for the key's owner."
        " Keep both away from everybody else.",
    )
    _add_row(new)
    new.add_argument(
        "--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="(default: %(default)s)"
    )
    new.add_argument(
        "--ed25519",
        action="store_true",
        help="the device knows the public half only, so one key can be enrolled at many;"
        " needs edge-autonomy[ed25519] here and there",
    )
    new.set_defaults(verb=_new)


def _add_row(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", required=True, metavar="ID", help="[plane] id of the device")
    parser.add_argument("--kid", required=True, metavar="ID", help="name of the key: its owner")
    parser.add_argument(
        "--role", choices=("cmd", "stop"), default="cmd", help="all, or only what makes it safe"
    )
    parser.add_argument(
        "--op", action="append", default=[], help="only this operation (repeatable)"
    )
    parser.add_argument("--root", type=Path, metavar="FILE", help="sign it with the root's key")
    parser.add_argument("--folder", type=Path, default=Path(), help="where (default: here)")


def _root(arguments: argparse.Namespace) -> int:
    from edge_agent.client.keyring_edit import make_root

    public = make_root(arguments.file)
    print(f"{arguments.file}  keep it away from every network, and have a copy")
    print(f'root_key = "{public}"  # for [plane] of every device')
    return EXIT_OK


def _new(arguments: argparse.Namespace) -> int:
    from edge_agent.client.key_file import make_key

    made = make_key(_row(arguments), arguments.folder)
    print(f"{made.keyring}  for the device (version {made.version})")
    print(f"{made.key}  for {arguments.kid}")
    if made.public:
        print(f"{made.public}  public half, for `keys enrol` at other devices")
    return EXIT_OK


def _enrol(arguments: argparse.Namespace) -> int:
    from edge_agent.client.key_file import enrol

    made = enrol(_row(arguments), arguments.folder, arguments.public)
    print(f"{made.keyring}  for the device (version {made.version})")
    return EXIT_OK


def _sign(arguments: argparse.Namespace) -> int:
    from edge_agent.client.keyring_edit import sign_keyring

    document = sign_keyring(arguments.keyring, arguments.root)
    print(f"{arguments.keyring}  for {document.device} (version {document.ver})")
    return EXIT_OK


def _row(arguments: argparse.Namespace) -> "NewKey":
    from edge_agent.client.key_file import NewKey

    host, port = broker_address(getattr(arguments, "broker", "127.0.0.1:1883"))
    return NewKey(
        device=arguments.device,
        kid=arguments.kid,
        role=arguments.role,
        ops=tuple(arguments.op),
        host=host,
        port=port,
        algorithm="ed25519" if getattr(arguments, "ed25519", False) else "hmac",
        root=arguments.root,
    )
