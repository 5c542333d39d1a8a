"""The published schema is that of the code, and what the code sends fits it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent import __version__
from edge_agent.authority.body import Status
from edge_agent.authority.operations import OPERATIONS
from edge_agent.authority.topics import ALL_STOP, topics_of
from edge_agent.client.asyncapi import asyncapi
from tests.unit.authority.office import Office, outcome

_PUBLISHED = Path(__file__).parents[3] / "docs" / "control-plane.asyncapi.json"
_PAGE = _PUBLISHED.with_name("control-plane.md").read_text(encoding="utf-8")


def _schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = asyncapi("0")["components"]["schemas"][name]
    return found


def test_the_published_document_is_current() -> None:
    published = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(asyncapi(__version__)))


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(asyncapi("0"))
    schemas = asyncapi("0")["components"]["schemas"]
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(schemas)
    assert names


@pytest.mark.parametrize("name", sorted(asyncapi("0")["components"]["schemas"]))
def test_every_key_of_every_payload_is_on_the_page(name: str) -> None:
    for key in _schema(name)["properties"]:
        assert f"`{key}`" in _PAGE, key


def test_every_topic_has_a_channel_and_is_on_the_page() -> None:
    channels = {channel["address"] for channel in asyncapi("0")["channels"].values()}
    topics = topics_of("{device}")
    assert channels == {*topics, ALL_STOP, f"{topics.resp}/{{name}}"}
    for address in channels:
        named = address.replace("{device}", "<id>").replace("{name}", "<name>")
        assert f"| `{named}` |" in _PAGE, address


def test_every_operation_is_on_the_page() -> None:
    assert all(f"| `{op}` |" in _PAGE for op in OPERATIONS)


def test_what_a_device_says_has_the_keys_of_the_schema() -> None:
    office = Office()
    for answer in (office.ask("ping"), office.ask("reset"), office.ask("arm")):
        assert answer.id
    for sent in office.answers:
        document = msgspec.msgpack.decode(sent.body)
        assert (
            set(_schema("Reply")["required"])
            <= set(document)
            <= set(_schema("Reply")["properties"])
        )
        assert outcome(sent).boot == document["boot"]
    status = msgspec.msgpack.decode(msgspec.msgpack.encode(Status(on=False, why="stopped")))
    assert status == {"on": False, "why": "stopped"}


def test_what_a_sender_must_say_is_required() -> None:
    assert set(_schema("Body")["required"]) == {"id", "dev", "op", "ctr", "ttl"}
