"""The control plane as an AsyncAPI document, from the types that decode it.

Owns: docs/control-plane.asyncapi.json. Must not: say anything that the code does not do; the
schemas are the types' own.
"""

import inspect
from typing import Any, Final

import msgspec

from edge_agent.authority.body import Body, Reply, Status
from edge_agent.authority.desired import Desired
from edge_agent.authority.documents import Event, Meta, Reported, Telemetry
from edge_agent.authority.operations import OPERATIONS
from edge_agent.authority.topics import ALL_STOP, topics_of

_REF: Final = "#/components/schemas/{name}"
_PAYLOADS: Final = (Status, Body, Reply, Meta, Telemetry, Event, Desired, Reported)
_SEALED: Final = (
    "msgpack [body, sig, kid]: body is a packed Body, sig is HMAC-SHA256 or Ed25519, kid is text"
)


def asyncapi(version: str) -> dict[str, Any]:
    """AsyncAPI 3.0; payloads are msgpack, the schemas are of the decoded values."""
    topics = topics_of("{device}")
    args = [operation.args for operation in OPERATIONS.values()]
    _, schemas = msgspec.json.schema_components([*_PAYLOADS, *args], ref_template=_REF)
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    schemas["Body"]["properties"]["args"] = {
        "description": "of the operation named by op",
        "oneOf": [{"$ref": _REF.format(name=kind.__name__)} for kind in dict.fromkeys(args)],
    }
    schemas["Body"]["properties"]["op"]["examples"] = sorted(OPERATIONS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edge-autonomy control plane",
            "version": version,
            "description": "See control-plane.md, which says what each answer means.",
        },
        "defaultContentType": "application/msgpack",
        "channels": {
            "status": _channel(topics.status, "Status"),
            "cmd": _channel(topics.cmd, "Body", _SEALED),
            "allStop": _channel(ALL_STOP, "Body", _SEALED),
            "resp": _channel(topics.resp, "Reply"),
            "respCopy": _channel(f"{topics.resp}/{{name}}", "Reply"),
            "meta": _channel(topics.meta, "Meta"),
            "tele": _channel(topics.tele, "Telemetry"),
            "evt": _channel(topics.evt, "Event"),
            "desired": _channel(topics.desired, "Desired", _SEALED.replace("Body", "Desired")),
            "reported": _channel(topics.reported, "Reported"),
        },
        "operations": {
            "sendStatus": _operation("send", "status", "retained, QoS 1, also the will"),
            "receiveCommand": _operation("receive", "cmd", "never retained, QoS 1"),
            "receiveAllStop": _operation("receive", "allStop", "never retained, QoS 1"),
            "sendReply": _operation("send", "resp", "QoS 1"),
            "copyReply": _operation(
                "send", "respCopy", "MQTT 5, the response topic of the command, QoS 1"
            ),
            "sendMeta": _operation("send", "meta", "retained, QoS 1"),
            "sendTelemetry": _operation("send", "tele", "QoS 0 live, QoS 1 when it was kept"),
            "sendEvent": _operation("send", "evt", "QoS 1"),
            "receiveDesired": _operation("receive", "desired", "retained, QoS 1"),
            "sendReported": _operation("send", "reported", "retained, QoS 1"),
        },
        "components": {"schemas": schemas},
    }


def _channel(address: str, schema: str, description: str = "msgpack map") -> dict[str, Any]:
    payload = {"$ref": _REF.format(name=schema)}
    channel: dict[str, Any] = {
        "address": address,
        "messages": {schema: {"description": description, "payload": payload}},
    }
    known = {"device": "[plane] id", "name": "as the sender of the command chose"}
    used = {key: {"description": what} for key, what in known.items() if f"{{{key}}}" in address}
    return {**channel, "parameters": used} if used else channel


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    """From the device's side."""
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
    }
