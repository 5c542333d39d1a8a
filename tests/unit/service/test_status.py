"""What `edge-agent status` prints first: mode, cause, and what a person should know beside them."""

from typing import Any

from edge_agent.service.status import status_text


def control(**more: Any) -> dict[str, Any]:
    facts = {"device": "air-handler", "mode": "SAFE", "decides": "nobody", "cause": ""}
    return {**facts, "enforced": True, "reasons": [], "channels": {}, "command": {}, **more}


def first_lines(**more: Any) -> list[str]:
    return status_text({"control": control(**more), "gateway": {}}).splitlines()


def test_an_upgrade_that_was_rolled_back_is_in_the_second_line() -> None:
    words = "the upgrade to 2.0 was rolled back to 1.0: edge-agent failed"
    assert first_lines(upgrade=words)[1] == f"  {words}"


def test_without_one_there_is_no_such_line() -> None:
    words = first_lines(upgrade="the upgrade to 2.0 was rolled back")
    assert first_lines(upgrade="") == first_lines() == [words[0], *words[2:]]
