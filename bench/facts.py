"""How a benchmark without a table of its own prints what it found: a line for each fact."""

import json
from collections.abc import Mapping


def print_facts(found: Mapping[str, object], *, as_json: bool) -> None:
    """On standard output; `as_json` for programs."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        facts = value.items() if isinstance(value, Mapping) else [("", value)]
        print(f"{key:<20}", "  ".join(f"{name} {number}".strip() for name, number in facts))
