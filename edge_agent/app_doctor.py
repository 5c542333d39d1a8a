"""Composition of `edge-agent doctor`: every check of this machine, each with its bound in time.

Owns: which checks there are, in which order, and what each is given. Must not: judge (that is
`service/check_*`), move anything, or arm. What could hang or kill whoever tries it (a model, a
wheel for another CPU) is tried in a process of its own.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge_agent import __version__
from edge_agent.app_realtime import wishes_of
from edge_agent.config import Settings, recordings_folder, state_folder
from edge_agent.core.clock import NS_PER_S, Clock, utc_now_ns
from edge_agent.core.errors import EdgeAgentError, PortError
from edge_agent.service import (
    check_clock,
    check_decision,
    check_disk,
    check_limits,
    check_rights,
    check_wheels,
)
from edge_agent.service.bounded import run_bounded
from edge_agent.service.findings import Finding, failure, good, of_error
from edge_agent.service.upgrade import NOTES, judge_upgrade

_DISTRIBUTION = "edge-autonomy"
_PACKAGE = "edge_agent"
_BYTES_PER_MB = 1_000_000
MODEL_WITHIN_S = 60.0
MODEL_RUNS = 1000


class Patient(NamedTuple):
    """What is looked at. `control`: the running agent's own words, None when none answers.
    `options`: the command line's, for a check in a process of its own. `root`: the file system."""

    settings: Settings
    control: Mapping[str, Any] | None
    options: tuple[str, ...]
    clock: Clock
    root: Path = Path("/")


Check = Callable[[Patient], list[Finding]]


def checks() -> Mapping[str, Check]:
    """Every check but that of the packages, the cheap and basic first."""
    from edge_agent.app_doctor_line import broker, plane, serial

    return {
        "names": names,
        "clock": clock,
        "disk": disk,
        "rights": rights,
        "limits": limits,
        "realtime": real_time,
        "model": model,
        "serial": serial,
        "broker": broker,
        "plane": plane,
        "running": running,
        "upgrade": upgrade,
    }


# What needs no configuration, when it cannot be read.
UNCONFIGURED = ("names", "clock", "limits", "upgrade")


def look(name: str, check: Check, patient: Patient) -> list[Finding]:
    """One check; an operating error in it is a finding."""
    try:
        return check(patient)
    except EdgeAgentError as error:
        return [of_error(name, error)]
    except OSError as error:
        return [failure(name, str(error), "see the message")]


def ask_control(settings: Settings) -> dict[str, Any] | None:
    """What the running agent says of itself; None when none answers."""
    from edge_agent.app_gateway import ask_status

    try:
        control: dict[str, Any] = ask_status(settings).get("control", {})
    except PortError:
        return None
    return control


def wheels(_patient: Patient) -> list[Finding]:
    """Packages load, in versions that fit."""
    tried = check_wheels.try_imports(tuple(check_wheels.MODULES.values()))
    found = check_wheels.misfits(metadata.requires(_DISTRIBUTION) or [], _version_of)
    return [check_wheels.judge_imports(tried), check_wheels.judge_versions(found)]


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def names(_patient: Patient) -> list[Finding]:
    """Nobody else has installed a package of our name."""
    owners = [
        name
        for distribution in metadata.distributions()
        if (name := distribution.metadata["Name"]) and _brings(distribution)
    ]
    return [check_wheels.judge_names(owners)]


def _brings(distribution: metadata.Distribution) -> bool:
    files = distribution.files or ()
    return any(file.parts[:1] == (_PACKAGE,) for file in files)


def clock(patient: Patient) -> list[Finding]:
    """Clocks go forward, and the wall clock is plausible."""
    facts = check_clock.read_clock(patient.clock, utc_now_ns, patient.root)
    return [check_clock.judge_clock(facts)]


def disk(patient: Patient) -> list[Finding]:
    """State can be kept."""
    recordings = recordings_folder(patient.settings)
    kept = sum(f.stat().st_size for f in recordings.iterdir()) if recordings.is_dir() else 0
    most = patient.settings.config.recording.total_mb_max * _BYTES_PER_MB
    facts = check_disk.read_disk(state_folder(patient.settings), patient.clock, patient.root)
    return [check_disk.judge_disk(facts, max(0, most - kept))]


def rights(patient: Patient) -> list[Finding]:
    """Who may write what the agent believes, and read its secrets."""
    config = patient.settings.config
    plain = [path for path in (state_folder(patient.settings),) if path.exists()]
    source = Path(patient.settings.source)
    plain += [source] if source.is_file() else []
    secret = [config.serial.key_file] if config.serial else []
    if config.mqtt:
        secret.append(config.mqtt.password_file)
    if config.plane:
        secret += [config.plane.password_file, config.plane.keyring_file, config.plane.key_file]
    paths = [check_rights.read_path(path, secret=False) for path in plain]
    paths += [check_rights.read_path(Path(path), secret=True) for path in secret if path]
    return [check_rights.judge_rights(paths, os.geteuid())]


def limits(patient: Patient) -> list[Finding]:
    """Whether what the units allow is enforced."""
    return [check_limits.judge_limits(check_limits.read_controllers(patient.root))]


def real_time(patient: Patient) -> list[Finding]:
    """What the loop may ask of the scheduler."""
    facts = check_rights.read_real_time(patient.root)
    return [check_rights.judge_real_time(facts, wishes_of(patient.settings.config.loop))]


def model(patient: Patient) -> list[Finding]:
    """Files, golden vectors and speed of the model, tried in another process."""
    command = [sys.executable, "-m", "edge_agent", "doctor", "--try-model", *patient.options]
    ended = run_bounded(command, MODEL_WITHIN_S)
    fix = "build the model anew for this runtime: docs/models.md"
    if ended.code is None:
        return [failure("model", f"did not answer in {MODEL_WITHIN_S:g} s", fix)]
    try:
        return msgspec.json.decode(ended.out, type=list[Finding])
    except msgspec.DecodeError:
        last = (ended.err.strip().splitlines() or ["no message"])[-1]
        return [failure("model", f"ended the process with {ended.code}: {last}", fix)]


def try_model(settings: Settings, clock: Clock) -> list[Finding]:
    """What `model` runs in another process."""
    try:
        return _tried(settings, clock)
    except EdgeAgentError as error:
        return [of_error("model", error)]


def _tried(settings: Settings, clock: Clock) -> list[Finding]:
    from edge_agent.app import golden_deviation, load_model
    from edge_agent.inference.golden import load_golden

    loaded = load_model(settings, clock)
    deviation = golden_deviation(loaded)
    vectors = load_golden(loaded.folder, loaded.manifest)
    durations = [
        loaded.policy.propose(vectors[i % len(vectors)].observation).elapsed_ns
        for i in range(MODEL_RUNS)
    ]
    period_ns = round(NS_PER_S / settings.config.loop.rate_hz)
    age_ns = min(actuator.proposal_max_age_ns for actuator in settings.envelope.actuators)
    words = f"{loaded.manifest.name} {loaded.manifest.version}, sha256 as in its manifest,"
    words += f" golden deviation {deviation:.4g} (tolerance {loaded.manifest.golden.tolerance:g})"
    found = [good("model", words)]
    found.append(check_decision.judge_latency(durations, period_ns, age_ns))
    return found


def running(patient: Patient) -> list[Finding]:
    """Whether the running agent goes by the files that are here."""
    settings = patient.settings
    hashes = {
        "config": settings.digest,
        "envelope": settings.envelope.sha256(),
        "compiled_envelope": settings.compiled.sha256(),
    }
    return [check_decision.judge_running(patient.control, hashes, __version__)]


def upgrade(patient: Patient) -> list[Finding]:
    """Whether a new version is on trial, or has been rolled back."""
    return [judge_upgrade(patient.root / NOTES.relative_to("/"))]
