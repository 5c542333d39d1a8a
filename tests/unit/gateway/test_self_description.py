"""What a plane is told of a device is what the envelope and the operations say."""

import msgspec

from edge_agent.authority.documents import Meta
from edge_agent.authority.operations import OPERATIONS, decode_args
from edge_agent.gateway.self_description import describe
from edge_agent.safety.devices.air_handler import ENVELOPE

META = describe(ENVELOPE, "enforce", {"model": "m"})


def test_every_channel_is_there_with_its_limits_in_its_unit() -> None:
    names = [*(s.name for s in META.sensors), *(a.name for a in META.actuators)]
    assert tuple(names) == ENVELOPE.channel_names
    for said, limits in zip(META.actuators, ENVELOPE.actuators, strict=True):
        scale = limits.counts_per_unit
        assert (said.min * scale, said.max * scale) == (limits.min_counts, limits.max_counts)
        assert said.safe * scale == limits.safe.counts
    assert [s.name for s in META.sensors if s.goal] == ["supply_setpoint"]


def test_every_operation_is_there_and_its_schema_is_that_of_its_arguments() -> None:
    assert set(META.ops) == set(OPERATIONS)
    examples = {"number": 1.0, "string": "x", "boolean": True, "integer": 1, "array": []}
    for name, operation in OPERATIONS.items():
        args = {}
        for key, rule in META.ops[name].args["properties"].items():
            kind = rule.get("type") or rule.get("anyOf", [{}])[0].get("type")
            args[key] = rule["enum"][0] if "enum" in rule else examples[kind]
        assert decode_args(operation, msgspec.msgpack.encode(args)) is not None, name


def test_a_goals_channel_is_one_that_takes_a_goal() -> None:
    assert META.ops["set-goal"].args["properties"]["channel"]["enum"] == ["supply_setpoint"]


def test_it_fits_a_message() -> None:
    packed = msgspec.msgpack.encode(META)
    assert len(packed) < 16_384
    assert msgspec.msgpack.decode(packed, type=Meta) == META
