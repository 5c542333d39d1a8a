"""The `[plane]` section: what is refused, and that the message names the key and the fix."""

from typing import Any

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
        check_plane(PlaneSettings(**values))
    assert caught.value.where == where
    assert caught.value.fix
