"""TLS of a connection to a broker: whom to believe, and how to prove who one is.

Owns: the making of the context. Must not: allow a broker that it cannot verify.
"""

import ssl
from pathlib import Path

from edge_agent.core.errors import ConfigError


def tls_context(ca_file: str, cert_file: str = "", key_file: str = "") -> ssl.SSLContext | None:
    """For a client; None when no `ca_file` is given. ConfigError when a file cannot be used."""
    if not ca_file:
        return None
    where = ca_file
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert_file:
            where = f"{cert_file} and {key_file}"
            if Path(key_file).stat().st_mode & 0o077:
                raise ConfigError(
                    "others can read or write it", where=key_file, fix=f"chmod 600 {key_file}"
                )
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot be used for TLS: {error.strerror or error}",
            where=where,
            fix="correct the path",
        ) from error
    return context
