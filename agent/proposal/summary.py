"""What a run came to, for whoever reviews its proposal: `summary.md`. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import jinja2

from agent.events import Outcome
from agent.machines import executed
from agent.progress import used_lines
from agent.proposal.markdown import block, code
from agent.state import RunState
from agent.summary import final_report, headline, proof, refused
from agent.testreport import Status, TestReport
from agent.verdict import UNSEEN

__all__ = ["Changed", "summary_of"]

ROWS, FILES, LINES = 100, 100, 20
WORST_LAST = (Status.PASSED, Status.XFAILED, Status.SKIPPED, Status.ERROR, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One file of the result that differs from the base."""

    path: str
    how: str
    """`new`, `changed` or `deleted`."""

    @property
    def executed(self) -> str:
        """Who executes it outside of any sandbox; empty if nobody does by its name alone."""
        return executed(self.path) if self.how != "deleted" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A test that ended differently on the base and on the result, or that failed on both."""

    id: str
    before: str
    after: str


def summary_of(state: RunState, changed: tuple[Changed, ...], *, commit: str) -> str:
    """The summary of a run in Markdown: what it says of the repository and of the model stands in code.

    `commit` is the result.
    """
    verdict, after = state.verdict, final_report(state)
    rows = _rows(state.baseline or TestReport(), after or TestReport())
    ordered = sorted(changed, key=lambda each: (not each.executed, each.path))
    cost, tokens, time = (line.partition(":")[2].strip() for line in used_lines(state))
    return _template().render(
        headline=code(headline(state), 400),
        before=str(state.baseline or "not run"),
        after=str(after or "not run"),
        shown=proof(state),
        proof=state.finished.proof[:12] if state.finished else "",
        commit=commit[:12],
        cost=cost,
        tokens=tokens,
        time=time,
        model=state.started.model,
        run=state.started.run_id,
        base=state.root_commit[:12],
        local=state.started.sandbox == "local",
        free=state.tests_are_free,
        green=state.outcome is Outcome.PASSED,
        unseen=UNSEEN,
        reasons=_some(verdict.reasons if verdict and state.outcome is not Outcome.PASSED else ()),
        rows=rows[:ROWS],
        rows_left=len(rows) - ROWS if len(rows) > ROWS else 0,
        witnesses=verdict.witnesses[:LINES] if verdict else (),
        files=ordered[:FILES],
        files_left=len(ordered) - FILES if len(ordered) > FILES else 0,
        watch=sum(bool(each.executed) for each in changed),
        flagged=_some(verdict.flagged if verdict else ()),
        refused=_some(refused(state)),
        request=state.started.task.request,
    )


def _rows(before: TestReport, after: TestReport) -> tuple[_Row, ...]:
    """What was mended first, then what fails, then the rest, each by its id."""
    was, now = ({case.id: case.status for case in report.cases} for report in (before, after))
    bad = (Status.FAILED, Status.ERROR)
    told = [
        _Row(id=test, before=was[test].value if test in was else "-", after=now[test].value if test in now else "-")
        for test in {**was, **now}
        if was.get(test) is not now.get(test) or was.get(test) in bad
    ]
    return tuple(sorted(told, key=lambda row: (row.after != "passed", row.before == "-", row.id)))


def _some(lines: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(lines)
    more = (f"and {len(kept) - LINES} more",) if len(kept) > LINES else ()
    return kept[:LINES] + more


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - it is Markdown, and what is not ours goes through `code` or `block`
    )
    environment.filters |= {"code": code, "block": block}
    return environment.from_string(files("agent").joinpath("templates/summary.md.j2").read_text("utf-8"))
