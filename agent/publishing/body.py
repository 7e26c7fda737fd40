"""The text of a request: our own words, around what a proof says. Nothing in it that a stranger wrote can act. Pure.

What is not ours stands in code, where forges make no links, mentions, images, headings, commands or HTML of it; and as
others than forges read it too, addresses and mentions in it are spelled so that nothing follows them.
"""

import re
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from agent.figures import dollars
from agent.machines import executed
from agent.proof import Proof, report_before
from agent.proposal.markdown import block, code
from agent.publishing.checking import Proposal
from agent.testreport import Status, TestCase, TestReport
from agent.text import number_of
from agent.verdict import UNSEEN, targets_of

__all__ = ["Marker", "body_of", "marker_in", "shortened", "title_of"]

ROWS, FILES, LINES = 60, 60, 20
LONGEST = 60_000
"""Characters: GitHub takes 65,536."""
_MARKER = re.compile(
    r"<!-- greenward: proposal (?P<attempt>[1-9][0-9]{0,5}) for (?P<key>[0-9a-f]{16}),"
    r" at (?P<commit>[0-9a-f]{40,64}) -->"
)
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{0,20}):(?=//)", re.IGNORECASE)
_MENTION = re.compile(r"@(?=\w)")
RED = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The first line of a body, which no reader sees: how many proposals there were, and which is the last."""

    key: str
    attempt: int
    commit: str

    def __str__(self) -> str:
        return f"<!-- greenward: proposal {self.attempt} for {self.key}, at {self.commit} -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: str
    how: str
    executed: str


def marker_in(body: str) -> Marker | None:
    """The marker that `body` begins with; what stands further down may be anybody's words."""
    found = _MARKER.match(body)
    return Marker(key=found["key"], attempt=int(found["attempt"]), commit=found["commit"]) if found else None


def title_of(proposal: Proposal) -> str:
    """A title of our own words and numbers alone."""
    if proposal.proof.task.mode == "fix":
        targets = targets_of("fix", report_before(proposal.proof), proposal.proof.chance.standings)
        return f"Mend {number_of(len(targets), 'failing test')}"
    return "Make a proven change"


def body_of(proposal: Proposal, *, branch: str, attempt: int) -> str:
    """The body of the request for a proposal, of which there were `attempt` by now on the same failing tests."""
    proof = proposal.proof
    files = _files(proposal)
    marker = Marker(key=proposal.key, attempt=attempt, commit=proposal.commit)
    text = _template().render(
        marker=Markup(str(marker)),  # noqa: S704 - digits alone
        fix=proof.task.mode == "fix",
        base=proposal.base[:12],
        before=str(report_before(proof)),
        after=str(_after(proof)),
        mended=_mended(proof),
        added=[name for name, each in proof.tests.items() if each.before is None and each.after is Status.PASSED],
        witnesses=proof.witnesses,
        files=files,
        watch=sum(bool(each.executed) for each in files),
        cost=dollars(proof.cost.dollars),
        limit=dollars(proof.limits.dollars),
        calls=proof.cost.calls,
        iterations=proof.cost.iterations,
        model=proof.model,
        run=proof.run,
        attempt=attempt,
        aside=sorted(proof.chance.standings.aside),
        notes=proof.notes,
        lifted=proposal.lifted,
        request=_defanged(proof.task.request),
        proof=proof.id,
        tree=proof.result.tree[:12],
        environment=proof.environment,
        test=proof.test,
        control=proof.control,
        branch=branch,
        commit=proposal.commit,
        unseen=UNSEEN,
    )
    return shortened(text, LONGEST)


def shortened(text: str, limit: int) -> str:
    """`text` up to the end of a line at about so many characters, and a word on that, if it is longer."""
    return text if len(text) <= limit else f"{text[:limit].rpartition(chr(10))[0]}\n\n… cut here for its length.\n"


def _mended(proof: Proof) -> list[_Test]:
    return [
        _Test(id=name, before=each.before.value, after=each.after.value)
        for name, each in proof.tests.items()
        if each.before is not None and each.before in RED and each.after is Status.PASSED
    ]


def _after(proof: Proof) -> TestReport:
    cases = (TestCase(id=name, status=each.after) for name, each in proof.tests.items() if each.after is not None)
    return TestReport(cases=tuple(cases), exit_code=proof.exit_codes[1])


def _files(proposal: Proposal) -> list[_File]:
    """What somebody executes comes first."""
    found = [
        _File(
            path=each.path,
            how="deleted" if each.new is None else "changed" if each.old else "new",
            executed="" if each.new is None else executed(each.path),
        )
        for each in proposal.changes
    ]
    return sorted(found, key=lambda each: (not each.executed, each.path))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("agent", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_as_code,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: Markup(str(text))  # noqa: S704 - our own words, or checked ones
    environment.filters["block"] = lambda text: Markup(block(str(text)))  # noqa: S704 - neither is there in its blocks
    environment.globals |= {"ROWS": ROWS, "FILES": FILES, "LINES": LINES}
    return environment.get_template("request.md.j2")


def _as_code(value: object) -> object:
    """Whatever a template prints is shown as code, but for numbers and for what it says are our own words."""
    if isinstance(value, Markup | int):
        return value
    return Markup(code(_defanged(str(value))))  # noqa: S704 - in code there is no markup


def _defanged(text: str) -> str:
    return _MENTION.sub("(at)", _ADDRESS.sub(r"\1[:]", text))
