"""When a run is gone through again, just those tests run that ran then."""

from agent.journal import Entry
from agent.replay.record import Record
from agent.replay.retesting import Retesting
from tests.gitrepo import AT
from tests.lab import Lab
from tests.test_innerloop import BROKEN, FILES, ready, run, seen


def again(at: Lab, event):
    """What a recheck shows in the place of the last event, which is taken back."""
    assert at.events.pop() is event
    record = Record(entries=(Entry(seq=0, at=AT, event=event),), links=("",), place=0)
    return Retesting(record=record, bench=at.bench).run(at.state, at.state.tree)


def ends(report):
    return [(case.id, case.status) for case in report.cases], report.reused, report.exit_code


def test_those_come_first_that_did_so_then_whatever_would_be_nearest_now(lab):
    at = ready(lab(FILES))
    event = run(at, {"app/m5.py": BROKEN})
    report = again(at, event)

    assert seen(report) == {"tests/test_m5.py"}
    assert ends(report) == ends(event.effect.report)


def test_all_run_where_all_did(lab):
    at = ready(lab(FILES), seconds=1.0)
    event = run(at, {"app/m5.py": BROKEN})

    report = again(at, event)

    assert ends(report) == ends(event.effect.report)
    assert (len(report.cases), report.reused) == (12, 0)


def test_what_was_stopped_by_a_file_that_cannot_be_collected_is_so_again(lab):
    """Of two such files only one was among those that ran first, and so it alone was told of."""
    at = ready(lab(FILES))
    event = run(at, {"app/m0.py": "def f(:\n", "app/m5.py": "def f(:\n"})
    whole = at.bench.run(at.state, at.state.tree)
    report = again(at, event)

    assert report.failing == event.effect.report.failing == ("tests/test_m0.py",)
    assert whole.failing == ("tests/test_m0.py", "tests/test_m5.py")
