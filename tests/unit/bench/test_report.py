"""Figures are what their names say."""

import pytest

from bench.load import FREE_RUNNING, Block
from bench.report import AGENT, FLOOR, TARGETS, Extras, document, markdown


def block(*latencies_us: int, cpu_us: int = 10) -> Block:
    return Block([us * 1000 for us in latencies_us], 0, 1_000_000_000, cpu_us * 1000)


def extras() -> Extras:
    return Extras(
        memory_kb={AGENT: 2048, FLOOR: 1024, "bare": 1024},
        start_ns={AGENT: [30, 90], FLOOR: [10, 30], "bare": [10, 45]},
        scheduler={AGENT: "normal"},
        status={"mode": "ACTIVE"},
    )


def found(agent: list[Block], floor: list[Block]) -> dict[str, dict[str, float]]:
    results = {(AGENT, 50): agent, (FLOOR, 50): floor}
    rows = document(results, extras())["ratios"]
    return {row["id"]: row for row in rows}


def test_a_ratio_is_the_median_over_pairs_of_blocks() -> None:
    agent = [block(30), block(40), block(900)]
    floor = [block(10), block(20), block(30)]
    row = found(agent, floor)["R1"]
    assert row["ratio"] == pytest.approx(3.0)
    assert (row["low"], row["high"]) == pytest.approx((2.0, 30.0))


def test_cpu_is_per_tick_and_lost_ticks_count() -> None:
    lossy = Block([1000], 1, 1_000_000_000, 60_000)
    assert found([lossy], [block(1, cpu_us=10)])["R3"]["ratio"] == pytest.approx(3.0)


def test_starts_are_compared_in_pairs_and_memory_with_the_bare_import() -> None:
    rows = found([block(1)], [block(1)])
    assert rows["R11"]["ratio"] == pytest.approx(2.5)
    assert rows["R12"]["ratio"] == pytest.approx(2.0)


def test_percentiles_are_nearest_rank_and_an_empty_block_is_zero() -> None:
    whole = block(*range(1, 102))
    assert whole.percentile_ns(50) == 51_000
    assert whole.percentile_ns(99) == 100_000
    assert whole.percentile_ns(100) == 101_000
    assert Block().percentile_ns(99) == 0


def test_the_table_names_every_ratio_with_its_target() -> None:
    results = {
        (AGENT, 50): [block(2)],
        (FLOOR, 50): [block(1)],
        (AGENT, FREE_RUNNING): [block(2)],
        (FLOOR, FREE_RUNNING): [block(1)],
    }
    text = markdown(document(results, extras()))
    for name, target in TARGETS.items():
        assert f"| {name} |" in text
        assert target in text
    assert "agent 50 Hz" in text
    assert "floor free running" in text
    assert "mode ACTIVE" in text
