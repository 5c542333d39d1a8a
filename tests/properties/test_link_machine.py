"""Any history of both ends of the link, with the clock in the hand and a line that does its worst.

Hypothesis chooses the faults of each direction, cuts, resets, freezes, restarts and what a
person wants; the judge of `tests.unit.firmware_bridge.hostile` looks at every move of the pins.
Every history ends with a clean line, and the link must come back by itself.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.link import LinkState
from firmware_bridge.messages import DeviceState
from tests.unit.firmware_bridge.hostile import FAULTS, MS, STEP_NS, Fault, Rig, clean, everything

SAFE = ENVELOPE.safe_counts
LINES = st.sampled_from((clean, clean, everything, *FAULTS))
# Around what the rules turn on: a tick, the age of a token, the silence, the dead man.
TIMES_MS = st.sampled_from((5, 10, 30, 55, 65, 95, 105, 165, 400))
COUNTS = st.integers(-(2**15), 2**15 - 1)


class LinkMachine(RuleBasedStateMachine):
    """One host, one device, two cables."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.stood = False  # since its boot

    @initialize(seed=st.integers(0, 2**16), to_device=LINES, to_host=LINES)
    def begin(self, seed: int, to_device: Fault, to_host: Fault) -> None:
        self.rig = Rig(seed, to_device, to_host)
        self.rig.run(300)

    @rule(ms=TIMES_MS)
    def time_passes(self, ms: int) -> None:
        self.rig.run(ms)

    @rule(counts=st.tuples(*[COUNTS] * len(SAFE)), ms=TIMES_MS)
    def the_host_asks_for_anything(self, counts: tuple[int, ...], ms: int) -> None:
        self.rig.asked = counts
        self.rig.run(ms)
        self.rig.asked = None

    @rule(fault=LINES)
    def the_line_to_the_device_changes(self, fault: Fault) -> None:
        self.rig.to_device.fault = fault

    @rule(fault=LINES)
    def the_line_to_the_host_changes(self, fault: Fault) -> None:
        self.rig.to_host.fault = fault

    @rule(towards_device=st.booleans(), towards_host=st.booleans(), ms=TIMES_MS)
    def the_cable_is_pulled_or_half_open(
        self, *, towards_device: bool, towards_host: bool, ms: int
    ) -> None:
        self.rig.to_device.cut, self.rig.to_host.cut = towards_device, towards_host
        self.rig.run(ms)
        self.rig.to_device.cut = self.rig.to_host.cut = False

    @rule(noise=st.binary(max_size=60), towards_device=st.booleans())
    def bytes_come_from_nowhere(self, noise: bytes, *, towards_device: bool) -> None:
        cable = self.rig.to_device if towards_device else self.rig.to_host
        cable.write(self.rig.now_ns, noise)

    @precondition(lambda self: not self.stood)  # what was flushed for it may not come again
    @rule(back=st.integers(1, 200))
    def an_old_message_comes_again(self, back: int) -> None:
        self.rig.to_device.write(self.rig.now_ns, b"".join(self.rig.sent[-back:][:20]))

    @rule()
    def the_device_resets(self) -> None:
        self.rig.reset_device()
        self.stood = False

    @rule()
    def the_host_starts_anew(self) -> None:
        self.rig.open_session()

    @rule(ms=TIMES_MS)
    def the_host_is_stopped_for_a_while(self, ms: int) -> None:
        self.rig.freeze_host(ms)

    @rule(ms=TIMES_MS)
    def the_device_stands_for_a_while(self, ms: int) -> None:
        # What was said to it until the host noticed the silence, it may still do.
        self.rig.judge.extra_ns = max(self.rig.judge.extra_ns, min(ms, 110) * MS + STEP_NS)
        self.rig.freeze_device(ms)
        self.stood = True

    @rule()
    def a_person_disarms(self) -> None:
        self.rig.wants_armed = False

    @rule()
    def a_person_arms(self) -> None:
        self.rig.wants_armed = True

    @invariant()
    def a_device_that_is_not_armed_drives_nothing(self) -> None:
        assert self.rig.mcu.state == DeviceState.ARMED or self.rig.mcu.outputs == SAFE

    def teardown(self) -> None:
        rig = self.rig
        rig.to_device.fault = rig.to_host.fault = clean
        rig.wants_armed = False
        rig.run(600)
        assert rig.mcu.outputs == SAFE
        assert rig.link.state is LinkState.READY
        rig.wants_armed = True
        rig.until_armed(600)


TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=60, stateful_step_count=30)
