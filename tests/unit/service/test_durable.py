"""Small files: never half, never for others, and written into no trap."""

from pathlib import Path

import pytest

from edge_agent.service.durable import remove_file, replace_file


def test_the_whole_content_is_there_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for content in (b"one", b"two"):
        replace_file(path, content)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_stands_where_it_is_written_is_neither_followed_nor_kept(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "state.json", tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    (tmp_path / ".state.json.new").symlink_to(elsewhere)
    replace_file(path, b"new")
    assert elsewhere.read_text() == "untouched"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


def test_removing_what_is_not_there_is_no_error_and_no_folder_is_one(tmp_path: Path) -> None:
    remove_file(tmp_path / "state.json")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "nowhere" / "state.json", b"")
