"""The envelope's bench measures what it says: every kind of wish does what its name says."""

import json

import pytest

from bench.envelope import SIZES, device, main, wish
from edge_agent.core.records import Mode, Rule, Snapshot
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety.checks import require_sound


@pytest.mark.parametrize("actuators", SIZES)
def test_the_devices_are_sound_and_of_their_size(actuators: int) -> None:
    require_sound(device(actuators))
    assert len(device(actuators).actuators) == actuators


def test_extreme_wishes_meet_range_speed_and_travel() -> None:
    limits = device(16)
    state = envelope_step.initial(limits, 0)
    snapshot = Snapshot((1500, 1200, 800, 2200, 1400, 1, 1, 500, 300), (0,) * 9, (0,) * 9)
    met = set()
    for step in range(1, 5000):
        order = envelope_step.Order(Mode.ACTIVE, wish("extreme", step, 16))
        state, verdict = envelope_step.step(limits, state, order, snapshot, step * 100_000_000)
        met |= {r.rule for r in verdict.reasons}
    assert met >= {Rule.ABOVE_MAX, Rule.BELOW_MIN, Rule.RATE_UP, Rule.RATE_DOWN, Rule.TRAVEL}


def test_it_prints_a_row_for_every_size_and_kind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["envelope.py", "--steps", "200", "--json"])
    assert main() == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3 * len(SIZES)
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in rows)
