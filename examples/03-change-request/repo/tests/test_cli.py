import pytest

from todo.cli import main


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "todo.json"
    monkeypatch.setenv("TODO_FILE", str(path))
    return path


def test_what_is_added_is_listed(capsys):
    main(["add", "water the plants"])
    main(["add", "post the letter"])
    main(["list"])
    assert capsys.readouterr().out.splitlines()[2:] == ["[ ] 1 water the plants", "[ ] 2 post the letter"]


def test_what_is_done_is_ticked_off(capsys):
    main(["add", "water the plants"])
    main(["done", "1"])
    main(["list"])
    assert capsys.readouterr().out.endswith("[x] 1 water the plants\n")


def test_what_is_not_there_cannot_be_done(capsys):
    assert main(["done", "7"]) == 1
    assert capsys.readouterr().err == "todo: there is no 7\n"


def test_an_empty_list_is_kept_in_no_file(file):
    assert main(["list"]) == 0
    assert not file.exists()
