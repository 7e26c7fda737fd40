"""A file is whole or not there."""

import pytest

from agent.durable import write_durably


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "result.json"
    for data in (b"one", b"another"):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]


def test_where_it_cannot_be_written_the_old_one_stays_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    path.mkdir()
    with pytest.raises(OSError):
        write_durably(path, b"one")
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]
