"""What the local sandbox owes the machine that it runs on."""

import os
import tempfile

import pytest

from sandbox import Change, Command, Limits
from sandbox.local import LocalSandbox
from tests.sandbox.trees import DictTree

TREE = DictTree([Change(path="d/a", data=b"1"), Change(path="b", data=b"2")])


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


def opened():
    return LocalSandbox(path=os.environ["PATH"], limits=Limits())


def test_nothing_is_left_behind(temporary):
    deep = """mkdir -p "$(printf 'd/%.0s' $(seq 3000))"; mkdir closed; touch closed/x; chmod 000 closed"""
    with opened() as sandbox:
        sandbox.execute(TREE, Command(script=deep))
        sandbox.execute(TREE, Command(script="sleep 60", timeout=0.2))
        sandbox.execute_fresh(TREE, Command(script=deep))
        assert len(list(temporary.iterdir())) <= 1
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("temporary")
def test_a_planted_link_leads_no_deletion_outside(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "a").write_bytes(b"precious")
    linked = DictTree([Change(path="d", data=b"x", link=True), Change(path="d2/a", data=b"1")])
    with opened() as sandbox:
        script = f"rm d; ln -s {victim} d; rm -r d2; ln -s {victim} d2"
        tree = sandbox.execute(linked, Command(script=script)).tree
        assert sandbox.execute(DictTree([]), Command(script="ls -A")).result.output == b""
    assert tree.paths()
    assert (victim / "a").read_bytes() == b"precious"


@pytest.mark.usefixtures("temporary")
def test_files_that_would_hold_up_a_reader_are_not_waited_for():
    with opened() as sandbox:
        command = Command(script='mkfifo "$GREENWARD_OUT/r"; ln -s /etc/passwd "$GREENWARD_OUT/l"', collect=("r", "l"))
        assert {**sandbox.execute(TREE, command).result.files} == {}


def test_it_does_not_call_itself_isolated():
    assert opened().isolated is False
