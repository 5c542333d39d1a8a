"""The `[metrics]` section of the configuration: where the numbers can be read, if at all.

Owns: its shape and its checks. Must not: open a port to a network unless the owner says so in so
many words: whoever can reach it reads every sensor.
"""

import ipaddress
from typing import Final

import msgspec

from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import require_range

PORT: Final = 9464  # the one on which the unit of the gateway may listen


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[metrics]` section. Without it nothing listens. `beyond_loopback` must be true for an
    `address` that other machines can reach."""

    port: int = PORT
    address: str = "127.0.0.1"
    beyond_loopback: bool = False


def check_metrics(metrics: MetricsSettings) -> None:
    """ConfigError for the first thing that cannot work, or is not meant."""
    require_range(metrics.port, 1, 65_535, "metrics.port")
    try:
        address = ipaddress.ip_address(metrics.address)
    except ValueError as error:
        raise ConfigError(
            f"{metrics.address!r} is not an address of this machine",
            where="metrics.address",
            fix="a number such as 127.0.0.1 or ::1, not a name",
        ) from error
    if not address.is_loopback and not metrics.beyond_loopback:
        raise ConfigError(
            f"{metrics.address} can be reached by other machines, which then read every sensor",
            where="metrics.address",
            fix="keep 127.0.0.1, or say beyond_loopback = true",
        )
