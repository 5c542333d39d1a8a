"""How the last upgrade by the package went, as its judge has noted it (deploy/deb/versions).

Owns: the reading of two small files of `NAME=value` lines, and their words. Must not: judge, switch
or write; that is done by root, from outside, for a version that may not even start.

The form of the notes is shared by all versions: names may be added, and none changes its meaning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge_agent.service.findings import Finding, good, warning

NOTES: Final = Path("/var/lib/edge-autonomy")
_CHECK: Final = "upgrade"
_JOURNAL: Final = "journalctl -u edge-agent-trial"


def rolled_back(notes: Path = NOTES) -> str:
    """Why another version runs than the one that was installed last; empty when none does."""
    outcome = read_note(notes / "outcome")
    if outcome.get("RESULT") != "rolled-back":
        return ""
    new, old = outcome.get("NEW", "?"), outcome.get("GOOD", "?")
    return f"the upgrade to {new} was rolled back to {old}: {outcome.get('WHY', 'no reason noted')}"


def judge_upgrade(notes: Path) -> Finding:
    """Whether a new version is on trial, or has been rolled back."""
    trial, outcome = read_note(notes / "trial"), read_note(notes / "outcome")
    if trial:
        words = f"{trial.get('NEW', '?')} is on trial: if it is not steady, "
        return warning(_CHECK, f"{words}{trial.get('GOOD', '?')} comes back", f"wait: {_JOURNAL}")
    if words := rolled_back(notes):
        return warning(_CHECK, words, f"{_JOURNAL}; then install a version that holds")
    if outcome.get("RESULT") == "no-way-back":
        words = f"{outcome.get('NEW', '?')} did not hold: {outcome.get('WHY', 'no reason noted')}"
        return warning(_CHECK, words, f"{_JOURNAL}; then install a version that holds")
    if outcome:
        return good(_CHECK, f"{outcome.get('NEW', '?')} has held")
    return good(_CHECK, "nothing was upgraded by the package here")


def read_note(path: Path) -> Mapping[str, str]:
    """The names in a note; empty when there is none, or none that can be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
