"""What the device core costs on a Cortex-M3: flash, memory, instructions per frame.

    python -m tests.firmware.emulated.cost            prints the figures
    python -m tests.firmware.emulated.cost --record   writes them to cost.json, with a reason in
                                                      the commit

Owns: the frames of the bench, one run of QEMU that counts instructions, and the sizes of the
core in the linked image. Must not: judge; test_lm3s_cost.py does.
"""

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge_agent.ports.serial_bridge import link_identity
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.codec import codec_of
from firmware_bridge.frames import Frame
from firmware_bridge.messages import Hello, Kind
from tests.firmware.emulated.host import FEEDBACK
from tests.firmware.emulated.images import image, key_in, lm3s_image, make, program
from tests.firmware.emulated.qmp import Qmp

RECORD: Final = Path(__file__).with_name("cost.json")
FRAMES: Final = 60
KINDS: Final = ("set_applied", "frame_refused", "telemetry_sent", "timer_interrupt")
_BOOT_NONCE: Final = 0x12345678
_HOST_NONCE: Final = 0x9ABCDEF0
_LIMIT_S: Final = 20.0
_CORE_SECTION: Final = re.compile(
    r"^ \.(?P<kind>text|rodata)\S*\s+0x(?P<at>[0-9a-f]+)\s+0x(?P<size>[0-9a-f]+) \S*eb1\.o$",
    re.MULTILINE,
)


def _bytes(data: bytes) -> str:
    return "{" + ", ".join(str(byte) for byte in data) + "}"


def frames_header(key: bytes | None = None) -> str:
    """bench_frames.h: a handshake, an ARM and FRAMES different SETs of 40 bytes' worth of work."""
    codec = codec_of(key)
    identity = link_identity(ENVELOPE, FEEDBACK)
    hello = Hello(1, 1, identity.schema_hash, identity.envelope_hash, _BOOT_NONCE, 0, 100)
    codec.begin(hello, _HOST_NONCE)
    opening = codec.encode(Frame(Kind.HELLO_ACK, 0, 0, codec.hello_ack(hello, _HOST_NONCE)))
    opening += codec.encode(Frame(Kind.ARM, 1, 0, (_HOST_NONCE, 0)))
    sets = [
        codec.encode(Frame(Kind.SET, 2 + k, k, (300 + k, 0, 400 + k, 900 - k)))
        for k in range(FRAMES)
    ]
    broken = bytearray(sets[-1])
    broken[10] ^= 0x40
    rows = ",\n    ".join(f"{{{len(wire)}, {_bytes(wire)}}}" for wire in sets)
    return (
        f"#define BENCH_FRAMES {FRAMES}\n"
        f"#define BENCH_BOOT_NONCE UINT32_C({_BOOT_NONCE})\n"
        f"static const uint8_t BENCH_OPENING[] = {_bytes(opening)};\n"
        f"static const uint8_t BENCH_BROKEN[] = {_bytes(bytes(broken))};\n"
        "static const struct {\n    uint8_t size;\n    uint8_t bytes[40];\n} BENCH_SETS[] = {\n"
        f"    {rows}\n}};\n"
    )


def instructions(folder: Path, key_file: Path | None = None) -> dict[str, float]:
    """Mean instructions by kind; the same on every run with the same compiler."""
    key = bytes.fromhex(key_file.read_text()) if key_file else None
    (folder / "bench_frames.h").write_text(frames_header(key), encoding="utf-8")
    make(f"{folder}/bench.elf", folder, KEY_FILE=str(key_file or ""))
    bench = image(folder / "bench.elf", "arm-none-eabi-nm")
    command = [program("qemu-system-arm", "qemu-system-arm"), "-M", "lm3s6965evb"]
    command += ["-kernel", str(bench.elf), "-display", "none", "-monitor", "none", "-nodefaults"]
    command += ["-icount", "shift=0,sleep=off", "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            qmp = Qmp(folder / "qmp")
            totals = _results(qmp, bench.symbols, folder / "memory")
            qmp.close()
        finally:
            process.kill()
    return {kind: round(total / FRAMES, 1) for kind, total in zip(KINDS, totals, strict=True)}


def _results(qmp: Qmp, symbols: Mapping[str, tuple[int, int]], path: Path) -> list[int]:
    def words(symbol: str) -> list[int]:
        address, size = symbols[symbol]
        qmp.execute("pmemsave", val=address, size=size, filename=str(path))
        data = path.read_bytes()
        return [int.from_bytes(data[at : at + 4], "little") for at in range(0, size, 4)]

    deadline = time.monotonic() + _LIMIT_S
    while words("bench_done") != [1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert words("bench_state") == [2], "the bench's commands were not obeyed"
    return words("bench")


def sizes(folder: Path, key_file: Path | None = None) -> dict[str, int]:
    """Bytes of the core in the linked firmware: code and tables, and the device's memory with its
    receive and transmit buffers. The compiler's 64-bit division is counted apart."""
    firmware = lm3s_image(folder, KEY_FILE=str(key_file or ""))
    listing = (folder / "lm3s.elf.map").read_text(encoding="utf-8")
    listing = listing[listing.index("Linker script and memory map") :]
    listing = re.sub(r"(?m)^( \.\S+)\n +", r"\1 ", listing)
    flash = sum(int(m["size"], 16) for m in _CORE_SECTION.finditer(listing))
    ram = sum(firmware.symbols[name].size for name in ("device", "out", "ring"))
    division = firmware.symbols["__udivmoddi4"].size
    return {"flash_bytes": flash, "ram_bytes": ram, "flash_of_64_bit_division_bytes": division}


def measure(folder: Path) -> dict[str, Any]:
    """Everything that cost.json holds."""
    words = ["arm-none-eabi-gcc", "-dumpfullversion"]
    compiler = subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()
    keyed = folder / "keyed"
    keyed.mkdir()
    key_file = key_in(keyed)
    return {
        "gcc": compiler,
        "sizes": sizes(folder),
        "instructions": instructions(folder),
        "keyed": {
            "sizes": sizes(keyed, key_file),
            "instructions": instructions(keyed, key_file),
        },
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    record = parser.parse_args().record
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(measure(Path(folder)), indent=2) + "\n"
    print(text, end="")
    if record:
        RECORD.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main()
