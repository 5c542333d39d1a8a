"""The shipped model of the air handler: its files, its golden answers, its sense, its int8."""

import hashlib
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edge_agent.core.clock import ManualClock
from edge_agent.decision.features import FeatureKind
from edge_agent.inference.golden import largest_deviation, load_golden
from edge_agent.inference.manifest import Manifest, load_manifest
from edge_agent.inference.session import OnnxPolicy
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.episodes import sample, shoulder_morning

FOLDER = Path(__file__).parents[3] / "models" / "air-handler"
sys.path.insert(0, str(FOLDER))

from choose import METHODS  # noqa: E402
from closed_loop import COOLING, DAMPER, FAN, HEATING, Controller, Score, run  # noqa: E402
from evaluate import CARD  # noqa: E402
from observation import ACTUATORS, MIXED, OCCUPANCY, ROWS, SEEN  # noqa: E402
from onnx_controller import OnnxController  # noqa: E402
from pid import TUNED, SplitRangePi  # noqa: E402
from teacher import COLDEST_MIXED_DEGC, MIN_OUTDOOR_DAMPER  # noqa: E402


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(FOLDER, ENVELOPE)


@pytest.fixture(scope="module")
def policy(manifest: Manifest) -> OnnxPolicy:
    return OnnxPolicy(FOLDER, manifest, ManualClock())


def settled(
    outdoor: float, setpoint: float, mixed: float, supply: float, *, occupied: bool = True
) -> list[float]:
    """Features of a unit that has stood like this for long, with every output at 0."""
    on = 1.0 if occupied else 0.0
    sensors = {
        "supply_setpoint": setpoint,
        "mixed_temperature": mixed,
        "outdoor_temperature": outdoor,
        "return_temperature": 22.5,
        "fan_status": on,
        "occupancy": on,
        "supply_temperature": supply,
        **dict.fromkeys(ACTUATORS, 0.0),
    }
    return [
        sensors[row.spec.channel] - (sensors[row.spec.minus] if row.spec.minus else 0.0)
        for row in ROWS
    ]


def ask(policy: OnnxPolicy, features: list[float]) -> tuple[float, ...]:
    proposal = policy.propose(features)
    assert proposal.values is not None
    return proposal.values


def at(features: list[float], commands: tuple[float, ...]) -> list[float]:
    """The same, with these last commands."""
    return [*features[:SEEN], *commands]


def test_both_files_have_the_hashes_of_the_manifest(manifest: Manifest) -> None:
    for file, digest in (
        (manifest.file, manifest.sha256),
        (manifest.float_file, manifest.float_sha256),
    ):
        assert hashlib.sha256((FOLDER / file).read_bytes()).hexdigest() == digest


def test_manifest_declares_the_features_that_training_used(manifest: Manifest) -> None:
    declared = [(f.spec(), f.minimum, f.maximum) for f in manifest.feature]
    assert declared == [(row.spec, row.minimum, row.maximum) for row in ROWS]
    raw = tomllib.loads((FOLDER / "manifest.toml").read_text(encoding="utf-8"))
    assert raw["quantization"]["method"] in set(METHODS)


def test_golden_answers_are_reproduced(manifest: Manifest, policy: OnnxPolicy) -> None:
    vectors = load_golden(FOLDER, manifest)
    assert len(vectors) >= 30
    assert largest_deviation(policy, vectors) <= manifest.golden.tolerance


def test_every_answer_is_a_position_and_never_heats_and_cools(policy: OnnxPolicy) -> None:
    rng = np.random.default_rng(0)
    low, high = ([r.minimum for r in ROWS], [r.maximum for r in ROWS])
    for features in rng.uniform(low, high, (2000, len(ROWS))):
        action = ask(policy, list(features))
        assert all(0.0 <= value <= 100.0 for value in action)
        assert min(action[COOLING], action[HEATING]) == 0.0


def test_last_commands_are_the_last_rows_in_the_order_of_the_outputs() -> None:
    kinds = [(row.spec.kind, row.spec.channel) for row in ROWS[SEEN:]]
    assert kinds == [(FeatureKind.COMMAND, name) for name in ACTUATORS]


def test_occupied_outdoor_air_is_never_below_its_least(policy: OnnxPolicy) -> None:
    rng = np.random.default_rng(1)
    low, high = ([r.minimum for r in ROWS], [r.maximum for r in ROWS])
    for features in rng.uniform(low, high, (500, len(ROWS))):
        features[OCCUPANCY], features[MIXED] = 1.0, max(features[MIXED], COLDEST_MIXED_DEGC)
        assert ask(policy, list(features))[DAMPER] >= 100.0 * MIN_OUTDOOR_DAMPER


def test_noise_of_the_sensors_moves_nothing(policy: OnnxPolicy) -> None:
    """The play: an order near enough to the last command repeats it to the last bit."""
    features = settled(outdoor=33.0, setpoint=13.0, mixed=24.5, supply=14.0)
    first = ask(policy, features)
    still = at(features, (first[DAMPER], first[COOLING] + 0.5, first[HEATING], first[FAN] + 0.5))
    rng = np.random.default_rng(2)
    contacts = {"fan_status", "occupancy"}  # these have no noise
    deviation = [0.0 if row.spec.channel in contacts else 0.004 for row in ROWS[:SEEN]]
    for _ in range(50):
        noisy = [*rng.normal(still[:SEEN], deviation), *still[SEEN:]]
        assert ask(policy, noisy)[COOLING] == pytest.approx(first[COOLING] + 0.5, abs=1e-4)


def test_a_valve_that_is_not_wanted_shuts_whatever_the_play(policy: OnnxPolicy) -> None:
    features = settled(outdoor=33.0, setpoint=13.0, mixed=24.5, supply=15.0)
    assert ask(policy, at(features, (30.0, 40.0, 1.0, 60.0)))[HEATING] == 0.0


def test_hot_outside_and_a_low_setpoint_ask_for_cooling(policy: OnnxPolicy) -> None:
    action = ask(policy, settled(outdoor=33.0, setpoint=13.0, mixed=24.5, supply=15.0))
    assert action[COOLING] > 20.0
    assert action[HEATING] == 0.0
    assert action[DAMPER] < 60.0


def test_cold_outside_and_a_high_setpoint_ask_for_heating(policy: OnnxPolicy) -> None:
    action = ask(policy, settled(outdoor=-5.0, setpoint=19.0, mixed=17.0, supply=17.0))
    assert action[HEATING] > 15.0
    assert action[COOLING] == 0.0
    assert action[DAMPER] < 45.0


def test_mild_air_outside_cools_for_nothing(policy: OnnxPolicy) -> None:
    action = ask(policy, settled(outdoor=12.0, setpoint=16.0, mixed=15.1, supply=16.0))
    assert action[COOLING] < 3.0
    assert action[HEATING] < 3.0
    assert action[DAMPER] > 45.0


def test_an_empty_building_is_left_alone(policy: OnnxPolicy) -> None:
    features = settled(outdoor=8.0, setpoint=16.0, mixed=21.5, supply=21.5, occupied=False)
    action = ask(policy, features)
    assert action[COOLING] < 5.0
    assert action[HEATING] < 5.0
    assert action[FAN] < 5.0
    assert action[DAMPER] < 5.0


def test_an_occupied_building_is_ventilated(policy: OnnxPolicy) -> None:
    for outdoor in (-5.0, 10.0, 20.0, 33.0):
        action = ask(policy, settled(outdoor=outdoor, setpoint=16.0, mixed=18.0, supply=16.0))
        assert action[FAN] == pytest.approx(60.0, abs=8.0)
        assert action[DAMPER] >= 100.0 * MIN_OUTDOOR_DAMPER


@pytest.mark.parametrize("setpoint", [0.0, 36.0, float("nan"), float("inf")])
def test_outside_the_trained_range_the_policy_is_silent(
    policy: OnnxPolicy, setpoint: float
) -> None:
    features = settled(outdoor=10.0, setpoint=16.0, mixed=18.0, supply=16.0)
    features[0] = setpoint
    assert policy.propose(features).values is None


@pytest.fixture(scope="module")
def scores(manifest: Manifest) -> dict[str, Score]:
    """A few short episodes, a decision each half second to be quick."""
    controllers: dict[str, Controller] = {
        "int8": OnnxController((FOLDER / manifest.file).read_bytes(), row_by_row=True),
        "float": OnnxController((FOLDER / manifest.float_file).read_bytes(), row_by_row=False),
        "pi": SplitRangePi(TUNED),
    }
    return {
        name: run(sample(range(9000, 9016), 3600.0), controller, 0.5)
        for name, controller in controllers.items()
    }


def test_int8_controls_as_float_does(scores: dict[str, Score]) -> None:
    int8, exact = scores["int8"], scores["float"]
    assert int8.rms_k() == pytest.approx(exact.rms_k(), rel=0.02)
    assert int8.energy_kwh() == pytest.approx(exact.energy_kwh(), rel=0.02)
    assert int8.travel_percent_h() == pytest.approx(exact.travel_percent_h(), rel=0.02)


def test_int8_follows_no_worse_than_the_tuned_rival(scores: dict[str, Score]) -> None:
    assert scores["int8"].rms_k() <= scores["pi"].rms_k()


def test_int8_moves_less_than_the_tuned_rival(scores: dict[str, Score]) -> None:
    assert scores["int8"].travel_percent_h() < scores["pi"].travel_percent_h()


def card_rows() -> dict[str, list[float]]:
    """RMS error, overshoot, energy, travel, seconds of both coils, from the card's table."""
    lines = [line.split("|")[1:-1] for line in CARD.read_text(encoding="utf-8").splitlines()]
    names = {"int8 (shipped)": "int8", "float32": "float", "tuned split-range PI": "pi"}
    return {
        names[cells[0].strip()]: [float(cell) for cell in cells[1:]]
        for cells in lines
        if len(cells) == 6 and cells[0].strip() in names
    }


def test_card_says_that_the_model_beats_the_rival() -> None:
    """On 100 episodes: error no worse, travel less, no coil against the other."""
    rows = card_rows()
    int8, exact, rival = rows["int8"], rows["float"], rows["pi"]
    assert int8[0] <= rival[0]
    assert int8[3] < rival[3]
    assert int8[4] == 0.0
    for measure in (0, 2, 3):
        assert int8[measure] == pytest.approx(exact[measure], rel=0.02)


def test_nothing_freezes_and_coils_never_fight(scores: dict[str, Score]) -> None:
    for score in scores.values():
        assert score.simultaneous_s.sum() == 0.0
        assert score.freezing_s.sum() == 0.0


def test_the_default_morning_is_held_near_its_setpoints(manifest: Manifest) -> None:
    controller = OnnxController((FOLDER / manifest.file).read_bytes(), row_by_row=True)
    assert run(shoulder_morning(1), controller, 0.5).rms_k() < 1.2
