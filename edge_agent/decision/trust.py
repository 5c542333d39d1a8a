"""Trust: how long a model that failed must be in order before it decides again.

Owns: the one rule. Must not: know why it failed. Losing trust takes one refused proposal,
regaining it the whole dwell without one: the way back is stricter than the way out.
"""

TRUSTED = 0


def after(owed_ns: int, elapsed_ns: int, dwell_ns: int, *, admitted: bool) -> int:
    """How much longer the model must be in order, `TRUSTED` to `dwell_ns`.

    `admitted`: its proposal of this tick passed the gate.
    """
    if not admitted:
        return dwell_ns
    return max(owed_ns - max(elapsed_ns, 0), TRUSTED)
