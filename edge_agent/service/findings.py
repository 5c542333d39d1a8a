"""What a check of the machine found: ok, warn or fail, in words, with the fix.

Owns: the record, the screen of `edge-agent doctor`, and its exit code. Must not: look at anything.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec

from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, EdgeAgentError

_NAME_COLUMNS = 11


class Verdict(StrEnum):
    """How far a check is content."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One line of the screen. `exit_code` counts only in a finding that fails."""

    check: str
    verdict: Verdict
    words: str
    fix: str = ""
    exit_code: int = EXIT_TRANSIENT


def good(check: str, words: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Verdict.OK, words)


def warning(check: str, words: str, fix: str) -> Finding:
    """It runs, and somebody should look."""
    return Finding(check, Verdict.WARN, words, fix)


def failure(check: str, words: str, fix: str) -> Finding:
    """It does not run, or not as configured."""
    return Finding(check, Verdict.FAIL, words, fix)


def of_error(check: str, error: EdgeAgentError) -> Finding:
    """What `run` would end with, as a finding with the same exit code."""
    words = f"{error.where}: {error.what}" if error.where else error.what
    return Finding(check, Verdict.FAIL, words, error.fix, error.exit_code)


def exit_code(findings: Collection[Finding]) -> int:
    """78 when a person must correct the configuration, 1 when anything else fails, else 0."""
    codes = {f.exit_code for f in findings if f.verdict is Verdict.FAIL}
    if not codes:
        return EXIT_OK
    return EXIT_CONFIG if EXIT_CONFIG in codes else EXIT_TRANSIENT


def lines(finding: Finding) -> Iterable[str]:
    """A line, and one with the fix below it when there is something to do."""
    yield f"{finding.verdict:<5} {finding.check:<{_NAME_COLUMNS}} {finding.words}"
    if finding.fix:
        yield f"{'':<{6 + _NAME_COLUMNS}} fix: {finding.fix}"


def summary(findings: Collection[Finding]) -> str:
    """The last line of the screen."""
    count = {v: sum(f.verdict is v for f in findings) for v in Verdict}
    return f"{count[Verdict.OK]} ok, {count[Verdict.WARN]} warn, {count[Verdict.FAIL]} fail"
