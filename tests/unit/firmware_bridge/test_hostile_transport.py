"""Both ends over every kind of bad line: never a wrong output, and back by themselves."""

import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.link import LinkState
from firmware_bridge.messages import DeviceState, SafeReason
from tests.unit.firmware_bridge.hostile import (
    DEADMAN_MS,
    FAULTS,
    MS,
    STEP_NS,
    Fault,
    Judge,
    Rig,
    Wish,
    clean,
    everything,
)

SAFE = ENVELOPE.safe_counts
RECOVERY_MS = 600  # a new session, an ARM with a repeat, three tokens


def rig_with(fault: Fault, end: str, seed: int = 1) -> Rig:
    to_device = clean if end == "to host" else fault
    to_host = clean if end == "to device" else fault
    return Rig(seed, to_device, to_host)


@pytest.mark.parametrize("fault", [clean, *FAULTS, everything], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("end", ["to host", "to device", "both"])
def test_a_bad_line_costs_time_and_never_a_wrong_output(fault: Fault, end: str) -> None:
    rig = rig_with(fault, end)
    rig.run(6_000)
    assert rig.judge.moves > 50, "the line was so bad that nothing was tried"
    assert rig.armed_steps > rig.steps // 10
    rig.to_device.fault = rig.to_host.fault = clean
    rig.run(400)  # what was on its way arrives
    rig.until_armed(RECOVERY_MS)


@pytest.mark.parametrize("fault", [*FAULTS, everything], ids=lambda fault: fault.__name__)
def test_a_device_reset_in_mid_frame_costs_the_session_and_no_more(fault: Fault) -> None:
    rig = rig_with(fault, "both", seed=2)
    for _ in range(12):
        rig.run(rig.rng.randrange(200, 500))
        rig.to_host.write(rig.now_ns, b"\x00\x07\x90\x01")  # what its transmitter had got out
        rig.reset_device()
        rig.step()
        assert rig.mcu.outputs == SAFE
    rig.to_device.fault = rig.to_host.fault = clean
    rig.run(400)
    rig.until_armed(RECOVERY_MS)
    assert rig.link.counters.lost_reset > 0


@pytest.mark.parametrize("end", ["to host", "to device"])
def test_a_half_open_line_makes_the_outputs_safe_within_the_dead_man(end: str) -> None:
    rig = Rig()
    rig.until_armed(RECOVERY_MS)
    rig.run(300)
    assert rig.mcu.outputs != SAFE
    cable = rig.to_host if end == "to host" else rig.to_device
    cable.cut = True
    # A host that hears nothing goes on for 100 ms with ever older tokens.
    rig.run(DEADMAN_MS + 60 + 10)
    assert rig.mcu.outputs == SAFE
    assert rig.mcu.safe_reason == SafeReason.DEAD_MAN
    rig.run(2_000)
    assert rig.mcu.state == DeviceState.SAFE
    cable.cut = False
    rig.until_armed(RECOVERY_MS)


def test_a_line_that_echoes_arms_nothing() -> None:
    """Transmit wired to receive, at both ends."""
    rig = Rig()
    rig.device_runs = False
    wires: list[bytes] = []
    for _ in range(400):
        rig.step()
        wires += rig.to_device.read(rig.now_ns)
        for wire in wires[-2:]:
            rig.to_host.write(rig.now_ns, wire)
    assert rig.link.state is LinkState.IDENT
    assert rig.link.decoder.bad.reflected > 10


@pytest.mark.parametrize("frozen_ms", [20, 60, 120, 500, 3_000])
def test_what_a_frozen_host_had_decided_is_not_executed_late(frozen_ms: int) -> None:
    """The process is stopped with commands on their way and telemetry piling up."""
    rig = Rig(to_device=everything)
    rig.until_armed(4_000)
    for _ in range(5):
        rig.freeze_host(frozen_ms)
        rig.run(150)
    rig.to_device.fault = clean
    rig.run(400)
    rig.until_armed(RECOVERY_MS)


@pytest.mark.parametrize("frozen_ms", [20, 90, 200, 3_000])
def test_a_frozen_device_executes_nothing_older_than_the_silence_that_a_host_allows(
    frozen_ms: int,
) -> None:
    """Its own clock stood, so it cannot know; the host flushed what it had sent for it."""
    rig = Rig()
    rig.until_armed(RECOVERY_MS)
    rig.judge.extra_ns = min(frozen_ms, 100 + 10) * MS + STEP_NS
    for _ in range(5):
        rig.run(200)
        rig.freeze_device(frozen_ms)
        rig.run(200)
    rig.until_armed(RECOVERY_MS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_disarmed_device_stays_safe_on_every_line(fault: Fault) -> None:
    rig = rig_with(fault, "both", seed=3)
    rig.run(500)
    rig.wants_armed = False
    rig.run(1_000)
    assert rig.mcu.outputs == SAFE
    rig.run(500)
    assert rig.mcu.state == DeviceState.SAFE
    rig.wants_armed = True
    rig.to_device.fault = rig.to_host.fault = clean
    rig.run(400)
    rig.until_armed(RECOVERY_MS)


def test_a_host_that_starts_anew_finds_its_device_safe() -> None:
    rig = Rig()
    rig.until_armed(RECOVERY_MS)
    rig.run(300)
    rig.wants_armed = False
    rig.open_session()  # the old process died; its successor is quick
    while rig.link.state is not LinkState.READY:
        assert rig.judge.moves
        rig.step()
    assert rig.mcu.outputs == SAFE
    assert rig.mcu.safe_reason == SafeReason.NEW_SESSION


@pytest.mark.parametrize("reset", [False, True])
def test_every_frame_of_an_earlier_session_fails_its_check(*, reset: bool) -> None:
    """A new session after the same session: same clock, same tokens, same numbers."""
    rig = Rig()
    rig.until_armed(RECOVERY_MS)
    rig.run(500)
    old = [wire for wire in rig.sent if wire[2] & 0x40 == 0]  # those with a session's salt
    assert len(old) > 40
    if reset:
        rig.reset_device()
    rig.open_session()
    rig.until_armed(RECOVERY_MS)
    assert rig.telemetry is not None
    bad_before = rig.telemetry.bad_frames
    rig.host_runs = False
    for wire in old:
        rig.to_device.write(rig.now_ns, wire)
    rig.run(10)
    rig.host_runs = True
    rig.run(50)
    assert rig.telemetry.bad_frames - bad_before == len(old)


# ---- the judge itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "at_ms", "outputs"),
    [
        (Wish(0, 1, (3, 0, 0, 0)), 100, (3, 0, 0, 0)),  # stale
        (Wish(100 * MS, 1, (0, 3, 0, 0)), 100, (3, 0, 0, 0)),  # another actuator
        (Wish(100 * MS, 1, (-3, 0, 0, 0)), 100, (-3, 0, 0, 0)),  # out of range
        (Wish(100 * MS, 1, (900, 0, 0, 0)), 100, (900, 0, 0, 0)),  # too fast
    ],
)
def test_the_judge_sees_a_wrong_move(wish: Wish, at_ms: int, outputs: tuple[int, ...]) -> None:
    judge = Judge()
    judge.decided(Wish(0, 1, SAFE))
    judge.look(0, [(0, SAFE)])
    judge.decided(wish)
    with pytest.raises(AssertionError):
        judge.look(at_ms * MS, [(at_ms * MS, outputs)])


def test_the_judge_sees_an_old_session_and_a_value_held_too_long() -> None:
    judge = Judge()
    judge.decided(Wish(0, 2, (0, 3, 0, 0)))
    judge.look(0, [(0, (0, 2, 0, 0))])
    judge.decided(Wish(0, 1, (3, 0, 0, 0)))
    with pytest.raises(AssertionError, match="session"):
        judge.look(0, [(0, (2, 0, 0, 0))])
    with pytest.raises(AssertionError, match="held"):
        judge.look(200 * MS, [])
