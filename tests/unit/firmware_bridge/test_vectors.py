"""The golden frames: what any implementation, in any language, must reproduce."""

import json
from pathlib import Path
from typing import Any

import firmware_bridge
from firmware_bridge.frames import FROM_DEVICE, Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.messages import Hello, session_salt

PATH = Path(firmware_bridge.__file__).with_name("vectors.json")
VECTORS: Any = json.loads(PATH.read_text())
SESSION = VECTORS["session"]


def decoder(kind: int) -> FrameDecoder:
    from_device = bool(kind & FROM_DEVICE)
    made = FrameDecoder(Direction.FROM_DEVICE if from_device else Direction.FROM_HOST)
    made.salt = SESSION["salt"]
    return made


def test_the_salt_is_the_crc_of_hashes_and_nonces() -> None:
    hello = Hello(
        1, 1, SESSION["schema_hash"], SESSION["envelope_hash"], SESSION["boot_nonce"], 0, 1
    )
    assert session_salt(hello, SESSION["host_nonce"]) == SESSION["salt"]


def test_every_golden_frame_is_reproduced_and_read_back() -> None:
    assert len(VECTORS["accept"]) >= 15
    for vector in VECTORS["accept"]:
        frame = Frame(vector["kind"], vector["seq"], vector["token"], tuple(vector["values"]))
        wire = bytes.fromhex(vector["wire"])
        assert encode_frame(frame, SESSION["salt"]) == wire, vector["name"]
        assert decoder(frame.kind).feed(wire) == [frame], vector["name"]


def test_every_bad_frame_is_rejected_for_its_cause() -> None:
    assert len(VECTORS["reject"]) >= 42
    for vector in VECTORS["reject"]:
        receiver = decoder(0 if vector.get("receiver") == "device" else FROM_DEVICE)
        assert receiver.feed(bytes.fromhex(vector["wire"])) == [], vector["name"]
        assert getattr(receiver.bad, vector["cause"]) == 1, vector["name"]
        assert receiver.bad.total() == 1, vector["name"]


def test_the_worked_example_of_the_document_is_a_golden_frame() -> None:
    text = PATH.with_name("PROTOCOL.md").read_text()
    (vector,) = (v for v in VECTORS["accept"] if v["name"] == "set")
    assert bytes.fromhex(vector["wire"]).hex(" ") in text
    (keyed,) = (v for v in VECTORS["keyed"]["accept"] if v["name"] == "set")
    assert bytes.fromhex(keyed["wire"]).hex(" ") in text
