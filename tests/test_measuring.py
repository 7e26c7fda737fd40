"""The baseline: one run of the suite, and what failed a few times more, as long as that tells something."""

import json

import pytest

from agent import events as e
from agent.baseline import UNLIKE
from agent.baselinecache import BaselineCache
from agent.measuring import Measuring
from agent.task import Limits as Budget
from agent.testreport import Status
from tests.canned import FILE, CannedEngine, shown

FILES = {"app.py": "", FILE: "", "pyproject.toml": '[project]\nname = "app"\ndependencies = ["psycopg2-binary"]\n'}


@pytest.fixture
def based(lab):
    """A laboratory whose suite takes `seconds` and shows what `ends` says of the run with a number."""

    def made(ends, *, seconds=0.2, mode="fix", **options):
        def show(run):
            said = ends(run.number)
            return shown({name: said[name] for name in run.among(said)}, seconds * len(run.among(said)) / len(said))

        return lab(FILES, mode=mode, engine=CannedEngine(show=show, **options))

    return made


def measured(at, cache=None):
    (event,) = Measuring(bench=at.bench, cache=cache).measure(at.state)
    return event


def name(test):
    return f"{FILE}::{test}"


def test_a_green_suite_is_run_once(based):
    at = based(lambda _: {"test_a": "passed", "test_b": "skipped"})
    event = measured(at)

    assert (event.runs, event.whole, len(at.engine.runs)) == (1, 1, 1)
    assert (event.flaky, event.environmental, event.unstable, event.cached) == ((), {}, (), False)


def test_failures_that_are_alike_are_run_three_times_in_fresh_places_and_no_more(based):
    at = based(lambda _: {"test_a": "failed", "test_b": "passed"}, seconds=20.0)
    event = measured(at)

    assert [(run.asked, run.fresh) for run in at.engine.runs] == [
        ((), True),
        ((name("test_a"),), True),
        ((name("test_a"),), True),
    ]
    assert (event.runs, event.whole) == (3, 1)
    assert at.watcher.said == ["running 1 test of the base again, to tell fault from chance"]


def test_a_suite_that_is_all_red_for_one_cause_does_not_use_up_the_time(based):
    at = based(lambda _: {f"test_{n}": ("error", "ImportError: no") for n in range(150)}, seconds=3.0)
    event = measured(at)

    assert (event.runs, event.flaky) == (3, ())
    assert at.engine.runs[1].asked == (FILE,), "so many tests are named by their file"


def test_a_test_that_passes_at_last_is_flaky_and_the_others_are_run_twenty_times_more(based):
    at = based(lambda run: {"test_a": "failed", "test_b": "passed" if run == 2 else "failed"}, seconds=3.0)
    event = measured(at)

    assert (event.flaky, event.runs) == ((name("test_b"),), UNLIKE + 1)
    assert at.engine.runs[-1].asked == (name("test_a"),), "what was seen both ways is not run any more"
    assert at.watcher.said == [
        "running 2 tests of the base again, to tell fault from chance",
        "the runs differ: up to 20 of them",
    ]


def test_of_a_short_suite_all_is_run_again_which_shows_what_passed_by_chance_at_first(based):
    at = based(lambda run: {"test_a": "failed", "test_b": "failed" if run % 2 else "passed"}, seconds=1.0)
    event = measured(at)

    assert {run.asked for run in at.engine.runs} == {()}
    assert (event.flaky, event.whole) == ((name("test_b"),), event.runs)


def test_further_runs_end_with_the_time_that_they_may_take(based):
    at = based(lambda run: {"test_a": ("failed", f"never the same {'abcdefghijk'[run]}")}, seconds=14.0)
    event = measured(at)

    assert event.runs == 1 + 4, "a minute, at 14.5 seconds each"


def test_no_further_run_begins_that_takes_longer_than_there_is_time(based):
    assert measured(based(lambda _: {"test_a": "failed"}, seconds=61.0)).runs == 1


def test_a_tenth_of_the_time_that_is_left_is_all_they_take(based):
    at = based(lambda _: {"test_a": "failed"}, seconds=3.0)
    at.events[0] = e.RunStarted(**{
        slot: getattr(at.events[0], slot) for slot in at.events[0].__slots__ if slot != "limits"
    }, limits=Budget(seconds=50.0))  # fmt: skip

    assert measured(at).runs == 2


def test_a_further_run_that_gives_no_result_ends_them(based):
    at = based(lambda _: {"test_a": "failed"}, seconds=3.0)
    show = at.engine.show
    at.engine.show = lambda run: show(run) if run.number == 0 else shown({}, 0.1)
    event = measured(at)

    assert (event.runs, len(at.engine.runs)) == (1, 3)
    assert [run.asked for run in at.engine.runs[1:]] == [(name("test_a"),), (FILE,)], "the id may be the reason"


def test_what_the_sandbox_lacks_is_named_test_by_test(based):
    event = measured(based(lambda _: {
        "test_a": ("failed", "socket.gaierror: [Errno -2] Name or service not known"),
        "test_b": ("failed", "ModuleNotFoundError: No module named 'psycopg2'"),
        "test_c": ("failed", "ModuleNotFoundError: No module named 'app.cart'"),
        "test_d": "passed",
    }))  # fmt: skip

    assert event.environmental == {name("test_a"): "name resolution", name("test_b"): "missing module (psycopg2)"}


def test_ids_that_look_as_if_they_vary_are_looked_at_twice(based):
    at = based(lambda run: {f"test_a[<X at 0x7f00{run}abc>]": "passed", "test_b": "passed"})
    event = measured(at)

    assert (event.unstable, event.flaky, event.runs) == ((name("test_a[<X at 0x7f000abc>]"),), (), 2)


# Measured before


@pytest.fixture
def cache(tmp_path):
    return BaselineCache(tmp_path / "baselines")


def red(_):
    return {"test_a": "failed", "test_b": "passed"}


def test_a_baseline_of_the_same_tree_and_environment_is_not_measured_again(based, cache):
    first = measured(based(red), cache)
    at = based(red)
    again = measured(at, cache)

    assert (again.cached, at.engine.runs) == (True, [])
    assert again.report == first.report
    assert again.standings == first.standings


def test_another_tree_test_command_or_environment_is_measured(based, cache, lab):
    measured(based(red), cache)
    other = lab({**FILES, "app.py": "x = 1\n"}, mode="fix", engine=based(red).engine)
    test = lab(FILES, mode="fix", engine=based(red).engine, test="python -m pytest -q")

    assert not measured(other, cache).cached
    assert not measured(test, cache).cached


def test_what_nothing_isolated_is_measured_each_time(based, cache):
    measured(based(red, isolated=False), cache)

    assert not cache.directory.exists()
    assert not measured(based(red, isolated=False), cache).cached


def damaged(path, how):
    match how:
        case "flipped":
            path.write_bytes(path.read_bytes().replace(b'"failed"', b'"passed"'))
        case "cut":
            path.write_bytes(path.read_bytes()[:-40])
        case "empty":
            path.write_bytes(b"")
        case "huge":
            with path.open("ab") as file:
                file.truncate(1 << 30)
        case "a link":
            path.rename(path.with_suffix(".moved"))
            path.symlink_to(path.with_suffix(".moved"))
        case "a directory":
            path.unlink()
            path.mkdir()
        case "another's":
            kept = json.loads(path.read_text())
            kept["key"]["tree"] = "0" * 40
            path.write_text(json.dumps(kept))


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "huge", "a link", "a directory", "another's"])
def test_a_file_that_was_damaged_or_planted_is_not_taken(based, cache, how):
    measured(based(red), cache)
    (path,) = cache.directory.iterdir()
    damaged(path, how)
    event = measured(based(red), cache)

    assert not event.cached
    assert event.report.count(Status.FAILED) == 1


def test_after_a_day_the_suite_is_run_again(based, cache):
    measured(based(red), cache)
    later = BaselineCache(cache.directory, clock=lambda: next(cache.directory.iterdir()).stat().st_mtime + 86_401)

    assert not measured(based(red), later).cached


def test_a_cache_that_cannot_be_written_is_done_without(based, tmp_path):
    (tmp_path / "file").write_text("")

    assert measured(based(red), BaselineCache(tmp_path / "file" / "baselines")).runs == 3


def test_only_the_newest_baselines_are_kept(based, cache, monkeypatch):
    monkeypatch.setattr("agent.baselinecache.KEPT", 2)
    for number in range(4):
        at = based(red)
        at.events[0] = e.RunStarted(**{
            slot: getattr(at.events[0], slot) for slot in at.events[0].__slots__ if slot != "task"
        }, task=at.task)  # fmt: skip
        at.recipes.task = at.task
        key_test = f"python -m pytest -{'q' * (number + 1)}"
        at = based(red)
        from dataclasses import replace

        at.recipes.task = replace(at.task, test=key_test)
        measured(at, cache)

    assert len(list(cache.directory.iterdir())) == 2
