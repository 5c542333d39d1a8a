"""The golden steps: rows and answers that every build of the envelope must reproduce.

Owns: tests/data/envelope_vectors.json.xz. As a program it writes the file anew from the Python
envelope: `python -m tests.firmware.golden`.
"""

import json
import lzma
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_agent.safety.devices.air_handler import ENVELOPE as AIR_HANDLER
from edge_agent.safety.limits import Envelope
from tests.firmware import differential, histories

PATH = Path(__file__).resolve().parents[1] / "data/envelope_vectors.json.xz"
COMMAND = ".venv/bin/python -m tests.firmware.golden"
_HISTORIES = 6


class Golden(NamedTuple):
    """`answers[k]` is what the envelope with this hash says to `rows[k]`."""

    envelope_sha256: str
    rows: list[list[int]]
    answers: list[list[int]]


def answers(envelope: Envelope, rows: list[list[int]]) -> list[list[int]]:
    """What the Python envelope says to each row."""
    numbers, starts = differential.of_law(envelope, np.array(rows, np.int64))
    ends = [*starts[1:], len(numbers)]
    return [numbers[a:b].tolist() for a, b in zip(starts, ends, strict=True)]


def load() -> Golden:
    """The file as it is."""
    return Golden(**json.loads(lzma.decompress(PATH.read_bytes())))


def main() -> None:
    """Write the file."""
    rows = histories.rows(AIR_HANDLER, _HISTORIES, seed=0).tolist()
    golden = Golden(AIR_HANDLER.sha256(), rows, answers(AIR_HANDLER, rows))
    text = json.dumps(golden._asdict(), separators=(",", ":"))
    PATH.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main()
