"""`show` reads the journal of a run in whatever state it is, and prints it as text or as JSON."""

import json
import shutil
import signal

import pytest

from agent.models.script import Script, ScriptedReply
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    RED,
    ended,
    greenward,
    journals,
    mending,
    start,
    told,
    variables,
    wait_for,
)
from tests.gitrepo import git, repository


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environments):
    """A repository with one run that failed once and is green then, as far as that goes without isolation."""
    root = repository(tmp_path_factory.mktemp("finished") / "repo", RED)
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", root, *LOCAL, environment=variables(server, XDG_CACHE_HOME=str(environments)))
    assert ran.code == 8, ran.said
    return root


def test_a_run_is_shown_from_its_outcome_to_its_verdict(finished):
    ran = greenward("show", "--repo", finished, environment=variables())
    assert ran.code == 0, ran.said

    lines = ran.out.splitlines()
    assert lines[0].startswith("unproven: ")
    places = [lines.index(title) for title in ("request", "plan", "timeline", "iterations", "verdicts")]
    assert places == sorted(places)
    assert "        run_tests  1 failed, 2 passed" in lines
    assert "      fixed  tests/test_sums.py::test_add" in lines
    assert f"${told(finished):.4f} of $1.00" in ran.out
    assert ran.err == ""


def test_the_same_is_had_as_one_json_object(finished):
    ran = greenward("show", "--json", "--repo", finished, environment=variables())
    assert ran.code == 0, ran.said

    shown = json.loads(ran.out)
    assert (shown["schema"], shown["outcome"], shown["mode"]) == (1, "unproven", "fix")
    assert [each["after"]["words"] for each in shown["iterations"]] == ["1 failed, 2 passed", "3 passed"]
    assert round(shown["spent"], 9) == told(finished)
    assert "assert -1 == 5" in shown["tests_before"]["failures"][0]["detail"]


def test_a_run_that_was_interrupted_is_shown_as_far_as_it_went(red):
    plan, *_ = mending().replies
    with ScriptedServer(Script(replies=(plan, ScriptedReply(say="Let me think.", stall=True)))) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: len(server.requests) == 2, process)
        shown = greenward("show", "--repo", red, environment=variables())
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
    assert shown.code == 0, shown.said
    assert shown.out.startswith("unfinished\n")
    after = greenward("show", "--repo", red, environment=variables())
    assert "   2  no reply " in after.out
    assert "greenward resume" in after.out


def test_a_damaged_journal_is_an_error_that_names_its_line(finished, tmp_path):
    (journal,) = journals(finished)
    copy = repository(tmp_path / "copy", RED)
    directory = copy / ".git" / "greenward" / "runs" / "abc"
    directory.mkdir(parents=True)
    lines = journal.read_bytes().splitlines(keepends=True)
    (directory / journal.name).write_bytes(b"".join([*lines[:2], b"{}\n", *lines[3:]]))

    ran = greenward("show", "abc", "--repo", copy, environment=variables())
    assert ran.code == 6, ran.said
    assert "line 3 is damaged" in ran.err
    assert "hint: " in ran.err
    assert ran.out == ""

    (directory / journal.name).write_bytes(b"".join([*lines[:9], lines[9][:20]]))
    torn = greenward("show", "abc", "--repo", copy, environment=variables())
    assert torn.code == 0, torn.said
    assert torn.out.startswith("unfinished\n")


def test_a_run_that_there_is_not_is_said_to_be_missing(finished):
    ran = greenward("show", "nothing", "--repo", finished, environment=variables())
    assert ran.code == 2, ran.said
    assert "hint: `greenward runs` lists them" in ran.err


def test_a_page_is_written_beside_the_user_or_where_it_is_wanted(finished, tmp_path):
    (journal,) = journals(finished)
    run_id = journal.parent.name
    plain = greenward("show", "--html", "--repo", finished, environment=variables(), cwd=tmp_path)
    assert plain.code == 0, plain.said
    assert (plain.out, plain.err) == ("", f"written: run-{run_id}.html\n")
    page = (tmp_path / f"run-{run_id}.html").read_text("utf-8")
    assert "+    return a or b" in page, "an iteration's patch"
    assert "+    return a + b" in page, "the result's"
    assert "It has to add." in page
    assert len(list(tmp_path.iterdir())) == 1

    named = greenward("show", run_id[:4], "--repo", finished, "--html", tmp_path / "a.html", environment=variables())
    assert named.code == 0, named.said
    assert (tmp_path / "a.html").read_text("utf-8") == page
    piped = greenward("show", "--html", "-", "--repo", finished, environment=variables())
    assert (piped.out, piped.err) == (page, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--html", "3f2a"), "`--html 3f2a` names no page"),
        (("--html", "nowhere/page.html"), "nowhere/page.html cannot be written: No such file or directory"),
        (("--html", "--json"), "`--json` and `--html` exclude each other"),
    ],
)
def test_a_page_that_cannot_be_written_is_an_error_with_a_hint(finished, tmp_path, arguments, says):
    ran = greenward("show", *arguments, "--repo", finished, environment=variables(), cwd=tmp_path)
    assert ran.code == 2, ran.said
    assert ran.err.startswith(f"error: {says}\n\nhint: ")
    assert list(tmp_path.iterdir()) == []


def test_a_page_holds_no_key_of_whoever_makes_it(finished, tmp_path):
    secret = "return a + b"
    ran = greenward("show", "--html", "--repo", finished, environment=variables(key=secret), cwd=tmp_path)
    assert ran.code == 0, ran.said
    (page,) = tmp_path.iterdir()
    assert secret not in page.read_text("utf-8")
    assert "[redacted]" in page.read_text("utf-8")


def test_a_repository_in_the_middle_of_something_still_has_a_page_without_its_changes(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / ".git" / "MERGE_HEAD").write_text(git(copy, "rev-parse", "HEAD") + "\n")

    ran = greenward("show", "--html", "-", "--repo", copy, environment=variables())
    assert ran.code == 0, ran.said
    assert "The changes cannot be shown: " in ran.out
    assert "return a + b" in ran.out, "the transcript has it"
