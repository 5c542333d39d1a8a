"""What this machine answers to questions whose answers may not depend on the machine.

    python -m tests.arm64.answers FOLDER        writes recordings there, prints JSON

Owns: the questions. Two machines agree when the documents under `answers` are equal; `machine`
says which one it was. Hashes are SHA-256 over the very bytes or bits.
"""

import hashlib
import json
import platform
import sys
import tomllib
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np

import edge_agent
from edge_agent import cli
from edge_agent.inference.session import open_session
from edge_agent.recording.reader import SegmentReader, segments
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.frames import Frame, encode_frame
from tests.firmware import golden
from tests.unit.firmware_bridge.test_vectors import SESSION, VECTORS

MODEL = Path(edge_agent.__file__).parents[1] / "models" / "air-handler"
# A minute of calm, and one scenario with everything that a model can say wrong.
RUNS = (("normal", "60"), ("model-garbage", "580"))


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def of_frames() -> str:
    """Every golden frame, encoded."""
    frames = (Frame(v["kind"], v["seq"], v["token"], tuple(v["values"])) for v in VECTORS["accept"])
    return _sha256(encode_frame(frame, SESSION["salt"]) for frame in frames)


def of_model(name: str) -> str:
    """The bits of every output for every golden observation."""
    session = open_session(MODEL / name)
    vectors = json.loads((MODEL / "golden.json").read_bytes())
    observations = [np.array([v["observation"]], np.float32) for v in vectors]
    return _sha256(session.run(None, {"observation": o})[0].tobytes() for o in observations)


def of_envelope() -> dict[str, object]:
    """Every number of the golden steps, and whether they are the committed ones."""
    known = golden.load()
    said = golden.answers(ENVELOPE, known.rows)
    return {"sha256": _sha256([json.dumps(said).encode()]), "golden": said == known.answers}


def of_run(scenario: str, seconds: str, folder: Path) -> dict[str, object]:
    """Every recorded tick of a simulated run: inputs, decisions, reasons and commands."""
    state = folder / scenario
    words = ["sim", "--scenario", scenario, "--seed", "1", "--duration", seconds, "--json"]
    with redirect_stdout(StringIO()) as printed:
        code = cli.main([*words, "--state-dir", str(state)])
    (summary,) = json.loads(printed.getvalue())
    ticks = [t for path in segments(state / "recordings") for t in SegmentReader(path)]
    return {
        "ticks": len(ticks),
        "sha256": _sha256(msgspec.msgpack.encode(tick) for tick in ticks),
        "outside": summary["commands_outside_envelope"],
        "exit": code,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    manifest = tomllib.loads((MODEL / "manifest.toml").read_text("utf-8"))
    machine = (
        platform.machine(),
        platform.python_version(),
        np.__version__,
        version("onnxruntime"),
    )
    answers = {
        "frames": of_frames(),
        "model int8": of_model(manifest["file"]),
        "model float": of_model(manifest["float_file"]),
        "envelope": of_envelope(),
        **{f"sim {name}, {seconds} s": of_run(name, seconds, folder) for name, seconds in RUNS},
    }
    print(json.dumps({"machine": machine, "answers": answers}, indent=2))


if __name__ == "__main__":
    main()
