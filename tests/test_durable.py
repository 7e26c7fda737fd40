"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from agent.durable import Directories, Moment, write_durably
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


def test_a_file_is_on_disk_before_it_is_in_place_and_its_name_before_anyone_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: happened.append(name_of(descriptor)))
    write_durably(tmp_path / "result.json", b"whole", happened.append)
    assert happened == [
        Moment.FILE_BEGUN,
        "result.json.new",
        Moment.FILE_DRAFTED,
        Moment.FILE_RENAMED,
        tmp_path.name,
        Moment.FILE_SYNCED,
    ]


def test_directories_are_synced_once_and_again_when_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    for name in ("aa", "bb"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1, 1))
    os.utime(tmp_path, (1, 1))
    directories = Directories(tmp_path)
    directories.sync()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(name_of(descriptor)))
    directories.sync()
    assert synced == []
    (tmp_path / "aa" / "new").touch()
    for _ in range(2):
        directories.sync()
    assert synced == ["aa", "aa"], "what changed a moment ago may change again without showing"


def name_of(descriptor: int) -> str:
    return Path(f"/proc/self/fd/{descriptor}").readlink().name
