"""A site whose broker runs the shipped configuration: mutual TLS, access list, persistence.

Owns: the certificates, for one run, and what the shipped files are changed in: port, paths, user.
"""

import ssl
from pathlib import Path

from edge_agent.client import DeviceClient
from edge_agent.service.tls import tls_context
from tests.system.certificates import Authority
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

_SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"


class TlsSite(PlaneSite):
    """`client` has the certificate of the shipped access list's plane."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host=host)
        self.tls = self._tls_of("plane")

    def broker_config(self, host: str) -> str:
        """The shipped one; with it begins the authority that its certificates are of."""
        self._names = Authority(self.folder)
        self._names.issue("broker", san=f"IP:{host}")
        text = (_SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("listener 8883", f"listener {{port}} {host}")
        text = text.replace("/etc/mosquitto/plane/acl", str(_SHIPPED / "acl"))
        text = text.replace("/etc/mosquitto/plane", str(self.folder))
        text = text.replace("/var/lib/mosquitto/", f"{self.folder}/")
        return f"{text}\nuser root\nlog_type none\n"

    def write_config(self, more: str = "", keepalive_s: int = 2) -> None:
        """With a certificate of the device's name."""
        crt, key = self._names.issue(DEVICE)
        files = f'ca_file = "{self._names.ca}"\ncert_file = "{crt}"\nkey_file = "{key}"\n'
        super().write_config(files + more, keepalive_s)

    def client_named(self, name: str) -> DeviceClient:
        """With a certificate of this name; closed with the site."""
        return self.client(tls=self._tls_of(name))

    def peer_named(self, name: str, *topics: str) -> MqttPeer:
        """A plain client with a certificate of this name."""
        return MqttPeer(self.broker.port, *topics, tls=self._tls_of(name))

    def _tls_of(self, name: str) -> ssl.SSLContext | None:
        crt, key = self._names.issue(name)
        return tls_context(str(self._names.ca), str(crt), str(key))
