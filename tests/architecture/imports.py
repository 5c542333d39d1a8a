"""Which room may import what: the table of docs/architecture.md, read from import statements.

A room is a folder of `edge_agent`, or one of the files beside them. What is not in its row is
refused, so a new dependency is a decision made here and not a side effect.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.architecture.source import Source, matches

STDLIB = sys.stdlib_module_names

# Modules that can block, ask the world, or make two runs differ. Pure rooms have none.
IMPURE = frozenset(
    "asyncio concurrent ctypes datetime fcntl glob io logging mmap multiprocessing os pathlib"
    " pickle queue random secrets select selectors shutil signal socket sqlite3 ssl"
    " subprocess sys tempfile termios threading time tty urllib uuid".split()
)


@dataclass(frozen=True)
class Room:
    """What the files of one room may import besides the standard library and each other."""

    rooms: frozenset[str]
    packages: frozenset[str]
    pure: bool


def _room(rooms: str, packages: str = "", *, pure: bool = False) -> Room:
    return Room(frozenset(rooms.split()), frozenset(packages.split()), pure)


_L1 = "core safety mission decision authority"

ROOMS: Mapping[str, Room] = MappingProxyType(
    {
        "__init__": _room(""),
        # L0: the vocabulary.
        "core": _room("", "msgspec", pure=True),
        # L1: decisions, pure. Only decision sees the other two.
        "safety": _room("core", pure=True),
        "mission": _room("core safety", pure=True),
        "decision": _room("core safety mission", "numpy", pure=True),
        "authority": _room("core safety decision", "msgspec nacl", pure=True),
        # L2: the world. These rooms do not know each other.
        "inference": _room(_L1, "numpy onnxruntime msgspec"),
        "ports": _room(_L1, "firmware_bridge msgspec pymodbus"),
        "gateway": _room(_L1, "paho msgspec msgpack"),
        "client": _room("core authority service", "paho msgspec"),
        "recording": _room(_L1, "msgspec msgpack"),
        "sim": _room(_L1, "firmware_bridge msgpack msgspec numpy"),
        "service": _room(_L1, "msgspec packaging"),
        # What `init` copies: the example of an envelope, so that it is checked like any other.
        "starter": _room("core safety", pure=True),
        # L3: composition. app alone names concrete classes; loop sees protocols.
        "config": _room(_L1 + " gateway ports", "msgspec"),
        "loop": _room("core safety decision ports service"),
        "app": _room("*", "firmware_bridge numpy msgspec"),
        "cli": _room("*", "msgspec"),
        "__main__": _room("cli"),
    }
)

# Module -> the only files (or folders) that may import it. An empty row: nobody.
OWNERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "time": ("edge_agent/core/clock.py",),
        # The gateway's connections, and the one of a program that commands devices.
        "paho": ("edge_agent/client/connection.py", "edge_agent/gateway/session.py"),
        "nacl": ("edge_agent/authority/ed25519.py",),
        "pymodbus": ("edge_agent/ports/modbus_frames.py",),
        "onnxruntime": ("edge_agent/inference/session.py",),
        # The outside world's handles.
        "termios": ("firmware_bridge/serial_port.py",),
        "pty": ("edge_agent/sim/mcu_terminal.py",),
        "socket": (
            "edge_agent/client/connection.py",
            "edge_agent/gateway/client.py",
            "edge_agent/gateway/control_socket.py",
            "edge_agent/gateway/pages.py",
            "edge_agent/gateway/probe.py",
            "edge_agent/gateway/unix_link.py",
            "edge_agent/gateway/session.py",
            "edge_agent/ports/command_relay.py",
            "edge_agent/ports/gateway_relay.py",
            "edge_agent/ports/listening.py",
            "edge_agent/service/notify.py",
        ),
        # Paho's thread in the gateway process, and in the control process those that sleep but
        # for a trip or a new desired state, and one that looks at the keyring's file; one child of
        # control, the gateway itself. A compiler, while it is installed; what the doctor tries in a
        # process of its own.
        "threading": (
            "edge_agent/gateway/session.py",
            "edge_agent/service/keeper.py",
            "edge_agent/service/keyring_file.py",
        ),
        "subprocess": (
            "edge_agent/service/bounded.py",
            "edge_agent/service/child.py",
            "firmware_bridge/device/build.py",
        ),
        "signal": (
            "edge_agent/app.py",
            "edge_agent/app_sim.py",
            "edge_agent/gateway/process.py",
            "edge_agent/service/again.py",
            "edge_agent/service/check_wheels.py",  # names of signals alone
            "edge_agent/sim/mcu_process.py",
        ),
        # Jitter of reconnections, seeds of simulations; never a decision.
        "random": (
            "edge_agent/app_gateway.py",
            "edge_agent/gateway/",
            "edge_agent/sim/attack.py",
            "edge_agent/sim/hostile.py",
            "edge_agent/sim/hostile_world.py",
            "edge_agent/sim/world.py",
        ),
        "serial": ("firmware_bridge/port_list.py",),
        "asyncio": (),
        "concurrent": (),
        "logging": (),
        "multiprocessing": (),
        "pickle": (),
    }
)


@dataclass(frozen=True)
class Import:
    """One module named by one import statement."""

    module: str
    line: int

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


def imports_of(source: Source) -> Iterator[Import]:
    """Every import of a file, wherever it stands; a relative one begins with a dot."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module == "edge_agent":  # `from edge_agent import safety` names a room
                for alias in node.names:
                    name = "" if alias.name == "__version__" else f".{alias.name}"
                    yield Import(f"edge_agent{name}", node.lineno)
            else:
                yield Import(module, node.lineno)


def room_of(path: str) -> str:
    """The file edge_agent/safety/gate.py is in "safety", edge_agent/loop.py in "loop"."""
    name = path.split("/")[1].removesuffix(".py")
    # app.py and cli.py may have a file per verb beside them, app_gateway.py for one; config.py one
    # for its text.
    return name.split("_")[0] if name.startswith(("app_", "cli_", "config_")) else name


def layer_violations(source: Source) -> list[str]:
    """Imports that a file's room does not allow."""
    found = []
    for item in imports_of(source):
        reason = _refusal(source.path, item)
        if reason:
            found.append(f"{source.path}:{item.line}: {item.module}: {reason}")
    return found


def _refusal(path: str, item: Import) -> str | None:
    if item.module.startswith("."):
        return "a relative import hides which room it crosses into"
    if item.top == "tests":
        return None if path.startswith("tests/") else "nothing but tests imports tests"
    if path.startswith("firmware_bridge/"):
        return _bridge_refusal(item)
    if path.startswith("edge_agent/"):
        return _agent_refusal(path, item)
    return None


def _bridge_refusal(item: Import) -> str | None:
    if item.top == "edge_agent":
        return "the bridge knows nothing of the agent"
    if item.top in STDLIB | {"firmware_bridge", "msgspec", "serial"}:
        return None
    return "the bridge needs msgspec, pyserial and nothing else"


def _agent_refusal(path: str, item: Import) -> str | None:
    name = room_of(path)
    room = ROOMS.get(name)
    if room is None:
        return f"room {name!r} is not in the table of tests/architecture/imports.py"
    if item.top == "edge_agent":
        other = room_of(item.module.replace(".", "/")) if "." in item.module else "__init__"
        allowed = other in room.rooms | {name, "__init__"} or "*" in room.rooms
        return None if allowed else f"{name} may not import {other}"
    if item.top in STDLIB:
        banned = room.pure and item.top in IMPURE and not matches(path, OWNERS.get(item.top, ()))
        return f"{name} is pure" if banned else None
    return None if item.top in room.packages else f"{name} may not import this package"


def owner_violations(source: Source) -> list[str]:
    """Imports of a module that other files own."""
    if not source.path.startswith(("edge_agent/", "firmware_bridge/")):
        return []
    return [
        f"{source.path}:{item.line}: only {OWNERS[item.top] or 'nobody'} may import {item.top}"
        for item in imports_of(source)
        if item.top in OWNERS and not matches(source.path, OWNERS[item.top])
    ]


def dynamic_violations(source: Source) -> list[str]:
    """Imports by string, which no table can see."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.split(".")[-1] in {"__import__", "import_module", "exec", "eval"}:
                found.append(f"{source.path}:{node.lineno}: {name} hides an import or code")
    return found
