"""A gateway process of its own for tests that kill it: argv is port, socket path, parent."""

import os
import random
import sys
from pathlib import Path

from edge_agent.core.clock import SystemClock
from edge_agent.gateway.process import GatewayJob, run_gateway
from edge_agent.service.notify import open_notifier
from tests.system.gateway_bench import ListRecorder, job


def main() -> None:
    port, socket_path, parent = sys.argv[1:]
    base = job(int(port), Path(socket_path))
    run_gateway(
        GatewayJob(
            envelope=base.envelope,
            settings=base.settings,
            socket_path=base.socket_path,
            parent_pid=int(parent) or None,
        ),
        ListRecorder(),
        SystemClock(),
        random.Random(1),
        open_notifier(os.environ),
    )


if __name__ == "__main__":
    main()
