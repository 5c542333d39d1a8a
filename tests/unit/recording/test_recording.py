"""What was appended is what is read, and damage costs only what it hit."""

import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.errors import ConfigError
from edge_agent.recording import format as layout
from edge_agent.recording.format import RecordingError
from edge_agent.recording.reader import DamageKind, SegmentReader, segments
from edge_agent.recording.writer import SegmentWriter
from tests.unit.recording.sample_records import encoded, header, tick

MB = 1_000_000


def write(folder: Path, count: int, segment_bytes_max: int = MB) -> Path:
    writer = SegmentWriter(folder, header(), segment_bytes_max, 10 * segment_bytes_max)
    for number in range(count):
        writer.append(encoded(number))
    writer.close()
    return segments(folder)[0]


def numbers(path: Path) -> list[int]:
    return [t.tick for t in SegmentReader(path)]


def test_ticks_and_header_come_back_as_they_were_written(tmp_path: Path) -> None:
    reader = SegmentReader(write(tmp_path, 5))
    assert reader.header == header()
    assert list(reader) == [tick(n) for n in range(5)]
    assert reader.damage == []


def test_any_msgpack_library_reads_a_payload(tmp_path: Path) -> None:
    data = write(tmp_path, 1).read_bytes()
    payload = layout.record_at(data, len(layout.FILE_START))
    assert payload is not None
    assert msgpack.unpackb(payload)["device"] == "air-handler"


def test_a_recording_without_ticks_is_read(tmp_path: Path) -> None:
    reader = SegmentReader(write(tmp_path, 0))
    assert reader.header == header()
    assert list(reader) == []


def test_a_file_cut_anywhere_in_its_last_record_gives_all_others(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    whole = path.read_bytes()
    last = len(whole) - len(encoded(2)) - layout.RECORD_HEAD.size
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        reader = SegmentReader(path)
        assert [t.tick for t in reader] == [0, 1]
        expected = [(DamageKind.CUT_SHORT, last, end - last)] if end > last else []
        assert [(d.kind, d.offset, d.length) for d in reader.damage] == expected


def test_a_file_cut_anywhere_in_its_head_is_reported_and_harmless(tmp_path: Path) -> None:
    path = write(tmp_path, 0)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        reader = SegmentReader(path)
        assert list(reader) == []
        assert reader.header is None
        assert [d.kind for d in reader.damage] == [DamageKind.CUT_SHORT] * (
            end != len(layout.FILE_START)
        )


def test_every_single_flipped_bit_costs_at_most_its_own_record(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    whole = path.read_bytes()
    for position in range(len(layout.FILE_START), len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        reader = SegmentReader(path)
        read = [t.tick for t in reader]
        assert len(reader.damage) == 1
        lost = {0, 1, 2} - set(read)
        assert len(lost) == (reader.header is not None)
        assert [tick(n) for n in read] == list(reader)


def test_the_offset_of_damage_is_the_start_of_the_damaged_record(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    damaged = bytearray(path.read_bytes())
    size = len(layout.encode_record(encoded(1)))
    begin = len(damaged) - len(layout.encode_record(encoded(2))) - size
    damaged[begin + 20] ^= 0xFF
    path.write_bytes(damaged)
    reader = SegmentReader(path)
    assert [t.tick for t in reader] == [0, 2]
    assert str(reader.damage[0]) == f"byte {begin}: bytes that are no intact record ({size} bytes)"


@given(junk=st.binary(max_size=400), where=st.integers(0, 3))
def test_junk_between_records_costs_no_record(junk: bytes, where: int) -> None:
    records = [layout.encode_record(encoded(n)) for n in range(3)]
    parts = [*records[:where], junk, *records[where:]]
    assert _ticks_in(b"".join(parts)) == [0, 1, 2]


def _ticks_in(data: bytes) -> list[int]:
    found, offset = [], 0
    while offset < len(data):
        payload = layout.record_at(data, offset)
        if payload is None:
            offset += 1
        else:
            found.append(msgpack.unpackb(payload)[0])
            offset += layout.RECORD_HEAD.size + len(payload)
    return found


def test_an_intact_record_of_another_kind_is_named_and_stepped_over(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, header(), MB, 10 * MB)
    for payload in (encoded(0), msgpack.packb("not a tick"), b"\xc1", encoded(1)):
        writer.append(payload)
    writer.close()
    reader = SegmentReader(segments(tmp_path)[0])
    assert [t.tick for t in reader] == [0, 1]
    assert [d.kind for d in reader.damage] == [DamageKind.NOT_UNDERSTOOD] * 2


def test_a_file_that_lost_its_header_still_gives_its_ticks(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    ticks = b"".join(layout.encode_record(encoded(n)) for n in range(2))
    path.write_bytes(layout.FILE_START + ticks)
    reader = SegmentReader(path)
    assert reader.header is None
    assert [t.tick for t in reader] == [0, 1]
    assert reader.damage == []


def test_reading_twice_gives_the_same_ticks_and_the_same_damage(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    reader = SegmentReader(path)
    assert list(reader) == list(reader)
    assert len(reader.damage) == 1


def test_an_empty_file_is_a_recording_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "empty.rec"
    path.touch()
    reader = SegmentReader(path)
    assert (reader.header, list(reader)) == (None, [])
    assert reader.damage[0].kind is DamageKind.CUT_SHORT


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 a zip file", "not a recording"),
        (b"\x00" * 100, "not a recording"),
        (layout.MAGIC + b"\x02\x00", "format version 2"),
    ],
)
def test_a_foreign_file_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=words) as refusal:
        SegmentReader(path)
    assert "x.rec" in str(refusal.value)


def test_an_absent_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        SegmentReader(tmp_path / "gone.rec")


def test_a_live_file_is_read_up_to_now_and_more_later(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, header(), MB, 10 * MB)
    writer.append(encoded(0))
    path = writer.path
    assert path is not None
    assert numbers(path) == [0]
    writer.append(encoded(1))
    assert numbers(path) == [0, 1]
    writer.close()


def test_records_wait_for_the_flush_policy_and_no_longer(tmp_path: Path) -> None:
    two = sum(len(layout.encode_record(encoded(n))) for n in range(2))
    writer = SegmentWriter(tmp_path, header(), MB, 10 * MB, two)
    path = writer.path
    assert path is not None
    for number in range(2):
        writer.append(encoded(number))
    assert numbers(path) == []
    writer.append(encoded(2))
    assert numbers(path) == [0, 1, 2]
    writer.append(encoded(3))
    writer.close()
    assert numbers(path) == [0, 1, 2, 3]


def test_segments_rotate_by_size_and_each_has_a_header(tmp_path: Path) -> None:
    segment_bytes = 6_000
    write(tmp_path, 100, segment_bytes)
    files = segments(tmp_path)
    assert len(files) > 1
    assert all(f.stat().st_size <= segment_bytes for f in files)
    assert all(SegmentReader(f).header == header() for f in files)
    assert [n for f in files for n in numbers(f)] == list(range(100))


def test_the_oldest_segments_go_when_the_total_is_reached(tmp_path: Path) -> None:
    other = SegmentWriter(tmp_path, header("old", 1), 5_000, 20_000)
    other.append(encoded(0))
    other.close()
    writer = SegmentWriter(tmp_path, header(), 5_000, 20_000)
    for number in range(400):
        writer.append(encoded(number))
        assert sum(f.stat().st_size for f in segments(tmp_path)) <= 20_000
    writer.close()
    kept = [n for f in segments(tmp_path) for n in numbers(f)]
    assert kept == list(range(kept[0], 400))
    assert kept[0] > 0
    assert not list(tmp_path.glob("*-old-*"))
    assert int(writer.status()["segments_deleted"]) > 1


def test_names_sort_by_start_boot_and_number(tmp_path: Path) -> None:
    write(tmp_path, 60, 5_000)
    names = [f.name for f in segments(tmp_path)]
    assert names[:2] == ["20231114T221320Z-b00t-000001.rec", "20231114T221320Z-b00t-000002.rec"]


def test_an_existing_segment_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    again = SegmentWriter(tmp_path, header(), MB, 10 * MB)
    again.append(encoded(9))
    assert "exists" in str(again.status()["error"])
    again.close()
    assert numbers(path) == [0, 1, 2]


def test_limits_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for segment, total in ((100, MB), (MB, MB), (MB, 2 * MB - 1)):
        with pytest.raises(ConfigError, match="segments of"):
            SegmentWriter(tmp_path, header(), segment, total)


@pytest.mark.parametrize("payload", [b"", b"x" * (layout.PAYLOAD_BYTES_MAX + 1)])
def test_a_payload_that_no_reader_takes_is_counted_as_lost(tmp_path: Path, payload: bytes) -> None:
    writer = SegmentWriter(tmp_path, header(), MB, 10 * MB)
    writer.append(payload)
    writer.append(encoded(0))
    writer.close()
    assert writer.status()["records_lost"] == 1
    assert numbers(segments(tmp_path)[0]) == [0]


def test_a_folder_that_cannot_be_made_is_counted_and_never_raised(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    writer = SegmentWriter(blocked / "recordings", header(), MB, 10 * MB)
    for number in range(60):
        writer.append(encoded(number))
    assert writer.path is None
    assert writer.status()["records_lost"] == 60
    assert "directory" in str(writer.status()["error"])
    writer.close()


def test_recording_resumes_when_the_disk_comes_back(tmp_path: Path) -> None:
    blocked = tmp_path / "recordings"
    blocked.touch()
    writer = SegmentWriter(blocked, header(), MB, 10 * MB)
    blocked.unlink()
    for number in range(60):
        writer.append(encoded(number))
    writer.close()
    kept = numbers(segments(blocked)[0])
    assert kept == list(range(kept[0], 60))
    assert int(writer.status()["records_lost"]) == kept[0] > 0


FULL_DISK = """
import resource, sys
from pathlib import Path
from edge_agent.recording.writer import SegmentWriter
from tests.unit.recording.sample_records import encoded, header

resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
writer = SegmentWriter(Path(sys.argv[1]), header(), 1_000_000, 10_000_000)
for number in range(50):
    writer.append(encoded(number))
if sys.argv[2] == "freed":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.append(encoded(50))
writer.close()
status = writer.status()
print(status["records"], status["records_lost"], status["error"])
"""


@pytest.mark.parametrize("later", ["freed", "still full"])
def test_a_full_disk_costs_records_and_neither_raises_nor_damages(
    tmp_path: Path, later: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), later],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    kept, lost, error = done.stdout.strip().split(" ", 2)
    expected = [50] if later == "freed" else []
    assert int(kept) + int(lost) == 50 + len(expected)
    assert int(lost) > 0
    assert error == "File too large"
    reader = SegmentReader(segments(tmp_path)[0])
    assert [t.tick for t in reader] == [*range(int(kept) - len(expected)), *expected]
    assert reader.damage == []
