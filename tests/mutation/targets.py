"""What is mutated, and by which tests each file is judged.

Owns: the list of files and, for each, the stages of tests in the order in which they run: those
of the file itself first, so that most mutants die in half a second; a survivor has met all. Fewer
stages are a harder gate: what no test near a file notices counts as missed.

Left out are the tests that plant wrong texts themselves: they count how often a text occurs, and
would call any mutant of that line a failure without having run it.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from tests.architecture.source import ROOT, repository_files
from tests.firmware import toolchain
from tests.mutation import c_operators, operators
from tests.mutation.operators import Mutant

Stage = tuple[str, ...]
_ROOM = "edge_agent/safety/"
_UNIT = "tests/unit/safety/"
_SLOW = (f"{_UNIT}test_cells.py", f"{_UNIT}test_reachability.py")
_TWIN = "tests/firmware/test_envelope_c.py"
# Bound to the hash of the shipped limits and to every number of some thousand steps.
_GOLDEN = f"{_TWIN}::test_the_golden_steps_are_what_the_python_envelope_says"
_COMMITTED = f"{_TWIN}::test_the_committed_limits_are_those_of_the_envelope"
_COMMITTED_MCU = (
    "tests/firmware/test_device_c_build.py::test_the_committed_limits_are_those_of_the_envelope"
)
# Where the tests nearest to a file are not those that bear its name.
_NEAR: Mapping[str, Stage] = MappingProxyType(
    {
        "air_handler": (f"{_UNIT}test_devices.py", _GOLDEN),
        "envelope": (f"{_UNIT}test_envelope.py", f"{_UNIT}test_envelope_memory.py", _GOLDEN),
        "header": (f"{_UNIT}test_header.py", _COMMITTED, _COMMITTED_MCU),
        "interlocks": (f"{_UNIT}test_interlocks.py", f"{_UNIT}test_envelope.py", _GOLDEN),
        "limits": (f"{_UNIT}test_checks.py", f"{_UNIT}test_header.py", _GOLDEN),
    }
)
_ROOM_TESTS = (_UNIT, *(f"--deselect={path}" for path in _SLOW))
# What prints or judges an envelope is reached by the command line, what decides by the agent.
_PAGE: tuple[Stage, ...] = (_ROOM_TESTS, ("tests/unit/test_cli_envelope.py",), _SLOW[:1])
_DECISION: tuple[Stage, ...] = (
    _ROOM_TESTS,
    ("tests/unit/decision", "tests/unit/sim/test_inspector.py", _SLOW[0]),
    ("tests/properties/test_agent.py",),
)
_HISTORIES: tuple[Stage, ...] = ((_SLOW[1], "tests/properties/test_supervisor_machine.py"),)
_PLANTS = ("-k", "not refuted and not wrong_twin")
_BOUNDS = ("tests/properties/test_proofs_bounds.py", *_PLANTS)
_STEP: tuple[Stage, ...] = (
    ("tests/properties/test_envelope_sweep.py",),
    (_TWIN, *_PLANTS),
    ("tests/unit/sim/test_attack.py",),
    ("tests/properties/test_proofs.py", *_BOUNDS),
)
# Beyond a file's own tests; a file without a row meets `_DECISION`.
_FAR: Mapping[str, tuple[Stage, ...]] = MappingProxyType(
    {
        "air_handler": _PAGE,
        "checks": (*_PAGE, _BOUNDS),
        "completeness": _PAGE,
        "debt": (*_DECISION, *_HISTORIES),
        "envelope": (*_DECISION, *_STEP),
        "header": (*_PAGE, (_TWIN, *_PLANTS)),
        "interlocks": (*_DECISION, *_STEP[:3]),
        "limits": (*_PAGE, *_DECISION, *_STEP),
        "review": _PAGE,
        "severity": (*_DECISION, *_HISTORIES),
        "supervisor": (*_DECISION, *_HISTORIES),
        "table": _PAGE,
        "tighten": (*_PAGE, _BOUNDS),
    }
)
# Files of the device in C, and the tests of each.
_DEVICE = "firmware_bridge/device/"
_SIM = "tests/unit/sim/"
_KEYED = "tests/unit/firmware_bridge/test_keyed.py"
_CODEC = "tests/firmware/test_device_codec.py"
_KEYED_CODEC = "tests/firmware/test_keyed_c.py"
_SCRIPTS = ("tests/firmware/test_device_c_build.py", "-k", "no_script or golden_frame")
_C: Mapping[str, tuple[Stage, ...]] = MappingProxyType(
    {
        "blake2s.c": ((_KEYED_CODEC,), (_KEYED,), _SCRIPTS),
        "device.c": (
            tuple(f"{_SIM}test_mcu{part}.py" for part in ("", "_boundaries", "_guard", "_keyed")),
            (_KEYED, "tests/unit/ports/test_serial_bridge.py"),
            ("tests/unit/firmware_bridge/test_link.py",),
            _SCRIPTS,
        ),
        "envelope.c": (
            (f"{_TWIN}::test_the_twin_reproduces_the_golden_steps",),
            (_TWIN, *_PLANTS),
            ("tests/firmware/test_envelope_c_build.py", "-k", "sanitizer or memory"),
        ),
        "frame.c": (
            (_CODEC, "-k", "both or reproduces or session"),
            (_CODEC, "-k", "document or corrupted"),
            (_KEYED_CODEC, _KEYED, f"{_SIM}test_mcu.py"),
            _SCRIPTS,
        ),
        "guard.c": (
            (f"{_SIM}test_mcu_guard.py",),
            ("tests/firmware/test_guard_c.py",),
            (f"{_SIM}test_mcu.py", _SLOW[0]),
            _SCRIPTS,
        ),
        "keyed.c": ((_KEYED_CODEC,), (_KEYED,), _SCRIPTS),
    }
)


class Target(NamedTuple):
    """One file."""

    path: str
    compiler: tuple[str, ...]  # refuses what is not even a program; empty: nothing to compile
    stages: tuple[Stage, ...]

    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    def mutants(self) -> list[Mutant]:
        """All wrong versions of the file."""
        find = c_operators.mutants if self.path.endswith(".c") else operators.mutants
        return list(find(self.path, self.text()))


def targets(names: list[str] | None) -> Iterator[Target]:
    """The files that have such names, or all."""
    for path in repository_files():
        name = path.rsplit("/", 1)[-1]
        if names and name not in names:
            continue
        if path.startswith(_ROOM) and path.endswith(".py") and name != "__init__.py":
            yield Target(path, (), _python_stages(PurePosixPath(path).stem))
        elif path.startswith(_DEVICE) and name in _C:
            yield Target(path, _compiler(path), _C[name])


def _python_stages(stem: str) -> tuple[Stage, ...]:
    near = _NEAR.get(stem, (f"{_UNIT}test_{stem}.py",))
    return (near, *_FAR.get(stem, _DECISION))


def _compiler(path: str) -> tuple[str, ...]:
    limits = '-DENVELOPE_LIMITS_H="limits_air_handler_mcu.h"'
    words = (*toolchain.WARNINGS, *toolchain.PLAIN, f"-I{_DEVICE}", limits)
    return (toolchain.program("gcc"), *words, "-fPIC", "-c", path, "-o", "mutant.o")
