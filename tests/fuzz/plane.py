"""Seeks bytes that break a decoder of the control plane, with atheris (libFuzzer for Python).

    python -m tests.fuzz.plane --seconds 600

Owns: one process for each target of `plane_targets`, its corpus for this run, and the account.
Exit 1 when a target raised; libFuzzer has then printed the exception and the input in base64.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

# What is imported in here counts the branches that it takes.
with atheris.instrument_imports(include=["edge_agent", "tests.fuzz.plane_targets"]):
    from tests.fuzz.plane_targets import TARGETS

INPUT_BYTES_MAX = 1024


def seek(name: str, seconds: int) -> tuple[int, str]:
    """How many inputs one target was given in so many seconds, and what was said of a failure."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as text:
        folder = Path(text)
        for number, seed in enumerate((*TARGETS[name].seeds, *TARGETS[name].refused)):
            (folder / f"seed-{number}").write_bytes(seed)
        words = [
            *(sys.executable, "-m", "tests.fuzz.plane", "--target", name, "--"),
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            "-timeout=20",
            text,
        ]
        run = subprocess.run(words, check=False, capture_output=True, text=True)
    found = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    said = run.stdout + run.stderr if run.returncode else ""
    return int(found[1]) if found else 0, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)
    arguments, options = parser.parse_known_args()
    if arguments.target:

        def run(data: bytes) -> None:  # what a target returns means nothing to libFuzzer
            TARGETS[arguments.target].run(data)

        atheris.Setup([sys.argv[0], *options], run)
        atheris.Fuzz()  # ends the process
    failed = False
    for name in TARGETS:
        count, said = seek(name, max(1, arguments.seconds // len(TARGETS)))
        print(
            f"{name:<12}{count:>10} inputs{', and one that breaks it' if said else ''}", flush=True
        )
        if said:
            print(said[-4000:])
        failed = failed or bool(said)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
