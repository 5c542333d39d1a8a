"""Whether machines gave the same answers: `python -m tests.arm64.compare FIRST OTHER...`

Exit 0 only when each other's document is that of another processor and all answers are equal.
"""

import json
import sys
from pathlib import Path
from typing import Any


def differences(first: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The questions that were answered differently, or were not asked of both."""
    a, b = first["answers"], other["answers"]
    return [name for name in {**a, **b} if a.get(name) != b.get(name)]


def main() -> int:
    first, *others = (json.loads(Path(path).read_bytes()) for path in sys.argv[1:])
    failed = not others
    for other in others:
        different = differences(first, other)
        processors = f"{first['machine'][0]} and {other['machine'][0]}"
        if first["machine"][0] == other["machine"][0]:
            different.append("the processor: it is the same one")
        print(f"{processors}: {len(first['answers'])} answers, {len(different)} different")
        for name in different:
            print(f"  {name}: {first['answers'].get(name)} and {other['answers'].get(name)}")
        failed = failed or bool(different)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
