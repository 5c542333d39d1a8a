"""A site whose broker runs the shipped configuration: mutual TLS, access list, persistence.

Owns: the certificates, for one run, and what the shipped files are changed in: port, paths, user.
"""

from pathlib import Path

from bench.mosquitto import Mosquitto
from edge_agent.client import ClientOptions, DeviceClient
from edge_agent.service.tls import tls_context
from tests.system.certificates import Authority
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

_SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"


class TlsSite(PlaneSite):
    """`client` has the certificate of the shipped access list's plane."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host=host)
        self.authority_of_names = Authority(self.folder)
        self.authority_of_names.issue("broker", san=f"IP:{host}")
        text = (_SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("listener 8883", f"listener {{port}} {host}")
        text = text.replace("/etc/mosquitto/plane/acl", str(_SHIPPED / "acl"))
        text = text.replace("/etc/mosquitto/plane", str(self.folder))
        text = text.replace("/var/lib/mosquitto/", f"{self.folder}/")
        self.broker = Mosquitto(self.folder, f"{text}\nuser root\nlog_type none\n", host)
        crt, key = self.authority_of_names.issue(DEVICE)
        self.write_config(
            f'ca_file = "{self.folder}/ca.crt"\ncert_file = "{crt}"\nkey_file = "{key}"\n'
        )
        crt, key = self.authority_of_names.issue("plane")
        self.tls = tls_context(str(self.folder / "ca.crt"), str(crt), str(key))

    def client_named(self, name: str) -> DeviceClient:
        """With a certificate of this name; closed with the site."""
        crt, key = self.authority_of_names.issue(name)
        options = ClientOptions(
            host=self.broker.host,
            port=self.broker.port,
            device=DEVICE,
            kid="ops",
            secret=self.secrets["ops"],
            tls=tls_context(str(self.folder / "ca.crt"), str(crt), str(key)),
        )
        self._clients.append(DeviceClient(options))
        return self._clients[-1]

    def peer_named(self, name: str, *topics: str) -> MqttPeer:
        """A plain client with a certificate of this name."""
        crt, key = self.authority_of_names.issue(name)
        tls = tls_context(str(self.folder / "ca.crt"), str(crt), str(key))
        return MqttPeer(self.broker.port, *topics, tls=tls)
