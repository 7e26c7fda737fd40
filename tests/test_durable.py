"""Files that are whole or not there."""

from pathlib import Path

import pytest

from agent.durable import write_durably
from agent.errors import StorageProblem


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_a_file_is_written_whole_and_in_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_durably(path, b"old and longer")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["result.json"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "result.json.new").write_bytes(b"half of somethi")
    write_durably(tmp_path / "result.json", b"whole")
    assert (tmp_path / "result.json").read_bytes() == b"whole"
    assert names(tmp_path) == ["result.json"]


def test_what_cannot_be_written_leaves_the_old_file_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(StorageProblem, match=r"result\.json cannot be written") as caught:
        write_durably(path, b"new")
    assert caught.value.exit_code == 6
    assert "greenward resume" in caught.value.hint
    assert names(tmp_path) == ["result.json"]
    assert (path / "kept").exists()
