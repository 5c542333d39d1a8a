"""The played days as Markdown tables, and those tables in their place in a document.

Owns: the wording and the layout. Must not: count; see `real_day_account.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from edge_agent.core.errors import ConfigError

_BEGIN = "<!-- `python bench/real_day.py --docs` writes what follows -->"
_END = "<!-- until here -->"
_TITLES: Mapping[str, str] = {"mzvav": "MZVAV-2-1, 2009-02-16", "szcav": "SZCAV, 2017-04-01"}
_ACTIVE_FIRST = ("ACTIVE", "HOLDING", "RAMPING", "ARMING", "TRIPPED", "SAFE")
_NO_FIGURES = ("actuator", "rows")
_Facts = tuple[tuple[str, Callable[[dict[str, Any]], object]], ...]


def markdown(found: dict[str, Any]) -> str:
    """Everything that was found, for people."""
    facts, played, replayed = found["machine"], found["played"], found["replayed"]
    lines = [
        (
            f"Played {facts['date']} at {found['speed']:g} times real time, a sensor's value being"
            f" good for {found['max_age_rows']:g} rows, on {facts['cpu']}; Linux {facts['kernel']},"
            f" Python {facts['python']}, onnxruntime {facts['onnxruntime']}."
        ),
        "",
        "**Account of the processes.**",
        "",
        *_facts_table(played, _PLAYED),
        "",
        f"**Real processes, {found['speed']:g} times real time, beside the real controller.**",
        "",
        *_comparison(played),
    ]
    if replayed:
        lines += [
            "",
            "**Account of the replay at true pace.**",
            "",
            *_facts_table(replayed, _DECIDED),
            "",
            "**Replay at true pace, beside the real controller.**",
            "",
            *_comparison(replayed),
        ]
    return "\n".join(lines)


def into_document(text: str, tables: str) -> str:
    """`text` with `tables` between its two marks; ConfigError when a mark is missing."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ConfigError(
            "has no place for the tables", where="the document", fix=f"add {_BEGIN} and {_END}"
        )
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


def _facts_table(days: Mapping[str, dict[str, Any]], facts: _Facts) -> list[str]:
    titles = [_TITLES.get(name, name) for name in days]
    lines = [_row(("", *titles)), _row(["---"] * (1 + len(titles)))]
    return lines + [_row((what, *(value(day) for day in days.values()))) for what, value in facts]


def _comparison(days: Mapping[str, dict[str, Any]]) -> list[str]:
    head = ("day", "actuator", "rows", "ours, mean", "theirs, mean", "mean difference")
    lines = [_row((*head, "both open", "ours only", "theirs only", "both shut"))]
    lines.append(_row(["---"] * 2 + ["---:"] * 8))
    for name, day in days.items():
        for row in day["comparison"]:
            figures = [f"{value} %" for key, value in row.items() if key not in _NO_FIGURES]
            lines.append(_row((name, row["actuator"].replace("_", " "), row["rows"], *figures)))
    return lines


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _readings(day: dict[str, Any], quality: str) -> int:
    return sum(by_quality.get(quality, 0) for by_quality in day["readings"].values())


def _refused(day: dict[str, Any]) -> dict[str, int]:
    """The gateway's counters of payloads that gave no value."""
    return {
        name.removeprefix("sensor."): count
        for name, count in day["gateway"].items()
        if name.startswith("sensor.") and not name.endswith(".good")
    }


def _dropped(day: dict[str, Any]) -> int:
    """What any queue on the way, in either direction, had no room for."""
    gateway, relay = day["gateway"], day["relay"]
    names = ("control.readings_dropped", "mqtt.messages_dropped", "records_lost")
    return int(sum(gateway[name] for name in names) + relay["sends_dropped"])


def _shares(counts: Mapping[str, int], order: Sequence[str]) -> str:
    total = max(1, sum(counts.values()))
    return ", ".join(f"{n} {100 * counts[n] / total:.1f} %" for n in order if n in counts)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _outputs(day: dict[str, Any]) -> str:
    return f"{day['board']['state']}, {day['board']['outputs']}"


_DECIDED: _Facts = (
    ("ticks", lambda d: d["ticks"]),
    ("commands outside the envelope", lambda d: len(d["outside_envelope"])),
    ("modes while the log played", lambda d: _shares(d["modes"], _ACTIVE_FIRST)),
    ("modes while occupied", lambda d: _shares(d["modes_occupied"], _ACTIVE_FIRST)),
    ("ticks with a channel that was not GOOD", lambda d: _listed(d["not_good"])),
    ("ticks with a reason, by rule and channel", lambda d: _listed(d["reasons"])),
)
_PLAYED: _Facts = (
    ("rows played", lambda d: d["feed"]["rows"]),
    ("cells published, acknowledged", lambda d: f"{d['feed']['cells_sent']}, {d['feed']['acked']}"),
    ("cells that are no number", lambda d: d["feed"]["cells_not_numbers"]),
    ("readings recorded as GOOD", lambda d: _readings(d, "GOOD")),
    ("readings recorded as INVALID", lambda d: _readings(d, "INVALID")),
    ("payloads refused by the gateway, by cause", lambda d: _listed(_refused(d))),
    ("messages, readings or records dropped", _dropped),
    ("ticks missing from the recording", lambda d: d["gap_ticks"]),
    ("damaged places in the recording", lambda d: len(d["damage"])),
    *_DECIDED,
    ("commands the microcontroller clamped", lambda d: d["board"]["counters"]["sets_clamped"]),
    ("exit code after SIGTERM", lambda d: d["exit_code"]),
    ("the microcontroller then", _outputs),
)
