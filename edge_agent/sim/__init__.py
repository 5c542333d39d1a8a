"""L2: simulated hardware, shipped with the package: plants, a simulated MCU, faults, scenarios."""
