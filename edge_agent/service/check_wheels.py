"""Checks of the installation: packages that load on this CPU, in versions that fit, and no other
distribution under the same name.

Owns: these judgements. Must not: import the packages in this process: a wheel that was built for
another CPU kills whoever loads it.
"""

import platform
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from edge_agent.service.bounded import Ended, run_bounded
from edge_agent.service.findings import Finding, failure, good

IMPORT_WITHIN_S = 60.0  # a cold SD card reads 150 MB
_WHEELS = "wheels"
_NAMES = "names"
_REINSTALL = "install again: python -m pip install --force-reinstall edge-autonomy"
# Distribution -> what proves that it loads.
MODULES: Mapping[str, str] = MappingProxyType(
    {
        "msgpack": "msgpack",
        "msgspec": "msgspec",
        "numpy": "numpy",
        "onnxruntime": "onnxruntime",
        "packaging": "packaging.requirements",
        "paho-mqtt": "paho.mqtt.client",
        "pyserial": "serial",
    }
)
# Says each name before it tries it: the last one is whom to blame, whatever became of the process.
_PROGRAM = """\
import importlib, os, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
for name in sys.argv[1:]:
    print(name, flush=True)
    importlib.import_module(name)
"""


def try_imports(modules: Sequence[str], within_s: float = IMPORT_WITHIN_S) -> Ended:
    """Load each in a process of its own."""
    return run_bounded([sys.executable, "-c", _PROGRAM, *modules], within_s)


def judge_imports(ended: Ended) -> Finding:
    """Whether every package loads, and otherwise which one does not."""
    here = f"Python {platform.python_version()} on {platform.machine()}"
    if ended.code == 0:
        return good(_WHEELS, f"{len(ended.out.split())} packages load, {here}")
    blamed = ended.out.split()[-1] if ended.out.split() else "the interpreter"
    if ended.code is None:
        why = f"was not loaded in {IMPORT_WITHIN_S:g} s"
    elif ended.code < 0:
        why = f"ends the process: {signal.strsignal(-ended.code)} (built for another CPU?)"
    else:
        why = f"does not load: {(ended.err.strip().splitlines() or ['no message'])[-1]}"
    return failure(_WHEELS, f"{blamed} {why}, {here}", _REINSTALL)


def misfits(requirements: Sequence[str], version_of: Callable[[str], str | None]) -> list[str]:
    """What is asked for and not there in a version that fits; extras do not count."""
    found = []
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            found.append(f"{text!r} cannot be read")
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = version_of(wanted.name)
        if version is None:
            found.append(f"{wanted.name} is not installed")
        elif not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{wanted.name} {version}, needs {wanted.specifier}")
    return found


def judge_versions(found: Sequence[str]) -> Finding:
    """From `misfits`."""
    if found:
        return failure("versions", "; ".join(found), _REINSTALL)
    return good("versions", "every package is in the range that is asked for")


def judge_names(owners: Sequence[str]) -> Finding:
    """`owners`: installed distributions that bring a package `edge_agent`."""
    others = sorted({name for name in owners if canonicalize_name(name) != "edge-autonomy"})
    if others:
        return failure(
            _NAMES,
            f"{', '.join(others)} also brings a package edge_agent and may replace files of ours",
            f"python -m pip uninstall {' '.join(others)}, then {_REINSTALL}",
        )
    return good(_NAMES, "no other distribution brings a package edge_agent")
