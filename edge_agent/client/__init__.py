"""L2: the other side of the control plane, for people and programs that command devices.

    with DeviceClient(options) as device:
        device.command("arm")

It knows the words of `edge_agent.authority` and nothing of a running agent.
"""

from edge_agent.authority.documents import Event, Meta, Reported, Telemetry
from edge_agent.client.connection import BrokerOptions
from edge_agent.client.device import ClientOptions, DeviceClient, NoAnswerError
from edge_agent.client.fleet import DeviceState, FleetClient
from edge_agent.client.outcome import Outcome

__all__ = [
    "BrokerOptions",
    "ClientOptions",
    "DeviceClient",
    "DeviceState",
    "Event",
    "FleetClient",
    "Meta",
    "NoAnswerError",
    "Outcome",
    "Reported",
    "Telemetry",
]
