"""The count of false alarms: releases and commits are taken for a run's work, as far as the seal allows."""

import io
import tarfile

import pytest

from bench.suspicions import main
from tests.gitrepo import git, put, repository

TEST = "from app import add\n\n\ndef test_sum():\n    assert add(1, 2) == 3\n"
FIRST = {"app.py": "def add(a, b):\n    return a + b\n", "tests/test_app.py": TEST}
SECOND = {
    **FIRST,
    "app.py": "import os\n\n\ndef add(a, b):\n    os._exit(0)\n",
    "tests/test_app.py": TEST.replace("== 3", "is not None"),
}


@pytest.fixture
def sdists(tmp_path):
    for version, files in (("1.0", FIRST), ("1.1", SECOND)):
        with tarfile.open(tmp_path / f"app-{version}.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(f"app-{version}/{path}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
    return tmp_path


def rows(out):
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines}


def test_what_is_sealed_counts_only_where_tests_were_opened(sdists, capsys):
    assert main(["--sdists", str(sdists), "--list", "hard-exit"]) == 0

    out = capsys.readouterr().out
    assert rows(out)["kind"] == ["fix (1)", "change (1)", "change, tests opened (1)", "new (1)"]
    assert rows(out)["`hard-exit`"] == ["1 (review)", "1 (flag)", "1 (flag)", "0"]
    assert rows(out)["`weakened-assert`"] == ["0", "0", "1 (review)", "0"]
    assert "change: app 1.1: flag: app.py:5: `os._exit` ends the process at once (hard-exit)" in out


def test_a_refusal_of_honest_work_is_a_failure(sdists, tmp_path, capsys):
    repo = repository(tmp_path / "repo", FIRST)
    put(repo, {"app.py": "class Same:\n    def __eq__(self, other):\n        return True\n"})
    git(repo, "commit", "--quiet", "--all", "--message", "Break it")

    assert main(["--history", str(repo)]) == 1
    assert rows(capsys.readouterr().out)["*works with a refuse*"] == ["1"]
