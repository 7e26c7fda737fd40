"""A disk that is full, or turns read-only, ends a run with word of it; once there is room, the run goes on."""

import subprocess
from dataclasses import replace

import pytest

from agent.durable import Moment
from agent.folding import fold
from agent.journal import read_entries
from agent.models.server import ScriptedServer
from tests.crash.disks import FILLER, MOUNT, mounted
from tests.crash.runs import left_behind, seen, undisturbed
from tests.crash.world import MENDING, copied
from tests.crash.zygote import Kill, Order
from tests.gitrepo import git

RUN = ".git/greenward/runs/r1"
PLACES = [
    (".git/greenward", Moment.JOURNAL_BEGUN, 5, "journal.jsonl cannot be written: No space left on device"),
    (".git/greenward", Moment.FILE_BEGUN, 3, "proof.json cannot be written: No space left on device"),
    (".git/greenward", Moment.FILE_BEGUN, 4, "result.json cannot be written: No space left on device"),
    (f"{RUN}/artifacts", Moment.FILE_BEGUN, 1, "cannot be written: No space left on device"),
    (".git/objects", Moment.BLOB_BEGUN, 3, "no room is left on the disk of"),
    (".git/objects", Moment.TREE_BEGUN, 3, "No space left on device"),
    (".git/objects", Moment.COMMIT_BEGUN, 2, "No space left on device"),
    (".git/refs", Moment.REF_BEGUN, 4, "no room is left on the disk of"),
    (".git", Moment.BLOB_BEGUN, 3, "no room is left on the disk"),
]


@pytest.fixture(scope="module")
def mending(zygote, tmp_path_factory):
    return undisturbed(zygote, MENDING, tmp_path_factory.mktemp("mending"))


def goes_on(zygote, order, mending, root):
    """Once there is room, the run ends as if nothing had been, but for what its branch was left at meanwhile."""
    answer = zygote.carry_out(replace(order, do="resume", disk="", kill=None))
    assert answer.code == 0, answer
    assert seen(root) == mending.users
    assert list(left_behind(root, family=True)) == []
    assert git(root, "fsck", "--strict", "--no-dangling", "--no-progress") == ""
    end = fold(read_entries(root / RUN / "journal.jsonl")).result_tree
    assert end == git(root, "rev-parse", "greenward/fix-r1^{tree}") == mending.commits[-1][1]


def said_so(answer, words):
    assert answer.code == 6, answer
    assert words in answer.said
    assert "Traceback" not in answer.said
    return answer.said.partition("\n\nhint: ")[2]


@pytest.mark.parametrize(("place", "moment", "nth", "words"), PLACES)
def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(
    zygote, mending, place, moment, nth, words, tmp_path
):
    root = copied(mending.template, tmp_path / "repository")
    with mounted(root / place) as disk, ScriptedServer(MENDING.script) as server:
        order = Order(do="fix", repository=str(root), base_url=server.base_url, disk=str(disk))
        hint = said_so(zygote.carry_out(replace(order, kill=Kill(moment=moment, nth=nth))), words)
        assert "free some disk space, then go on with `greenward resume`" in hint
        journal = (root / RUN / "journal.jsonl").read_bytes()
        assert journal.endswith(b"\n"), "no half of a line is left"
        assert list(read_entries(root / RUN / "journal.jsonl")), "the chain holds: what was written is as it was"
        (disk / FILLER).unlink()
        goes_on(zygote, order, mending, root)
        assert (root / RUN / "journal.jsonl").read_bytes().startswith(journal)


@pytest.mark.parametrize(
    ("place", "moment", "nth", "words"),
    [
        (".git/objects", Moment.TREE_BEGUN, 3, "Read-only file system"),
        (".git/refs", Moment.REF_BEGUN, 4, "cannot lock ref"),
    ],
)
def test_a_disk_that_turns_read_only_is_named_as_well(zygote, mending, place, moment, nth, words, tmp_path):
    root = copied(mending.template, tmp_path / "repository")
    with mounted(root / place) as disk, ScriptedServer(MENDING.script) as server:
        order = Order(do="fix", repository=str(root), base_url=server.base_url, disk=str(disk), read_only=True)
        hint = said_so(zygote.carry_out(replace(order, kill=Kill(moment=moment, nth=nth))), words)
        assert "writable, then go on with `greenward resume`" in hint
        subprocess.run([MOUNT, "-o", "remount,rw", str(disk)], check=True)
        goes_on(zygote, order, mending, root)
