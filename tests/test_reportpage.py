"""The page on a run: one file that is complete, sound, bounded, and inert whatever the run held."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from agent import events as e
from agent.changes import no_changes
from agent.events import Outcome
from agent.journal import read_entries
from agent.messages import Message
from agent.report import report_of
from agent.reportpage import as_page
from agent.task import Limits
from agent.testreport import Status, TestCase, TestReport
from agent.text import sanitise
from agent.verdict import UNSEEN
from tests.kits import PREPARED, committed, report, started
from tests.pages import (
    MARKUP,
    changes_by,
    entries_of,
    hostile_changes,
    hostile_entries,
    long_entries,
    page_of,
    parsed,
)
from tests.test_telling import RESERVED, answers, continued_run, says

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"
MEGABYTE = 1_000_000
PATCH = """\
diff --git a/app.py b/app.py
index 1..2 100644
--- a/app.py
+++ b/app.py
@@ -1,2 +1,2 @@
-x = 1
+x = 2
 y = 1
"""
ALLOWED = (
    "html head meta title style body a header p span h1 strong dl div dt dd svg rect br time code nav ul li main"
    " section h2 h3 blockquote ol pre table thead tbody tfoot tr th td details summary figure figcaption desc defs"
    " pattern text line g footer"
)


@pytest.fixture(scope="module")
def golden():
    entries = list(read_entries(GOLDEN))
    return page_of(entries, changes_by(lambda _before, _after: PATCH, entries))


def texts(page, *tags):
    return [" ".join(element.whole_text.split()) for element in parsed(page).all(*tags)]


def test_a_green_verdict_tells_what_it_does_not_show(golden):
    assert f"Not shown: {UNSEEN}." in texts(golden, "p")


def test_outcome_and_proof_come_first_and_the_conversation_last(golden):
    assert texts(golden, "h1") == ["✓ Passed, without a proof judged in a fresh container"]
    assert texts(golden, "h2") == [
        "Request", "Plan", "Proof", "Timeline", "Tests and spending", "Changes",
        "Failures", "Transcript",
    ]  # fmt: skip
    plain = texts(golden, "body")[0]
    assert plain.index("Shown by 2 passed in a fresh container") < plain.index("Make it work.")


def test_the_page_tells_all_that_the_run_holds(golden):
    plain = texts(golden, "body")[0]
    for words in (
        "Mend the sum.", "Find it.", "exit code 0, and it prints 2", "✗ no reply: rate_limited, slow down",
        "taken up again by greenward 0.1.0", "$0.0201 of $1.00 2 %", "✓ fixed 1 tests/test_x.py::b",
        "System prompt", "You mend.", "Reasoning Hm…", "☑", "✗ fails exit code 1", "1 file, +1 -1", "@@ -1,2 +1,2 @@",
        "the budget of 80 calls is spent", "greenward diff r1, then greenward accept r1",
    ):  # fmt: skip
        assert words in plain, words


def test_every_element_is_known_and_no_attribute_acts(golden):
    for page in (golden, page_of(hostile_entries(), hostile_changes())):
        elements = list(parsed(page).all())
        assert {element.tag for element in elements} <= set(ALLOWED.split())
        names = {name for element in elements for name in element.attributes}
        assert not {name for name in names if name.startswith("on") or name in ("src", "style", "srcdoc", "action")}
        links = {element.attributes["href"] for element in elements if "href" in element.attributes}
        assert all(link.startswith("#") for link in links)


def test_hostile_text_is_shown_as_it_is():
    page = page_of(hostile_entries(), hostile_changes())

    assert "<script" not in page
    assert page.count("</style>") == 1
    assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|49", page)
    shown = " ".join(sanitise(MARKUP).split())
    assert texts(page, "body")[0].count(shown) > 20
    assert sanitise(page) == page, "nothing invisible is left"


@pytest.mark.parametrize("make", [lambda: page_of(hostile_entries(), hostile_changes()), lambda: page_of(entries_of())])
def test_links_and_names_lead_to_what_is_there_once(make):
    elements = list(parsed(make()).all())
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]

    assert len(ids) == len(set(ids))
    for element in elements:
        if "href" in element.attributes:
            assert element.attributes["href"].removeprefix("#") in ids
        for each in element.attributes.get("aria-labelledby", "").split():
            assert each in ids


def test_headings_are_in_order_and_pictures_and_tables_are_named(golden):
    root = parsed(golden)
    levels = [int(element.tag[1]) for element in root.all("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for svg in root.all("svg"):
        assert "aria-label" in svg.attributes or next(svg.all("title")).whole_text
    for header in root.all("th"):
        assert header.attributes.get("scope") in ("col", "row")
    assert next(root.all("html")).attributes["lang"] == "en"


def test_a_policy_forbids_whatever_is_not_in_the_page(golden):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', golden)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r"url\((?!#)|@import|https?:", golden)


def test_a_run_cut_anywhere_has_a_page():
    entries = list(read_entries(GOLDEN))
    for end in range(1, len(entries) + 1):
        assert len(texts(page_of(entries[:end]), "h1")) == 1


def test_a_run_that_only_began_says_so():
    page = page_of(entries_of())

    assert texts(page, "h1") == ["… Unfinished"]
    assert texts(page, "h2") == ["Request", "Timeline", "Changes", "Transcript"]
    assert "Nothing was done yet." in page
    assert "greenward resume r1" in page


@pytest.mark.parametrize(
    ("outcome", "heading"),
    [
        (Outcome.PASSED, "✓ Green because"),
        (Outcome.FAILED, "✗ Not green because"),
        (Outcome.BLOCKED, "✗ Blocked because"),
        (Outcome.UNPROVEN, "? Unproven because"),
        (Outcome.OUT_OF_BUDGET, "✗ Out of budget because"),
        (Outcome.PLANNED, "… Planned because"),
    ],
)
def test_each_outcome_has_a_sign_and_a_word(outcome, heading):
    end = e.RunFinished(outcome=outcome, reason="because", commit="c0", tree="base", proof="f" * 64)
    assert texts(page_of(entries_of(end)), "h1") == [heading]


def test_a_long_run_has_a_page_of_a_bounded_size():
    page = page_of(long_entries(3_000))

    assert len(page.encode()) < 4 * MEGABYTE
    assert "2,500 turns are left out here; the journal has them." in page
    assert "2,600 turns are left out here; the journal has them." in page
    rows = [text for text in texts(page, "tr") if re.match(r"\d+ I write", text)]
    assert len(rows) == 500
    assert rows[0].startswith("1 ")
    assert rows[-1].startswith("3000 ")
    assert "… 276 left out" in page


def test_texts_of_megabytes_are_cut_with_a_note():
    huge = "<&>\x1b" * MEGABYTE
    cases = tuple(TestCase(id=f"t{n}", status=Status.FAILED, message=huge, detail=huge) for n in range(100))
    page = page_of(
        entries_of(
            PREPARED,
            e.BaselineMeasured(report=TestReport(cases=cases, exit_code=1, output=huge)),
            e.Prompted(about=e.Say.PLAN, messages=(Message(role="user", content=huge),)),
            RESERVED,
            says(huge, ("run_command", '{"command": "' + "y" * MEGABYTE + '"}'), ("b", "y" * MEGABYTE)),
            answers(content=huge, error=True),
            e.RunFinished(outcome=Outcome.FAILED, reason=huge, commit="c0", tree="base"),
        )
    )

    assert len(page.encode()) < 4 * MEGABYTE
    assert page.count("characters left out …]") > 4
    assert "and 60 more" in page


def test_a_patch_is_told_by_iteration_where_there_are_several():
    entries = entries_of(
        PREPARED,
        e.TestsFinished(report=report(a="failed"), tree="t1"),
        committed("t1"),
        e.TestsFinished(report=report(a="passed"), tree="t2"),
        committed("t2"),
    )
    asked = []

    def diff(before, after):
        asked.append((before, after))
        return PATCH.replace("x = 2", f"{before} to {after}")

    page = page_of(entries, changes_by(diff, entries))

    assert asked == [("base", "t2"), ("base", "t1"), ("t1", "t2")]
    assert [text for text in texts(page, "summary") if text.startswith("Iteration")][:2] == [
        "Iteration 1: t1 1 file, +1 -1", "Iteration 2: t2 1 file, +1 -1",
    ]  # fmt: skip
    assert "+t1 to t2" in page


def test_long_patches_are_folded_and_short_ones_are_not():
    long = PATCH.replace("-x = 1\n", "-x = 1\n" * 300)
    entries = entries_of(PREPARED, e.TestsFinished(report=report(a="failed"), tree="t1"), committed("t1"))
    page = page_of(entries, changes_by(lambda _before, _after: PATCH + long, entries))

    files = [each for each in parsed(page).all("details") if each.attributes.get("class") == "file"]
    assert ["open" in each.attributes for each in files[:2]] == [True, False]


def test_changes_that_cannot_be_read_are_said_to_be_so():
    assert "The changes cannot be shown: there is no repository" in page_of(entries_of())


def test_a_failed_run_unfolds_its_last_failures_and_a_green_one_does_not(golden):
    red = TestReport(cases=(TestCase(id="t", status=Status.FAILED, message="no", detail="Trace"),), exit_code=1)
    end = e.RunFinished(outcome=Outcome.FAILED, reason="", commit="c-t1", tree="t1")
    page = page_of(entries_of(PREPARED, e.TestsFinished(report=red, tree="t1"), committed("t1"), end))

    def unfolded(page):
        return [
            each.whole_text.split()[0]
            for each in parsed(page).all("details")
            if "open" in each.attributes and each.attributes["class"] == "group"
        ]

    assert unfolded(page) == ["Iteration"]
    assert unfolded(golden) == []
    assert "Trace" in page


def test_a_suite_without_a_result_shows_what_was_printed():
    broken = TestReport(problem="no report was written", output="Segmentation fault", exit_code=139)
    page = page_of(entries_of(PREPARED, e.BaselineMeasured(report=broken)))
    assert "✗ no report was written" in texts(page, "dd")[0]
    assert "Segmentation fault" in page


def test_a_scaffold_has_no_tests_before_its_own():
    first = replace(started("new"))
    page = page_of(
        entries_of(e.TestsFinished(report=report(a="failed"), tree="t1"), committed("t1"), PREPARED, first=first)
    )
    assert "Before" not in texts(page, "text")


def test_what_costs_nothing_has_no_picture_of_spending():
    free = replace(RESERVED, dollars=0.0)
    first = started(limits=Limits(dollars=float("inf")))
    page = page_of(entries_of(free, says("Hello.", usage=None), first=first))
    assert "spend-chart" not in page
    assert "$0.0000 of no limit" in texts(page, "dd")[1]


def test_tracebacks_of_many_runs_share_one_room():
    cases = tuple(TestCase(id=f"t{n}", status=Status.FAILED, detail="x" * 9_000) for n in range(30))
    red = TestReport(cases=cases, exit_code=1)
    events = [PREPARED]
    for number in range(6):
        events += [e.TestsFinished(report=red, tree=f"t{number}"), committed(f"t{number}")]
    page = page_of(entries_of(*events))

    assert len(page) < MEGABYTE
    assert '<p class="dim">and 30 more</p>' in page


def test_a_run_that_was_asked_for_more_has_both_requests_and_plans():
    told = continued_run()
    page = as_page(report_of(told), told.exchanges, no_changes("gone"))

    assert texts(page, "blockquote") == ["Make it work.", "More."]
    assert texts(page, "h1") == ["… Unfinished"]
    plain = texts(page, "section")[1]
    assert plain.startswith("Plan Earlier plan Do it.")
    assert [text for text in texts(page, "text") if text in ("Before", "Iteration 1", "Iteration 2")] == [
        "Before", "Iteration 1", "Iteration 2",
    ]  # fmt: skip
