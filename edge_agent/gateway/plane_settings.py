"""The `[plane]` section of the configuration: the control plane's broker and this device's id.

Owns: its shape and its checks. Must not: hold a secret; keys and passwords are files.
"""

from typing import Final, Literal

import msgspec

from edge_agent.authority.desired_keys import RATE_HZ
from edge_agent.authority.keyring import key_bytes
from edge_agent.authority.operations import CAN_BE_LOCAL_ONLY
from edge_agent.authority.topics import is_id
from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import require_range

_PORT_MAX: Final = 65_535


class PlaneBroker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[plane.brokers]]` row: another way to the same plane."""

    host: str
    port: int = 1883


class PlaneSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[plane]` section. `id` is the device's own in the fleet. Without `keyring_file` the
    keyring is the systemd credential `keyring`; with a `root_key`, the public half in base64, it
    must be signed. A `ca_file` makes it TLS; `cert_file` and
    `key_file` prove to the broker who this is. The operations in `local_only` are refused from
    afar, whoever asks."""

    id: str
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: str = ""
    keyring_file: str = ""
    root_key: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    protocol: Literal["3.1.1", "5"] = "5"
    keepalive_s: int = 15
    telemetry_rate_hz: float = 1.0
    # What is kept of the telemetry while there is no connection.
    backlog_mb_max: int = 16
    backlog_hours_max: float = 24.0
    local_only: tuple[str, ...] = ()  # operations that nobody may ask for from afar
    # In the order in which they are tried, instead of `host` and `port`.
    brokers: tuple[PlaneBroker, ...] = ()

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """(host, port) of every broker, in the order in which they are tried."""
        rows = tuple((broker.host, broker.port) for broker in self.brokers)
        return rows or ((self.host, self.port),)


def check_plane(plane: PlaneSettings) -> None:
    """ConfigError for the first thing that cannot work."""
    if not is_id(plane.id):
        raise ConfigError(
            f"{plane.id!r} cannot be a device's id",
            where="plane.id",
            fix="1 to 64 of a-z, 0-9, '-' and '_', such as 'ahu-7'",
        )
    for op in plane.local_only:
        if op not in CAN_BE_LOCAL_ONLY:
            raise ConfigError(
                f"{op!r} cannot be kept for people at the device",
                where="plane.local_only",
                fix=f"choose of: {', '.join(sorted(CAN_BE_LOCAL_ONLY))}",
            )
    if plane.root_key and key_bytes(plane.root_key) is None:
        raise ConfigError(
            "is not the public half of a key",
            where="plane.root_key",
            fix="copy it from what `edge-agent ctl keys root` printed",
        )
    for number, (host, port) in enumerate(plane.addresses):
        where = f"plane.brokers[{number}]" if plane.brokers else "plane"
        if not host:
            raise ConfigError("is empty", where=f"{where}.host", fix="name or address of a broker")
        require_range(port, 1, _PORT_MAX, f"{where}.port")
    for name, value, least, most in (
        ("keepalive_s", plane.keepalive_s, 1, 600),
        ("telemetry_rate_hz", plane.telemetry_rate_hz, *RATE_HZ),
        ("backlog_mb_max", plane.backlog_mb_max, 1, 10_000),
        ("backlog_hours_max", plane.backlog_hours_max, 0.01, 10_000),
    ):
        require_range(value, least, most, f"plane.{name}")
    if bool(plane.cert_file) != bool(plane.key_file) or (plane.cert_file and not plane.ca_file):
        raise ConfigError(
            "a certificate needs its key, and both need a ca_file",
            where="plane.cert_file",
            fix="set plane.ca_file, plane.cert_file and plane.key_file",
        )
    if plane.password_file and not plane.username:
        raise ConfigError(
            "a password needs a username", where="plane.username", fix="set plane.username"
        )
