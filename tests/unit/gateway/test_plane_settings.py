"""The `[plane]` section: what is refused, and that the message names the key and the fix."""

from typing import Any

import msgspec
import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.gateway.plane_settings import PlaneSettings, check_plane


def test_an_id_is_enough() -> None:
    check_plane(PlaneSettings(id="ahu-7"))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": ""}, "plane.id"),
        ({"id": "AHU"}, "plane.id"),
        ({"id": "a/b"}, "plane.id"),
        ({"id": "a.b"}, "plane.id"),
        ({"id": "+"}, "plane.id"),
        ({"id": "_all"}, "plane.id"),
        ({"id": "x" * 65}, "plane.id"),
        ({"host": ""}, "plane.host"),
        ({"port": 0}, "plane.port"),
        ({"port": 65536}, "plane.port"),
        ({"brokers": ({"host": "a"}, {"host": ""})}, "plane.brokers[1].host"),
        ({"brokers": ({"host": "a", "port": 0},)}, "plane.brokers[0].port"),
        ({"telemetry_rate_hz": 0}, "plane.telemetry_rate_hz"),
        ({"telemetry_rate_hz": float("nan")}, "plane.telemetry_rate_hz"),
        ({"backlog_mb_max": 0}, "plane.backlog_mb_max"),
        ({"backlog_hours_max": 0}, "plane.backlog_hours_max"),
        ({"keepalive_s": 0}, "plane.keepalive_s"),
        ({"keepalive_s": 601}, "plane.keepalive_s"),
        ({"local_only": ("stop",)}, "plane.local_only"),
        ({"local_only": ("disarm",)}, "plane.local_only"),
        ({"local_only": ("query",)}, "plane.local_only"),
        ({"local_only": ("manual", "dance")}, "plane.local_only"),
        ({"password_file": "/p"}, "plane.username"),
        ({"cert_file": "/c", "ca_file": "/ca"}, "plane.cert_file"),
        ({"key_file": "/k", "ca_file": "/ca"}, "plane.cert_file"),
        ({"cert_file": "/c", "key_file": "/k"}, "plane.cert_file"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(change: dict[str, Any], where: str) -> None:
    values = {"id": "ahu-7", **change}
    with pytest.raises(ConfigError) as caught:
        check_plane(msgspec.convert(values, PlaneSettings))
    assert caught.value.where == where
    assert caught.value.fix


def test_a_list_of_brokers_takes_the_place_of_the_one() -> None:
    plane = msgspec.convert(
        {"id": "a", "brokers": [{"host": "x", "port": 8883}, {"host": "y"}]}, PlaneSettings
    )
    check_plane(plane)
    assert plane.addresses == (("x", 8883), ("y", 1883))
    assert PlaneSettings(id="a", host="z").addresses == (("z", 1883),)
