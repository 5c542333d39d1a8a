"""The files of the control plane's connection.

Owns: TLS as configured, and what `check` says of the plane. Must not: be imported by the control
process, which has no network and no use for TLS.
"""

import os
import ssl

from edge_agent.app_commands import keyring_source
from edge_agent.config import Settings, state_folder
from edge_agent.service.tls import tls_context


def plane_tls(settings: Settings) -> ssl.SSLContext | None:
    """For the connection to the plane's broker; ConfigError when a file cannot be used."""
    plane = settings.config.plane
    if plane is None:
        return None
    return tls_context(plane.ca_file, plane.cert_file, plane.key_file)


def check_plane_files(settings: Settings) -> str:
    """Read every file of the plane, and say what is there. ConfigError for the first bad one."""
    plane = settings.config.plane
    if plane is None:
        return "none"
    keyring = keyring_source(plane, os.environ, state_folder(settings)).check()
    tls = "TLS" if plane_tls(settings) is not None else "no TLS"
    keys = f"{len(keyring.keys)} keys, version {keyring.version}"
    where = ", ".join(f"{host}:{port}" for host, port in plane.addresses)
    return f"{plane.id} at {where}, {tls}, {keys}"
