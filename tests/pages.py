"""Pages of runs for tests, and what a page consists of."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser

from agent import events as e
from agent.changes import Changes, changes_of, no_changes
from agent.journal import Entry
from agent.messages import Message, ToolCall, Usage
from agent.patches import parse_patch
from agent.report import report_of
from agent.reportpage import as_page
from agent.suspicions import Kind, Suspicion
from agent.task import Criterion, Plan, PlannedFile
from agent.telling import tell
from agent.testreport import Status, TestCase, TestReport
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from tests.kits import EPOCH, report, started

MARKUP = (
    "</style></title></textarea></script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    '<a href="javascript:window.pwned=1">x</a><svg onload=window.pwned=1>]]>--><base href=//x.invalid>'
    "<iframe src=//x.invalid></iframe>\" onclick=window.pwned=1 ' `<b>x</b>` {{ 7 * 7 }}{% include 'x' %}&lt;"
    "\x1b]0;pwned\x07\u202egnp.exe\u2066\x00"
)
"""What acts if a page takes it for more than text."""
VOID = {"meta", "rect", "line", "br"}


def page_of(entries, changes=None):
    """The page of a run whose patches are `changes`."""
    told = tell(entries)
    return as_page(report_of(told), told.exchanges, changes or no_changes("there is no repository"))


def entries_of(*events, tick=1.0, first=None):
    listed = [first or started(), *events]
    return [Entry(seq=n, at=EPOCH + timedelta(seconds=tick * n), event=event) for n, event in enumerate(listed)]


def hostile_entries():
    """A run whose every text is `MARKUP`."""
    cases = tuple(TestCase(id=f"{status}{MARKUP}", status=status, message=MARKUP, detail=MARKUP) for status in Status)
    red = TestReport(cases=cases, exit_code=1, output=MARKUP)
    broken = TestReport(problem=MARKUP, output=MARKUP, exit_code=1)
    green = TestReport(cases=tuple(TestCase(id=case.id, status=Status.PASSED) for case in cases))
    plan = Plan(
        summary=MARKUP,
        steps=(MARKUP,),
        files=(PlannedFile(path=MARKUP, purpose=MARKUP),),
        criteria=(Criterion(behaviour=MARKUP, command=MARKUP, output=MARKUP),),
        dependencies=(MARKUP,),
    )
    case = CaseResult(exit_code=1, output=MARKUP, holds=False)
    verdict = Verdict(
        kind=VerdictKind.FAILED, tree="t2", reasons=(MARKUP,), notes=(MARKUP,), report=red, control=MARKUP,
        suspicions=(Suspicion(kind=Kind.CONFTEST, path=MARKUP, words=MARKUP),),
        environment=MARKUP, test=MARKUP, witnesses=(Witness(behaviour=MARKUP, command=MARKUP, base=case, result=case),),
    )  # fmt: skip
    calls = tuple(
        ToolCall(id=str(n), name=MARKUP, arguments=arguments)
        for n, arguments in enumerate(
            ['{"path": "</pre><script>window.pwned=1</script>"}', MARKUP, f'["{MARKUP[:9]}"]']
        )
    )
    reply = e.ModelReplied(
        message=Message(role="assistant", content=MARKUP, reasoning=MARKUP, tool_calls=calls),
        usage=Usage(prompt=1, cached=0, completion=1),
        stop_reason=MARKUP,
    )
    reserved = e.CallReserved(dollars=0.3, tokens=9, max_tokens=5)

    def returned(call, effect=None, tree="t1"):
        return e.ToolReturned(call_id=call, name=MARKUP, content=MARKUP, is_error=True, tree=tree, effect=effect)

    begun = started()
    task = replace(begun.task, request=MARKUP, instructions=MARKUP)
    return entries_of(
        e.SessionStarted(pid=1, version=MARKUP),
        e.EnvironmentPrepared(
            id=MARKUP, origin=MARKUP, cached=False, seconds=1.0, build=MARKUP, test=MARKUP, notes=(MARKUP,)
        ),
        e.BaselineMeasured(report=red),
        e.Prompted(about=e.Say.PLAN, messages=tuple(Message(role=role, content=MARKUP) for role in ("system", "user"))),
        reserved,
        e.CallFailed(error=MARKUP, message=MARKUP, billed=True, wait=1.0),
        reserved,
        reply,
        returned("0", e.Planned(plan=plan), "base"),
        returned("1", e.TestRun(report=broken, full=True)),
        e.Committed(commit="c1", tree="t1", subject=MARKUP),
        returned("2", e.Finish(status="blocked", reason=MARKUP)),
        e.SessionStarted(pid=2, version=MARKUP),
        e.TestsFinished(report=green, tree="t2"),
        e.VerdictReached(verdict=verdict),
        e.Committed(commit="c2", tree="t2", subject=MARKUP),
        e.BudgetExhausted(reason=MARKUP),
        e.RunFinished(outcome=e.Outcome.FAILED, reason=MARKUP, commit="c2", tree="t2"),
        first=replace(begun, task=task, model=MARKUP, branch=MARKUP, sandbox=MARKUP),
    )  # fmt: skip


def hostile_changes():
    """Patches with paths and lines that are `MARKUP`."""
    line = MARKUP.replace("\n", "")
    text = f'diff --git "a/{line}" "b/{line}"\n--- "a/{line}"\n+++ "b/{line}"\n@@ -1 +1 @@ {line}\n-{line}\n+{line}\n'
    return Changes(result=parse_patch(text, 10_000))


def long_entries(turns):
    """A run of so many turns, with an iteration every tenth."""
    call = ToolCall(id="0", name="write_file", arguments='{"path": "a.py", "content": "' + "x = 1\\n" * 700 + '"}')
    events = []
    for number in range(turns):
        events += [
            e.Prompted(about=e.Say.NUDGE, messages=(Message(role="user", content=f"Go on. <{number}>\n" * 50),)),
            e.CallReserved(dollars=0.0001, tokens=9, max_tokens=5),
            e.ModelReplied(
                message=Message(
                    role="assistant", content="I write & test.", reasoning="Hm. " * 300, tool_calls=(call,)
                ),
                usage=Usage(prompt=100, cached=50, completion=10),
                stop_reason="tool_calls",
            ),
            e.ToolReturned(call_id="0", name="write_file", content="written " * 200, is_error=False, tree=f"t{number}"),
        ]
        if number % 10 == 9:
            events.append(e.TestsFinished(report=report(a="failed", b="passed"), tree=f"t{number}"))
            events.append(e.Committed(commit=f"c{number}", tree=f"t{number}", subject=f"Iteration {number}"))
    return entries_of(*events)


def changes_by(diff, entries):
    """The patches that `diff` gives for the trees of a run."""
    return changes_of(report_of(tell(entries)), diff)


@dataclass
class Element:
    tag: str
    attributes: dict
    parts: list = field(default_factory=list)
    """Text and elements."""

    def all(self, *tags):
        """The elements of these kinds, or all, in the order of the page."""
        for child in self.parts:
            if isinstance(child, str):
                continue
            if not tags or child.tag in tags:
                yield child
            yield from child.all(*tags)

    @property
    def whole_text(self):
        return "".join(part if isinstance(part, str) else part.whole_text for part in self.parts)


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].parts.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].parts.append(data)


def parsed(page):
    """The page's elements; every one has to be closed in its place."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert [element.tag for element in parser.open] == [""], "an element is left open"
    return parser.root
