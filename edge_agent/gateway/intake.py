"""From MQTT messages to Readings, with every refusal counted by channel and cause.

Owns: which channels a topic feeds, and the counters. Must not: touch the network or a clock.

A payload that cannot be used becomes a Reading of quality INVALID at once, so that a broken
sensor is known as broken and not, minutes later, as silent. A retained message is the
exception: its age is unknown, so it says nothing about now and yields no Reading at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from edge_agent.core.records import Quality, Reading
from edge_agent.gateway.decode import Cause, SensorDecoder


class Intake:
    """Decodes what the subscriptions deliver."""

    def __init__(self, decoders: Iterable[SensorDecoder]) -> None:
        self._by_topic: defaultdict[str, list[SensorDecoder]] = defaultdict(list)
        for decoder in decoders:
            self._by_topic[decoder.topic].append(decoder)
        self._counts: Counter[str] = Counter()

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(self._by_topic)

    def readings(
        self, topic: str, payload: bytes | None, stamp_ns: int, *, retained: bool
    ) -> list[Reading]:
        """One Reading per channel that `topic` feeds; `payload` None: it was too large."""
        found = []
        for decoder in self._by_topic.get(topic, ()):
            if retained:
                self._counts[f"sensor.{decoder.name}.stale_retained"] += 1
                continue
            outcome = Cause.TOO_LARGE if payload is None else decoder.decode(payload)
            if isinstance(outcome, Cause):
                self._counts[f"sensor.{decoder.name}.{outcome.value}"] += 1
                found.append(Reading(decoder.channel, 0, stamp_ns, Quality.INVALID))
            else:
                self._counts[f"sensor.{decoder.name}.good"] += 1
                found.append(Reading(decoder.channel, outcome, stamp_ns, Quality.GOOD))
        return found

    def counters(self) -> dict[str, int]:
        """`sensor.<channel>.<good or cause>` to how often; what never happened is absent."""
        return dict(self._counts)
