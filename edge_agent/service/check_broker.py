"""Judgement of one visit to a broker: connection, access list, and who is silent.

Owns: the words. Must not: know a client; what happened comes in as plain values.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from edge_agent.core.clock import NS_PER_MS
from edge_agent.service.findings import Finding, failure, good, warning


class BrokerFacts(NamedTuple):
    """`where`: host and port. `needs`: topics that the agent must be able to write. `listens`:
    topics that it reads. The rest as the visit found it."""

    where: str
    problem: str
    round_trip_ns: int | None
    tells_denials: bool
    refused: Mapping[str, str]
    denied: Mapping[str, str]
    unanswered: Sequence[str]
    heard: Collection[str]
    needs: Sequence[str]
    listens: Sequence[str]


def judge_broker(name: str, facts: BrokerFacts) -> list[Finding]:
    """One line of the connection; one more of rights and silence if somebody must look."""
    if facts.problem:
        fix = "is the broker running, and are host, port, username and password_file right?"
        return [failure(name, f"{facts.where}: {facts.problem}", fix)]
    trouble = [found for found in (_writes(name, facts), _reads(name, facts)) if found is not None]
    trip_ns = facts.round_trip_ns
    if trip_ns is not None:
        return [good(name, f"{facts.where}: round trip {trip_ns / NS_PER_MS:.1f} ms"), *trouble]
    if not trouble:
        words = f"{facts.where}: connected; what it says does not come back to it"
        trouble = [warning(name, words, "let the agent's user read and write below its base topic")]
    return trouble


def _writes(name: str, facts: BrokerFacts) -> Finding | None:
    denied = [topic for topic in facts.needs if topic in facts.denied]
    silent = [topic for topic in facts.needs if topic in facts.unanswered]
    if denied:
        words = f"{facts.where} throws away what the agent publishes to {', '.join(denied)}"
        fix = f"access list: topic write {denied[0]}"
        return failure(name, f"{words} ({facts.denied[denied[0]]})", fix)
    if silent:
        words = f"{facts.where} does not acknowledge {', '.join(silent)}"
        return failure(name, words, "see the broker's log")
    if facts.needs and facts.round_trip_ns is None and not facts.tells_denials:
        words = (
            f"{facts.where} speaks no MQTT 5, so whether it keeps what it is sent cannot be told"
        )
        return warning(name, words, f"look for it elsewhere: mosquitto_sub -t {facts.needs[0]}")
    return None


def _reads(name: str, facts: BrokerFacts) -> Finding | None:
    refused = [topic for topic in facts.listens if topic in facts.refused]
    if refused:
        words = f"{facts.where} refuses the subscription to {', '.join(refused)}"
        return failure(
            name, f"{words} ({facts.refused[refused[0]]})", f"access list: topic read {refused[0]}"
        )
    unheard = [topic for topic in facts.listens if topic not in facts.heard]
    if unheard:
        words = f"nothing was heard on {', '.join(unheard)}: nobody publishes it, or the access"
        words += " list denies it, which Mosquitto does not tell"
        fix = f"is the sensor on? then, access list: topic read {unheard[0]}"
        return warning(name, words, fix)
    return None
