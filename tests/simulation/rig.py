"""What a simulated run needs and the simulator does not make: a policy, a bridge, a recorder."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.core.clock import Clock, SystemClock
from edge_agent.core.records import Proposal
from edge_agent.decision.agent import Options
from edge_agent.decision.fallbacks import fallback_of
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.recording.format import Header, channel_infos
from edge_agent.recording.writer import SegmentWriter
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu_process import FEEDBACK_SENSORS
from edge_agent.sim.run import SimOptions, SimParts, SimResult, simulate
from edge_agent.sim.scenarios import Scenario
from edge_agent.sim.transport import MemoryCable

SPECS = (
    FeatureSpec(kind=FeatureKind.DIFFERENCE, channel="supply_temperature", minus="supply_setpoint"),
    FeatureSpec(
        kind=FeatureKind.MEAN,
        channel="supply_temperature",
        minus="supply_setpoint",
        time_constant_s=900.0,
    ),
    FeatureSpec(
        kind=FeatureKind.DIFFERENCE, channel="supply_setpoint", minus="outdoor_temperature"
    ),
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
    return Features(SPECS, [s.name for s in ENVELOPE.sensors], [a.name for a in ENVELOPE.actuators])


def memory_bridge(cable: MemoryCable, nonce_source: Callable[[], int]) -> SerialBridgePort:
    """The real port on a cable in memory."""
    feedback = FEEDBACK_SENSORS[ENVELOPE.device]
    return SerialBridgePort(cable.name, cable.open, ENVELOPE, feedback, nonce_source)


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


def parts(folder: Path, seed: int = 1, wall: Clock | None = None) -> SimParts:
    def recorder(scenario: Scenario) -> SegmentWriter:
        return SegmentWriter(folder, header(scenario, seed), 64_000_000, 512_000_000)

    def policy(_clock: Clock) -> SplitRangePolicy:
        return SplitRangePolicy()

    return SimParts(
        envelope=ENVELOPE,
        make_policy=policy,
        make_features=features,
        make_bridge=memory_bridge,
        make_recorder=recorder,
        make_options=lambda: Options(fallback=fallback_of(ENVELOPE)),
        wall=wall or SystemClock(),
    )


def run(folder: Path, options: SimOptions, out: io.StringIO | None = None) -> list[SimResult]:
    """Run the options as they are, with real time for a wall clock."""
    return list(simulate(options, parts(folder, options.seed), out or io.StringIO()))
