"""Every reason that a device can give has a sentence for a person."""

import re
from pathlib import Path

import pytest

from edge_agent.client.outcome import Outcome

_PAGE = Path(__file__).parents[3] / "docs" / "control-plane.md"
_TABLES = re.findall(
    r"^\| `(?:rejected|failed)`, `why.reason` .*?\n((?:\|.*\n)+)", _PAGE.read_text(), re.MULTILINE
)
REASONS = sorted({r for table in _TABLES for r in re.findall(r"^\| `(\w+)`", table, re.MULTILINE)})


def _answer(**why: object) -> Outcome:
    return Outcome(id="a", st="rejected", boot="b", seq=1, at=0, why=why)


def test_the_page_names_reasons() -> None:
    assert {"envelope", "stale_session", "interrupted"} <= set(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_a_documented_reason_has_a_sentence(reason: str) -> None:
    sentence = _answer(reason=reason).sentence()
    assert sentence.startswith("rejected: ")
    assert len(sentence) > len(f"rejected: {reason}") + 10


def test_a_reason_of_a_later_version_is_told_as_it_is() -> None:
    assert _answer(reason="quorum").sentence() == "rejected: quorum"


def test_facts_follow_the_reason() -> None:
    outcome = _answer(reason="envelope", channel="x", limit=40.0, value=95, unit="degC")
    assert outcome.sentence().endswith("(channel x, limit 40.0, value 95, unit degC)")


@pytest.mark.parametrize(
    ("state", "final"), [("accepted", False), ("running", False), ("done", True), ("failed", True)]
)
def test_a_last_word_is_known_as_one(state: str, final: bool) -> None:
    assert Outcome(id="a", st=state, boot="b", seq=1, at=0).final is final
