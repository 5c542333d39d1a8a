"""Parameters of the simulated air handler: what each one is, in which unit.

Owns: the record of parameters. Must not: hold values; the fitted ones are in
`plant_fitted.py`, which `models/air-handler/fit_plant.py` writes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantParameters:
    """One air-handling unit with the zone it serves. Fractions are 0 to 1 of full scale."""

    # Air side
    flow_kg_s: float  # supply air flow at full fan speed
    fan_rise_k: float  # warming by the fan at full speed, with the square of speed
    fan_power_w: float  # electrical, at full speed, with the cube of speed
    fan_idle_a: float  # motor current just above standstill
    fan_current_a: float  # additional current at full speed, with the square of speed
    # Mixing box: the outdoor fraction runs from leak to full along a blend of a line and a
    # smooth step in the damper's position (see docs/plant.md and thermal.outdoor_fraction).
    outdoor_leak: float
    outdoor_full: float
    outdoor_linear: float
    # Coils: effectiveness follows the valve beyond its dead band along a hyperbola, and falls
    # with the airflow (see thermal.py).
    heating_effectiveness: float
    heating_curve: float
    heating_dead: float
    cooling_effectiveness: float
    cooling_curve: float
    cooling_dead: float
    flow_sag: float
    # Lags and delays
    damper_lag_s: float
    valve_lag_s: float
    fan_lag_s: float
    coil_lag_s: float
    sensor_lag_s: float
    prove_speed: float  # fan speed above which the status contact closes ...
    prove_delay_s: float  # ... after this time
    # Heat capacities and losses of the casing
    mixing_capacity_j_k: float
    duct_capacity_j_k: float
    casing_loss_w_k: float
    plant_room_degc: float
    # Zone and its terminal units
    zone_capacity_j_k: float
    zone_loss_w_k: float
    zone_target_degc: float
    terminal_gain_w_k: float
    terminal_max_w: float
    plenum_rise_k: float  # return air above zone air at full gains
    gains_full_w: float
    # Sensors: standard deviation of the noise
    temperature_noise_k: float
    current_noise_a: float
    position_noise: float
