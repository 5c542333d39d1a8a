"""What a simulated run needs and the simulator does not make: a policy, a bridge, a recorder."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from edge_agent.core.clock import Clock, SystemClock
from edge_agent.core.records import Proposal
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.recording.format import Header, channel_infos
from edge_agent.recording.writer import SegmentWriter
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu_process import FEEDBACK_SENSORS
from edge_agent.sim.run import SimOptions, SimParts, SimResult, simulate
from edge_agent.sim.scenarios import Scenario
from edge_agent.sim.transport import MemoryCable
from firmware_bridge.errors import PortUnavailableError
from firmware_bridge.serial_port import SerialPort

SPECS = (
    FeatureSpec(kind=FeatureKind.DIFFERENCE, channel="supply_temperature", minus="supply_setpoint"),
    FeatureSpec(
        kind=FeatureKind.MEAN,
        channel="supply_temperature",
        minus="supply_setpoint",
        time_constant_s=900.0,
    ),
    FeatureSpec(kind=FeatureKind.DIFFERENCE, channel="supply_setpoint", minus="outdoor_temperature"),
    FeatureSpec(kind=FeatureKind.VALUE, channel="occupancy"),
)


class SplitRangePolicy:
    """A plain controller: one demand, split between heating, free cooling and the chiller."""

    def propose(self, features: Sequence[float]) -> Proposal:
        error, lasting, economy, occupancy = features
        demand = 8.0 * error + 60.0 * lasting
        heating = min(max(-demand, 0.0), 100.0)
        damper = min(max(30.0 + demand, 20.0), 100.0) if economy > 0 else 20.0
        cooling = min(max(demand - 40.0, 0.0), 100.0)
        return Proposal((damper, cooling, heating, 80.0 if occupancy else 0.0))


def features() -> Features:
    return Features(
        SPECS, [s.name for s in ENVELOPE.sensors], [a.name for a in ENVELOPE.actuators]
    )


class MemoryBridge(SerialBridgePort):
    """The real port on a cable in memory."""

    def __init__(self, cable: MemoryCable, nonce_source: Callable[[], int]) -> None:
        super().__init__("", 0, ENVELOPE, FEEDBACK_SENSORS[ENVELOPE.device], nonce_source)
        self._cable = cable

    def _open(self, now_ns: int) -> bool:
        if now_ns < self._retry_at_ns:
            return False
        try:
            self._port = cast(SerialPort, self._cable.open())
        except PortUnavailableError:
            self._retry_later(now_ns)
            return False
        self._opens += 1
        self._link.open(now_ns, self._nonce_source())
        return True


def header(scenario: Scenario, seed: int) -> Header:
    sensors, actuators = channel_infos(ENVELOPE)
    return Header(
        device=ENVELOPE.device,
        boot=f"sim-{scenario.name}-{seed}",
        code_version="0",
        hashes={"envelope": ENVELOPE.sha256()},
        sensors=sensors,
        actuators=actuators,
        started_utc_ns=1_700_000_000_000_000_000,
        seed=seed,
        scenario=scenario.name,
    )


def parts(folder: Path, seed: int = 1) -> SimParts:
    def recorder(scenario: Scenario) -> SegmentWriter:
        return SegmentWriter(folder, header(scenario, seed), 64_000_000, 512_000_000)

    def policy(_clock: Clock) -> SplitRangePolicy:
        return SplitRangePolicy()

    return SimParts(
        envelope=ENVELOPE,
        make_policy=policy,
        make_features=features,
        make_bridge=MemoryBridge,
        make_recorder=recorder,
        wall=SystemClock(),
    )


def run(folder: Path, options: SimOptions, out: io.StringIO | None = None) -> list[SimResult]:
    return list(simulate(options, parts(folder, options.seed), out or io.StringIO()))
