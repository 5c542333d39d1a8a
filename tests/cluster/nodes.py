"""Three-node clusters of brokers on loopback: NATS and RabbitMQ, as Debian ships them.

Owns: their configurations, start, the killing of one node, and the end of all. Must not: speak
MQTT beyond asking whether a node takes connections.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

NODES = 3
# Debian's rabbitmq-server in /usr/sbin becomes another user, who may not write in our folder.
_PATH = os.pathsep.join(("/usr/lib/rabbitmq/bin", os.environ.get("PATH", ""), "/usr/sbin"))


def quiet_port() -> int:
    """A free loopback port below those that the kernel gives to clients: a node needs seconds
    until it listens."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _program(name: str) -> str:
    path = shutil.which(name, path=_PATH)
    assert path is not None, f"{name} is needed: .ci/system-packages clusters"
    return path


def _takes_clients(port: int) -> bool:
    """Whether a client with a session of its own is let in, which needs the whole cluster."""
    answers: list[bool] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2, f"probe-{port}", protocol=MQTTProtocolVersion.MQTTv311
    )
    client.on_connect = lambda *words: answers.append(not words[3].is_failure)
    try:
        client.connect("127.0.0.1", port)
    except OSError:
        return False
    deadline_s = time.monotonic() + 5
    while not answers and time.monotonic() < deadline_s:
        client.loop(0.1)
    client.disconnect()
    client.loop(0.1)
    return bool(answers) and answers[0]


class Cluster(ABC):
    """Use as a context manager; `ports` are where the nodes speak MQTT."""

    start_within_s: ClassVar[float]
    one_by_one: ClassVar[bool] = False  # each joins those that are there

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [quiet_port() for _ in range(NODES)]
        self._processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def _commands(self) -> list[tuple[list[str], dict[str, str]]]:
        """Command line and environment of each node; its files are written."""

    def __enter__(self) -> Self:
        try:
            for port, (words, environment) in zip(self.ports, self._commands(), strict=True):
                self._start(words, environment)
                if self.one_by_one:
                    self._wait_for(port, self._processes[-1])
            for port, process in zip(self.ports, self._processes, strict=True):
                self._wait_for(port, process)
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, words: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"node-{len(self._processes)}.out").open("wb") as out:
            self._processes.append(
                subprocess.Popen(
                    words,
                    env={**os.environ, **environment},
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def kill(self, node: int) -> None:
        """SIGKILL to all of a node's processes, as a power cut."""
        process = self._processes[node]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End every node."""
        for node, process in enumerate(self._processes):
            if process.poll() is None:
                self.kill(node)

    def _wait_for(self, port: int, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + self.start_within_s
        while not _takes_clients(port):
            assert process.poll() is None, f"a node ended by itself: {self._words()}"
            assert time.monotonic() < deadline_s, f"the cluster is not up: {self._words()}"
            time.sleep(0.2)

    def _words(self) -> str:
        return "\n".join(p.read_text(errors="replace")[-800:] for p in self.folder.glob("*.out"))


class Nats(Cluster):
    """Retained messages and sessions are kept by two of the three."""

    start_within_s = 60.0

    def _commands(self) -> list[tuple[list[str], dict[str, str]]]:
        routes = [quiet_port() for _ in range(NODES)]
        known = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        commands: list[tuple[list[str], dict[str, str]]] = []
        for node, (mqtt, route) in enumerate(zip(self.ports, routes, strict=True)):
            file = self.folder / f"nats-{node}.conf"
            file.write_text(
                f'server_name: "node-{node}"\nlisten: 127.0.0.1:{quiet_port()}\n'
                f'jetstream {{ store_dir: "{self.folder}/nats-{node}" }}\n'
                f'cluster {{ name: "fleet", listen: 127.0.0.1:{route}, routes: [{known}] }}\n'
                f'mqtt {{ listen: "127.0.0.1:{mqtt}", stream_replicas: {NODES} }}\n'
            )
            commands.append(([_program("nats-server"), "-c", str(file)], {}))
        return commands


class RabbitMq(Cluster):
    """Sessions in quorum queues; a retained message stays on the node that got it."""

    start_within_s = 120.0
    one_by_one = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._names_port = str(quiet_port())
        self._names: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # The nodes would start one themselves, which outlives them.
        words = [_program("epmd"), "-port", self._names_port, "-address", "127.0.0.1"]
        self._names = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return super().__enter__()

    def close(self) -> None:
        """End every node, and who told their names."""
        super().close()
        if self._names is not None:
            self._names.kill()
            self._names.wait()

    def _commands(self) -> list[tuple[list[str], dict[str, str]]]:
        names = [f"fleet{node}-{os.getpid()}@localhost" for node in range(NODES)]
        peers = "".join(
            f"cluster_formation.classic_config.nodes.{n} = {name}\n"
            for n, name in enumerate(names, start=1)
        )
        home = self.folder / "home"
        home.mkdir()
        cookie = home / ".erlang.cookie"
        cookie.write_text("FLEET" * 4)
        cookie.chmod(0o400)
        plugins = self.folder / "plugins"
        plugins.write_text("[rabbitmq_mqtt].\n")
        commands: list[tuple[list[str], dict[str, str]]] = []
        for node, name in enumerate(names):
            file = self.folder / f"rabbit-{node}.conf"
            file.write_text(
                f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.ports[node]}\n"
                "mqtt.allow_anonymous = true\nmqtt.default_user = guest\n"
                "mqtt.default_pass = guest\nmqtt.tcp_listen_options.nodelay = true\n"
                "mqtt.durable_queue_type = quorum\n"
                "cluster_formation.peer_discovery_backend = classic_config\n" + peers
            )
            environment = {
                "HOME": str(home),
                "RABBITMQ_NODENAME": name,
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(quiet_port()),
                "RABBITMQ_DIST_PORT": str(quiet_port()),
                "RABBITMQ_CONFIG_FILE": str(file),
                "RABBITMQ_MNESIA_BASE": str(self.folder / f"rabbit-{node}"),
                "RABBITMQ_LOG_BASE": str(self.folder / f"rabbit-{node}-log"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
                "ERL_EPMD_PORT": self._names_port,
            }
            commands.append(([_program("rabbitmq-server")], environment))
        return commands


CLUSTERS: dict[str, type[Cluster]] = {"nats": Nats, "rabbitmq": RabbitMq}
