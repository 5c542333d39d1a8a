"""The numbers of one agent as Prometheus reads them: text format 0.0.4.

Owns: names, units, and what is counted from the records that pass. Must not: know a socket, keep
anything that grows, or compute what the control process has not said: a number that is not known
is absent, not zero. docs/metrics.md names every one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.ipc import Welcome
from edge_agent.core.records import Mode, Quality, Reason, Rule, TickRecord
from edge_agent.core.units import to_value
from edge_agent.gateway.values import Values
from edge_agent.safety.limits import Envelope

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "edge_agent_"
_NO_BROKER: Final = "not configured"
_FIRST_LIMIT: Final = Rule.ABOVE_MAX
_LAST_LIMIT: Final = Rule.DWELL
# Upper edges; an int8 model of a few thousand weights takes tens of microseconds.
_INFERENCE_EDGES_S: Final = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1)
_STOP_STATES: Final[Mapping[int, int]] = {
    Mode.ACTIVE: 0,
    Mode.HOLDING: 1,
    Mode.RAMPING: 2,
    Mode.SAFE: 3,
    Mode.ARMING: 3,  # nothing has moved yet
    Mode.TRIPPED: 4,
}
_DROPPED: Final = ("dropped", "lost", "malformed", "oversize")


class Instant(NamedTuple):
    """What is known at one moment. `status` is the control process's own, perhaps empty;
    `counters` are the gateway's by flat name."""

    now_ns: int
    version: str
    welcome: Welcome | None
    control_connected: bool
    status: Mapping[str, Any]
    counters: Mapping[str, int | str]


class Metrics:
    """Everything that is counted for one device; bounded by its channels and rules."""

    def __init__(self, envelope: Envelope) -> None:
        words = Values(envelope)
        self._names, self._scales = words.names, words.scales
        self._device = envelope.device
        self._hash = envelope.sha256()
        sensors, actuators = envelope.sensors, envelope.actuators
        self._units = (*(s.unit for s in sensors), *(a.unit for a in actuators))
        self._first_actuator = len(envelope.sensors)
        self._limit_hits: Counter[tuple[int, int]] = Counter()
        self._refusals: Counter[int] = Counter()
        self._inference = [0] * (len(_INFERENCE_EDGES_S) + 1)
        self._inference_ns = 0
        self._last: TickRecord | None = None

    def observe(self, record: TickRecord) -> None:
        """Take in one tick; microseconds."""
        self._last = record
        for reason in record.verdict.reasons:
            if _FIRST_LIMIT <= reason.rule <= _LAST_LIMIT:
                self._limit_hits[self._known(reason)] += 1
        for reason in record.proposal.reasons:
            self._refusals[self._known(reason)[1]] += 1
        if record.proposal.elapsed_ns > 0:
            self._inference_ns += record.proposal.elapsed_ns
            edge = bisect_left(_INFERENCE_EDGES_S, record.proposal.elapsed_ns / NS_PER_S)
            self._inference[edge] += 1

    def seconds_since_tick(self, now_ns: int) -> float | None:
        """Age of the newest record; None before the first."""
        return None if self._last is None else (now_ns - self._last.now_ns) / NS_PER_S

    def text(self, instant: Instant) -> str:
        """The whole page."""
        page = _Page()
        self._about(page, instant)
        self._ticks(page, instant)
        self._decisions(page)
        if self._last is not None:
            self._channels(page, self._last, instant.now_ns)
        _counters(page, instant.counters)
        return page.text()

    def _known(self, reason: Reason) -> tuple[int, int]:
        """(channel, rule), with -1 and 0 for what this version does not know: labels are bounded,
        whatever a peer sends."""
        channel = reason.channel if 0 <= reason.channel < len(self._names) else -1
        return channel, reason.rule if reason.rule in _RULES else 0

    def _about(self, page: "_Page", instant: Instant) -> None:
        hashes = {"envelope": self._hash, "version": instant.version, "device": self._device}
        if instant.welcome is not None:
            hashes |= instant.welcome.hashes
        page.family("build_info", "gauge", "What decides here: versions and hashes; always 1.")
        page.row(1, *sorted(hashes.items()))
        page.family("control_connected", "gauge", "1 while the control process is there.")
        page.row(int(instant.control_connected))
        page.family("mqtt_connected", "gauge", "1 while the broker of sensors is there.")
        state = instant.counters.get("mqtt.state", _NO_BROKER)
        page.row(None if state == _NO_BROKER else int(state == "connected"))

    def _ticks(self, page: "_Page", instant: Instant) -> None:
        ticks = instant.status.get("ticks")
        if not isinstance(ticks, Mapping):
            return
        page.family("ticks_total", "counter", "Decisions since the control process began.")
        page.row(ticks.get("ticks"))
        page.family("overruns_total", "counter", "Ticks that began a whole period late or more.")
        page.row(ticks.get("missed_deadlines"))
        for name, what in (
            ("duration", "From the start of a tick to its command having left"),
            ("lateness", "Of a tick's start after its deadline"),
        ):
            page.family(f"loop_{name}_seconds", "gauge", f"{what}, percentiles of the last 512.")
            for key, percentile in (("p50", "50"), ("p99", "99"), ("max", "100")):
                value = ticks.get(f"{name}_{key}_us")
                page.row(
                    value / 1e6 if isinstance(value, int) else None, ("percentile", percentile)
                )

    def _decisions(self, page: "_Page") -> None:
        page.family("limit_hits_total", "counter", "Commands that a limit of the envelope changed.")
        for (channel, rule), count in sorted(self._limit_hits.items()):
            actuator = self._names[channel] if channel >= 0 else ""
            page.row(count, ("actuator", actuator), ("limit", _rule(rule)))
        page.family("refusals_total", "counter", "Reasons for which there was no proposal.")
        for rule, count in sorted(self._refusals.items()):
            page.row(count, ("reason", _rule(rule)))
        page.family("inference_seconds", "histogram", "Time of one inference of the model.")
        total = 0
        for edge, count in zip((*_INFERENCE_EDGES_S, None), self._inference, strict=True):
            total += count
            page.row(total, ("le", "+Inf" if edge is None else f"{edge:g}"), suffix="_bucket")
        page.row(self._inference_ns / NS_PER_S, suffix="_sum")
        page.row(total, suffix="_count")

    def _channels(self, page: "_Page", record: TickRecord, now_ns: int) -> None:
        page.family("mode", "gauge", "1 for the mode of the supervisor.")
        for mode in Mode:
            page.row(int(mode == record.mode), ("mode", mode.name))
        page.family(
            "stop_state", "gauge", "0 active, 1 holding, 2 ramping to safe, 3 safe, 4 tripped."
        )
        page.row(_STOP_STATES.get(record.mode))
        page.family("tick_age_seconds", "gauge", "Since the newest tick that was heard of.")
        page.row((now_ns - record.now_ns) / NS_PER_S)
        rows = list(zip(self._names, self._units, self._scales, strict=True))
        snapshot = record.snapshot
        page.family("sensor_age_seconds", "gauge", "Of each value at the newest tick.")
        for (name, _, _), age_ns in zip(rows, snapshot.ages_ns, strict=False):
            page.row(age_ns / NS_PER_S, ("channel", name))
        page.family("sensor_good", "gauge", "1 while a channel's value may be used.")
        for (name, _, _), quality in zip(rows, snapshot.qualities, strict=False):
            page.row(int(quality == Quality.GOOD), ("channel", name))
        page.family("value", "gauge", "Of each channel whose value may be used, in its unit.")
        for (name, unit, scale), counts, quality in zip(
            rows, snapshot.counts, snapshot.qualities, strict=False
        ):
            if quality == Quality.GOOD:
                page.row(to_value(counts, scale), ("channel", name), ("unit", unit))
        page.family("command", "gauge", "What each actuator was told, in its unit.")
        told = zip(rows[self._first_actuator :], record.verdict.command, strict=False)
        for (name, unit, scale), counts in told:
            page.row(to_value(counts, scale), ("actuator", name), ("unit", unit))


_RULES: Final = frozenset(Rule)


def _rule(number: int) -> str:
    return Rule(number).name.lower() if number in _RULES else "unknown"


def _counters(page: "_Page", counters: Mapping[str, int | str]) -> None:
    """Everything else that the gateway counts, by the name that `status` shows. Gauges are those
    that the name says so of; the rest only grows while the process lives."""
    numbers = {name: value for name, value in counters.items() if isinstance(value, int)}
    page.family("waiting", "gauge", "Messages kept until a broker has them.")
    page.rows("queue", _picked(numbers, _is_queue))
    page.family("spool_bytes", "gauge", "Kept on the disk until a broker has it.")
    page.rows("queue", _picked(numbers, _is_size))
    page.family("dropped_total", "counter", "What was lost, and counted.")
    page.rows("what", _picked(numbers, _is_loss))
    page.family("events_total", "counter", "Everything else that the gateway counts.")
    page.rows("event", _picked(numbers, _is_event))


def _is_event(name: str) -> bool:
    return not (_is_queue(name) or _is_size(name) or _is_loss(name))


def _is_queue(name: str) -> bool:
    return name.endswith("waiting")


def _is_size(name: str) -> bool:
    return name.endswith("_bytes")


def _is_loss(name: str) -> bool:
    return any(word in name for word in _DROPPED)


def _picked(numbers: Mapping[str, int], wanted: Callable[[str], bool]) -> Iterable[tuple[str, int]]:
    return sorted((name, value) for name, value in numbers.items() if wanted(name))


class _Page:
    """Lines of the text format. A family without rows leaves no trace."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._family = ""
        self._head: list[str] = []

    def family(self, name: str, kind: str, about: str) -> None:
        self._family = _PREFIX + name
        self._head = [f"# HELP {self._family} {about}", f"# TYPE {self._family} {kind}"]

    def row(self, value: float | None, *labels: tuple[str, str], suffix: str = "") -> None:
        if not isinstance(value, int | float):
            return  # of another version: not known here
        self._lines += self._head
        self._head = []
        inner = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
        braces = f"{{{inner}}}" if inner else ""
        self._lines.append(f"{self._family}{suffix}{braces} {value}")

    def rows(self, label: str, items: Iterable[tuple[str, int]]) -> None:
        for name, value in items:
            self.row(value, (label, name))

    def text(self) -> str:
        return "\n".join((*self._lines, ""))


def _escaped(text: object) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
