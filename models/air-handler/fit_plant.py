"""Fits the simulated air handler to the healthy days of the recorded unit.

    python models/air-handler/fit_plant.py [--log MZVAV-2-1.csv] [--write]

Without a log the extract under data/ is used. With --write the parameters replace
edge_agent/sim/plant_fitted.py (and, given a log, the extract is made anew). Prints the
errors that docs/plant.md quotes. Owns: the order of the fit and its assumptions. Must not:
look at the held-out days before judging them.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
from airlog import EXTRACT, FIT_DAYS, HELD_OUT_DAYS, Day, FloatArray, read_days, write_extract
from scipy.optimize import least_squares

from edge_agent.sim import episodes
from edge_agent.sim.episodes import Episode
from edge_agent.sim.plant import AirHandlerPlant
from edge_agent.sim.plant_parameters import PlantParameters
from edge_agent.sim.thermal import coefficients, coil_effects, outdoor_fraction

TARGET = Path(__file__).parents[2] / "edge_agent" / "sim" / "plant_fitted.py"
CHILLED_DEGC, HOT_DEGC = 6.5, 55.0  # not logged: usual design values
SETTLED_MIN = 20  # minutes of running before a row counts as settled

# What a log with a row a minute and no flow, water, position or current cannot show. The
# sources are named in docs/plant.md. The rest are first guesses that the fit replaces.
ASSUMED = PlantParameters(
    flow_kg_s=1.8,
    fan_rise_k=1.5,
    fan_power_w=3000.0,
    fan_idle_a=0.6,
    fan_current_a=8.0,
    outdoor_leak=0.03,
    outdoor_full=0.95,
    outdoor_linear=0.5,
    heating_effectiveness=0.35,
    heating_curve=1.5,
    heating_dead=0.3,
    cooling_effectiveness=0.75,
    cooling_curve=0.5,
    cooling_dead=0.05,
    flow_sag=0.4,
    damper_lag_s=8.0,
    valve_lag_s=8.0,
    fan_lag_s=4.0,
    coil_lag_s=20.0,
    sensor_lag_s=15.0,
    prove_speed=0.12,
    prove_delay_s=5.0,
    mixing_capacity_j_k=8.0e3,
    duct_capacity_j_k=12.0e3,
    casing_loss_w_k=10.0,
    plant_room_degc=21.5,
    zone_capacity_j_k=8.0e6,
    zone_loss_w_k=150.0,
    zone_target_degc=22.5,
    terminal_gain_w_k=15000.0,
    terminal_max_w=20000.0,
    plenum_rise_k=0.8,
    gains_full_w=10000.0,
    temperature_noise_k=0.05,
    current_noise_a=0.03,
    position_noise=0.002,
)
GAINS_OCCUPIED, GAINS_EMPTY = 0.6, 0.1  # of gains_full_w


def settled(day: Day) -> np.ndarray:
    """Rows where the unit has run, occupied, for SETTLED_MIN minutes."""
    running = day.valid & (day["fan_status"] > 0) & (day["occupied"] > 0)
    since = np.arange(len(running)) - np.maximum.accumulate(
        np.where(running, -1, np.arange(len(running)))
    )
    return running & (since > SETTLED_MIN)


def gather(days: list[Day]) -> tuple[dict[str, FloatArray], np.ndarray]:
    """Settled rows of all days, with the number of the day of each."""
    masks = [settled(day) for day in days]
    rows = {
        n: np.concatenate([d[n][m] for d, m in zip(days, masks, strict=True)])
        for n in days[0].values
    }
    return rows, np.concatenate([np.full(m.sum(), i) for i, m in enumerate(masks)])


def fit_mixing(p: PlantParameters, rows: dict[str, FloatArray]) -> PlantParameters:
    names = ("outdoor_full", "outdoor_linear")

    def residual(x: FloatArray) -> FloatArray:
        q = dataclasses.replace(p, **dict(zip(names, x, strict=True)))
        fraction = outdoor_fraction(rows["damper"], q)
        mixed = rows["returned"] + fraction * (rows["outdoor"] - rows["returned"])
        misfit: FloatArray = mixed - rows["mixed"]
        return misfit

    x = least_squares(residual, [0.95, 0.3], bounds=([0.5, 0], [1, 1]), loss="soft_l1").x
    return dataclasses.replace(p, **dict(zip(names, map(float, x), strict=True)))


def fit_fan(p: PlantParameters, rows: dict[str, FloatArray]) -> PlantParameters:
    """Warming by the fan, from rows where neither valve has been open."""
    shut = (rows["cooling"] == 0.0) & (rows["heating"] == 0.0)
    rise, square = (rows["supply"] - rows["mixed"])[shut], rows["fan"][shut] ** 2
    return dataclasses.replace(p, fan_rise_k=float(np.median(rise / square)))


COIL = {  # first guess, low, high, weight of the guess
    "heating_effectiveness": (0.5, 0.1, 0.8, 0.3),
    "heating_curve": (1.0, 0.4, 20.0, 0.3),
    "heating_dead": (0.1, 0.02, 0.6, 3.0),
    "cooling_effectiveness": (0.75, 0.4, 0.9, 3.0),
    "cooling_curve": (0.5, 0.1, 20.0, 0.3),
    "cooling_dead": (0.05, 0.02, 0.3, 3.0),
}


def fit_coils(p: PlantParameters, rows: dict[str, FloatArray], day: np.ndarray) -> PlantParameters:
    """Coils and fan from settled rows. The water temperatures of a day are not logged: each
    day gets one factor per coil, with a mean of one, which the plant itself does not keep."""
    count = int(day.max()) + 1
    guess = np.array([g for g, *_ in COIL.values()])
    weight = np.array([w for *_, w in COIL.values()])
    low = np.array([b for _, b, _, _ in COIL.values()])
    high = np.array([b for _, _, b, _ in COIL.values()])
    valves = np.stack([rows["cooling"], rows["heating"]])

    def residual(x: FloatArray) -> FloatArray:
        q = dataclasses.replace(p, **dict(zip(COIL, x, strict=False)))
        factor = x[len(COIL) :].reshape(2, count)
        effect = coil_effects(
            valves, rows["fan"], factor[:, day], coefficients(q, 1.0, np.array, np.array)
        )
        heated = rows["mixed"] + effect[1] * (HOT_DEGC - rows["mixed"])
        cooled = heated + effect[0] * (CHILLED_DEGC - heated)
        error = cooled + q.fan_rise_k * rows["fan"] ** 2 - rows["supply"]
        scale = np.sqrt(len(error)) * 0.1
        prior = (x[: len(COIL)] - guess) * weight * scale
        return np.concatenate([error, prior, (x[len(COIL) :] - 1.0) * 2.0 * scale])

    start = np.concatenate([guess, np.ones(2 * count)])
    bounds = (
        np.concatenate([low, np.full(2 * count, 0.4)]),
        np.concatenate([high, np.full(2 * count, 1.6)]),
    )
    x = least_squares(residual, start, bounds=bounds, loss="soft_l1", x_scale="jac").x
    print("day factors, cooling and heating coil:")
    print(np.round(x[len(COIL) :].reshape(2, count), 2))
    return dataclasses.replace(p, **dict(zip(COIL, map(float, x), strict=False)))


def as_episode(days: list[Day]) -> Episode:
    """The recorded days as a batch of episodes: every recorded minute is a knot."""
    minutes = min(len(day.valid) for day in days)
    knots = np.empty((minutes, 6, len(days)))
    for b, day in enumerate(days):
        occupied = day["occupied"][:minutes]
        knots[:, episodes.OUTDOOR, b] = _bridged(day, "outdoor")[:minutes]
        knots[:, episodes.CHILLED_WATER, b] = CHILLED_DEGC
        knots[:, episodes.HOT_WATER, b] = HOT_DEGC
        knots[:, episodes.GAINS, b] = np.where(occupied > 0, GAINS_OCCUPIED, GAINS_EMPTY)
        knots[:, episodes.SETPOINT, b] = _bridged(day, "setpoint")[:minutes]
        knots[:, episodes.OCCUPANCY, b] = occupied
    ones = np.ones(len(days))
    return Episode(
        seeds=tuple(range(len(days))),
        knots=knots,
        cooling_capacity=ones,
        heating_capacity=ones,
        noise=0.0 * ones,
        zone_start_degc=np.array([_bridged(day, "returned")[0] for day in days]),
    )


def _bridged(day: Day, name: str) -> FloatArray:
    """A column with its invalid rows replaced by interpolation."""
    at = np.arange(len(day.valid))
    return np.interp(at, at[day.valid], day[name][day.valid])


def free_run(days: list[Day], p: PlantParameters, dt_s: float) -> dict[str, FloatArray]:
    """The plant driven by a day's commands and weather alone; shapes (minutes, days)."""
    plant = AirHandlerPlant(as_episode(days), p)
    minutes = len(plant.episode.knots)
    columns = [
        np.stack([_bridged(d, n)[:minutes] for d in days])
        for n in ("damper", "cooling", "heating", "fan", "fan_status")
    ]
    commands = np.stack(columns[:4], axis=0) * 100.0
    commands[3] *= columns[4]  # the log keeps a speed signal of 20 % while the fan is off
    supply, mixed, returned = [], [], []
    for minute in range(minutes):
        supply.append(plant.state.sensors_degc[0])
        mixed.append(plant.state.sensors_degc[1])
        returned.append(plant.state.return_degc)
        for _ in range(round(60.0 / dt_s)):
            plant.step(list(commands[:, :, minute]), dt_s)
    return {"supply": np.array(supply), "mixed": np.array(mixed), "returned": np.array(returned)}


ZONE = {
    "zone_capacity_j_k": (8.0e6, 1.0e6, 6.0e7),
    "zone_loss_w_k": (150.0, 20.0, 1000.0),
    "zone_target_degc": (22.5, 20.0, 25.0),
}


def fit_zone(p: PlantParameters, days: list[Day]) -> PlantParameters:
    """Zone from the return air of free runs, in logarithms of the parameters."""
    guess = np.log([g for g, _, _ in ZONE.values()])
    bounds = (np.log([b for _, b, _ in ZONE.values()]), np.log([b for _, _, b in ZONE.values()]))
    masks = np.stack([settled(d) for d in days], axis=1)
    truth = np.stack([d["returned"] for d in days], axis=1)

    def residual(x: FloatArray) -> FloatArray:
        q = dataclasses.replace(p, **dict(zip(ZONE, map(float, np.exp(x)), strict=True)))
        misfit: FloatArray = (free_run(days, q, 30.0)["returned"] - truth)[masks]
        return misfit

    x = least_squares(residual, guess, bounds=bounds, loss="soft_l1", diff_step=0.02, max_nfev=12).x
    return dataclasses.replace(p, **dict(zip(ZONE, map(float, np.exp(x)), strict=True)))


def report(label: str, days: list[Day], p: PlantParameters) -> None:
    run = free_run(days, p, 5.0)
    print(f"| {label} | rows | supply RMSE K (bias) | mixed RMSE K (bias) | return RMSE K (bias) |")
    total = []
    for b, day in enumerate(days):
        mask = settled(day)
        errors = [run[n][mask, b] - day[n][mask] for n in ("supply", "mixed", "returned")]
        total.append(errors)
        print(
            f"| {day.date} | {mask.sum()} | "
            + " | ".join(f"{np.sqrt(np.mean(e**2)):.2f} ({np.mean(e):+.2f})" for e in errors)
            + " |"
        )
    all_errors = [np.concatenate([t[i] for t in total]) for i in range(3)]
    print(
        f"| all | {len(all_errors[0])} | "
        + " | ".join(f"{np.sqrt(np.mean(e**2)):.2f} ({np.mean(e):+.2f})" for e in all_errors)
        + " |"
    )


def write(p: PlantParameters) -> None:
    lines = [
        f"    {f.name}={round(float(f'{getattr(p, f.name):.4g}'), 6)!r},"
        for f in dataclasses.fields(p)
    ]
    head = '"""Fitted parameters of the air handler, by models/air-handler/fit_plant.py."""\n\n'
    TARGET.write_text(
        head
        + "from edge_agent.sim.plant_parameters import PlantParameters\n\n"
        + "FITTED = PlantParameters(\n"
        + "\n".join(lines)
        + "\n)\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, help="the original MZVAV-2-1.csv")
    parser.add_argument("--write", action="store_true", help="replace the committed parameters")
    arguments = parser.parse_args()
    if arguments.log and arguments.write:
        write_extract(arguments.log)
    days = read_days(arguments.log or EXTRACT, FIT_DAYS)
    rows, day = gather(days)
    p = fit_fan(fit_mixing(ASSUMED, rows), rows)
    p = fit_zone(fit_coils(p, rows, day), days)
    print(p)
    if arguments.write:
        write(p)
    report("fit day", days, p)
    report("held-out day", read_days(arguments.log or EXTRACT, HELD_OUT_DAYS), p)
    return 0


if __name__ == "__main__":
    sys.exit(main())
