"""The lines of a lock that hold for another Python than the one that runs pip.

    python deploy/deb/lock_for.py 3.13 requirements.lock

pip judges markers by its own interpreter, whatever --python-version says.
"""

import sys
from pathlib import Path

from packaging.markers import Marker


def lines_for(version: str, text: str) -> list[str]:
    """`text` without the requirements (and their hashes) whose marker is false for `version`."""
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
    }
    kept, wanted = [], True
    for line in text.splitlines():
        if not line.startswith((" ", "#")):
            requirement, _, marker = line.rstrip("\\ ").partition(";")
            wanted = not marker or Marker(marker).evaluate(environment)
            kept += (
                [requirement.rstrip() + (" \\" if line.endswith("\\") else "")] if wanted else []
            )
        elif wanted:
            kept.append(line)
    return kept


if __name__ == "__main__":
    print("\n".join(lines_for(sys.argv[1], Path(sys.argv[2]).read_text("utf-8"))))
