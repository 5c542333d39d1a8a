"""The envelope as one page that an engineer of the machine can read, check and sign.

Owns: the words and units of that page. Must not: decide anything; it reads limits and returns
text. Counts never appear on it: a reviewer thinks in degrees and percent.
"""

import textwrap
from collections.abc import Iterator, Sequence

from edge_agent.safety.limits import (
    ActuatorLimits,
    Agreement,
    EffectCheck,
    Envelope,
    Exclusive,
    Interlock,
    SensorLimits,
)

WIDTH = 100  # columns: fits A4 upright in a 9-point typewriter face
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_S_PER_MIN = 60

_Channel = SensorLimits | ActuatorLimits


def page(envelope: Envelope) -> str:
    """All limits of one device, with units, and a line to sign."""
    return "\n".join(line.rstrip() for line in _lines(envelope))


def amount(counts: int, channel: _Channel) -> str:
    """`counts` of a channel in its unit, with no more digits than it resolves."""
    value = f"{counts / channel.counts_per_unit:.6f}".rstrip("0").rstrip(".")
    unit = {"percent": " %", "bool": ""}.get(channel.unit, f" {channel.unit}")
    return f"{'0' if value == '-0' else value}{unit}"


def duration(ns: int) -> str:
    """A time as a person says it: 20 ms, 0.5 s, 10 min."""
    if ns < _NS_PER_S // 10:
        return f"{ns / _NS_PER_MS:g} ms"
    seconds = ns / _NS_PER_S
    if seconds >= 10 * _S_PER_MIN and seconds % _S_PER_MIN == 0:
        return f"{seconds / _S_PER_MIN:g} min"
    return f"{seconds:g} s"


def _lines(envelope: Envelope) -> Iterator[str]:
    yield f"SAFETY ENVELOPE OF {envelope.device}, version {envelope.version}"
    yield f"sha256 {envelope.sha256()}"
    yield from _wrapped(
        "Fixed in code; a configuration may only make a limit stricter. Not a certified safety"
        " system: a hardware stop that a person can reach is required."
    )
    yield from ("", "ACTUATORS: what a policy may ask for")
    yield from _motion_table(envelope.actuators)
    yield ""
    yield from _time_table(envelope.actuators)
    yield from ("", "SENSORS: what is believed")
    yield from _sensor_table(envelope.sensors)
    yield from _second_sources(envelope)
    yield from ("", "INTERLOCKS: act at once, faster than any limit above")
    for lock in envelope.interlocks:
        yield from _bullet(interlock_words(lock, envelope))
    for pair in envelope.exclusives:
        yield from _bullet(exclusive_words(pair))
    if not envelope.interlocks and not envelope.exclusives:
        yield "  none"
    yield from ("", "EFFECT: what was commanded must show, or the device trips")
    yield from _effects(envelope)
    yield from ("", "SUPERVISION")
    for words in _supervision(envelope):
        yield from _bullet(words)
    yield from ("", f"{'Reviewed by':<12}{'_' * 32}  Date {'_' * 14}  Signature {'_' * 22}")


def _motion_table(actuators: Sequence[ActuatorLimits]) -> Iterator[str]:
    rows = [("", "range", "fastest up", "fastest down", "travel", "rest", "made safe by")]
    for a in actuators:
        span = a.max_counts - a.min_counts
        most, window = amount(a.travel_max_counts, a), duration(a.travel_window_ns)
        rows.append(
            (
                a.name,
                f"{_bare(a.min_counts, a)} to {amount(a.max_counts, a)}",
                _speed(a.rate_up_counts_per_s, span, a),
                _speed(a.rate_down_counts_per_s, span, a),
                f"{most}/{window}",
                duration(a.dwell_ns) if a.dwell_ns else "none",
                safe_words(a),
            )
        )
    yield from _columns(rows)
    yield " (after each speed the time of a full stroke; rest: between two changes by a policy)"


def _time_table(actuators: Sequence[ActuatorLimits]) -> Iterator[str]:
    rows = [
        ("", "decided within", "hardware silent", "hardware keeps", "gateway gone", "applied is"),
        ("", "or refused", "= link lost", "a value for", "", "within"),
    ]
    rows += [
        (
            a.name,
            duration(a.proposal_max_age_ns),
            duration(a.feedback_max_age_ns),
            duration(a.lease_ns),
            {"continue": "goes on", "hold": "stands still", "safe": "made safe"}[a.on_link_loss],
            f"{amount(a.follow.max_difference_counts, a)} after {duration(a.follow.within_ns)}",
        )
        for a in actuators
    ]
    yield from _columns(rows)


def _sensor_table(sensors: Sequence[SensorLimits]) -> Iterator[str]:
    rows = [("", "plausible range", "largest step", "oldest", "stuck after", "control without it")]
    rows += [
        (
            s.name,
            f"{_bare(s.min_counts, s)} to {amount(s.max_counts, s)}",
            amount(s.max_step_counts, s),
            duration(s.max_age_ns),
            duration(s.stuck_after_ns) if s.stuck_after_ns is not None else "may stand still",
            "no" if s.needed else "yes",
        )
        for s in sensors
    ]
    yield from _columns(rows)


def _second_sources(envelope: Envelope) -> Iterator[str]:
    alone: dict[str, list[str]] = {}
    for s in envelope.sensors:
        if isinstance(s.agreement, Agreement):
            most = amount(s.agreement.max_difference_counts, s)
            yield from _bullet(
                f"{s.name} and {s.agreement.sensor} must agree within {most}; apart for"
                f" {duration(s.agreement.within_ns)}, neither is believed"
            )
        else:
            alone.setdefault(s.agreement.reason, []).append(s.name)
    for reason, names in alone.items():
        who = "every sensor" if len(names) == len(envelope.sensors) else ", ".join(names)
        yield from _bullet(f"no second source for {who}: {reason}")


def _effects(envelope: Envelope) -> Iterator[str]:
    unseen: dict[str, list[str]] = {}
    for a in envelope.actuators:
        if isinstance(a.effect, EffectCheck):
            yield from _bullet(effect_words(a, a.effect, envelope))
        else:
            unseen.setdefault(a.effect.reason, []).append(a.name)
    for reason, names in unseen.items():
        yield from _bullet(f"not checked for {', '.join(names)}: {reason}")


def _supervision(envelope: Envelope) -> Iterator[str]:
    rules = envelope.supervision
    yield (
        "one decision missing or one deadline missed: outputs stand still;"
        f" after {duration(rules.hold_limit_ns)}, or {rules.deadline_misses_to_ramp} missed"
        f" deadlines in {rules.deadline_window_ticks} ticks, they are made safe"
    )
    yield (
        f"control returns when everything has been in order for {duration(rules.return_dwell_ns)},"
        f" the model after {duration(rules.trust_dwell_ns)}; a trip or a stop needs a person"
    )


def safe_words(a: ActuatorLimits) -> str:
    """The safe action of one actuator."""
    hold = f"hold {duration(a.safe.hold_ns)}, " if a.safe.hold_ns else ""
    return f"{hold}{amount(a.safe.ramp_counts_per_s, a)}/s to {amount(a.safe.counts, a)}"


def interlock_words(lock: Interlock, envelope: Envelope) -> str:
    """When an interlock acts, on what, and when it lets go."""
    sensor = envelope.sensors[envelope.sensor_index[lock.sensor]]
    forces = ", ".join(
        f"{name} to {amount(counts, envelope.actuators[envelope.actuator_index[name]])}"
        for name, counts in lock.forces
    )
    after = f" for {lock.engage_after_ticks} ticks" if lock.engage_after_ticks > 1 else ""
    back = f" for {lock.clear_after_ticks} ticks" if lock.clear_after_ticks > 1 else ""
    latch = "; if seen, it trips and a person must reset it" if lock.trips else ""
    return (
        f"{lock.name}: {lock.sensor} {_outside(lock.ok_min, lock.ok_max, sensor)}{after}, or not"
        f" trusted: {forces}; released when"
        f" {_inside(lock.clear_min, lock.clear_max, sensor)}{back}{latch}"
    )


def exclusive_words(pair: Exclusive) -> str:
    """Who yields to whom."""
    return (
        f"{pair.first} and {pair.second} are never open together:"
        f" {pair.second} yields, unless it is the one already open"
    )


def effect_words(a: ActuatorLimits, check: EffectCheck, envelope: Envelope) -> str:
    """Which sensor must show what, and within which time."""
    sensor = envelope.sensors[envelope.sensor_index[check.sensor]]
    return (
        f"{a.name} at {amount(check.when_at_least, a)} or more: {check.sensor} reaches"
        f" {amount(check.expect_at_least, sensor)}; at {amount(check.when_at_most, a)} or less:"
        f" {check.sensor} falls to {amount(check.expect_at_most, sensor)}; within"
        f" {duration(check.within_ns)}"
    )


def _outside(low: int, high: int, sensor: SensorLimits) -> str:
    below = f"below {amount(low, sensor)}" if low > sensor.min_counts else ""
    above = f"above {amount(high, sensor)}" if high < sensor.max_counts else ""
    return " or ".join(part for part in (below, above) if part)


def _inside(low: int, high: int, sensor: SensorLimits) -> str:
    least = f"at least {amount(low, sensor)}" if low > sensor.min_counts else ""
    most = f"at most {amount(high, sensor)}" if high < sensor.max_counts else ""
    return " and ".join(part for part in (least, most) if part) or "it can be trusted"


def _speed(counts_per_s: int, span_counts: int, a: ActuatorLimits) -> str:
    return f"{amount(counts_per_s, a)}/s, {span_counts / counts_per_s:.3g} s"


def _bare(counts: int, channel: _Channel) -> str:
    return amount(counts, channel).partition(" ")[0]


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield " " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH)


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ")
