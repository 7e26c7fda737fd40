"""Runs that are killed and taken up again, and all that must not be afterwards."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from agent.durable import Moment
from agent.errors import DamagedRun
from agent.events import Outcome
from agent.folding import fold
from agent.hands import ID_LENGTH
from agent.journal import read_entries
from agent.models.server import ScriptedServer
from agent.proof import PROOF, load
from agent.result import result_file
from agent.state import RunState
from tests.crash.world import Story, copied
from tests.crash.zygote import RUN_ID, Answer, Kill, Order
from tests.gitrepo import git, state

__all__ = [
    "KILLED",
    "Crashed",
    "Point",
    "Undisturbed",
    "Zygote",
    "at_random",
    "checkout",
    "from_there",
    "killed_run",
    "left_behind",
    "points_of",
    "seen",
    "undisturbed",
]

ROOT = Path(__file__).parents[2]
KILLED = -9
FOREIGN = ("GREENWARD_", "RUNAPI_", "OPENAI_", "XDG_", "GIT_")
"""Prefixes of variables of whoever runs this that must not reach what is run."""
WHO = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in
       (("NAME", "Ada"), ("EMAIL", "ada@example.org"))}  # fmt: skip
OURS = tuple(
    f".git/{log}refs/{ref}" for log in ("", "logs/") for ref in ("heads/greenward/", "greenward/", "notes/greenward")
)
BY_GIT = (".git/index", ".git/logs/", ".git/ORIG_HEAD", ".git/COMMIT_EDITMSG", ".git/refs/heads/main")
"""What differs after the same was done twice, or at another time; it is compared by what git says of it."""


class Zygote:
    """Carries out orders, each in a process forked from one that has imported everything; a context manager.

    What these leave in the directory for temporary files is below `scratch`.
    """

    def __init__(self, scratch: Path) -> None:
        home = scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.environment = {**kept, **WHO, "HOME": str(home), "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def carry_out(self, order: Order) -> Answer:
        """Have `order` carried out, and wait for it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))

    @contextmanager
    def home(self) -> Iterator[None]:
        """A block in which git commands are those of the same user."""
        kept = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment that was passed, and whether the disk differs from what it was at the one before."""

    moment: str
    nth: int
    news: bool

    def kills(self, *, every: bool = False) -> Iterator[Kill]:
        """The kills that are worth while there: where nothing is new, the one at the moment before was the same."""
        if self.moment == Moment.JOURNAL_WRITTEN:
            yield Kill(moment=self.moment, nth=self.nth, torn=True)
        if self.news or every:
            yield Kill(moment=self.moment, nth=self.nth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """A run that nothing happened to: what all others are compared with."""

    story: Story
    template: Path | None
    points: tuple[Point, ...]
    commits: tuple[tuple[str, str, str], ...]
    """Id, tree and subject, oldest first."""
    seconds: float
    users: Mapping[str, bytes]
    """What has to be the user's in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """What came of a run that was killed, perhaps again and again."""

    kills: Sequence[Kill]
    wrong: tuple[str, ...]
    """What must not be; empty if all is well."""
    killed: int
    """How many of the kills hit."""
    repeated: int
    """Calls that were made once more."""
    where: str
    """The last event that was written before the first kill; empty: there was none."""


def undisturbed(zygote: Zygote, story: Story, room: Path) -> Undisturbed:
    """Carry out `story`, and write down each moment that it passes."""
    with zygote.home():
        template = story.makes(room / "template") if story.makes else None
    root, again = room / "undisturbed", room / "again"
    points, _ = _carried_out(zygote, story, template, root, traced=True)
    _, seconds = _carried_out(zygote, story, template, again)
    commits, users = _commits(root), seen(template or root)
    if _commits(again) != commits:
        raise AssertionError(f"the same was done twice, and gave {commits} and {_commits(again)}")
    return Undisturbed(story=story, template=template, points=points, commits=commits, seconds=seconds, users=users)


def from_there(zygote: Zygote, reference: Undisturbed, moment: Moment, before_last: int, room: Path) -> Undisturbed:
    """The rest of a run that was killed when `moment` passed for the last time but `before_last`."""
    nth = sum(point.moment == moment for point in reference.points) - before_last
    template, story = room / "killed", replace(reference.story, do="resume")
    if reference.template is not None:
        copied(reference.template, template)
    with ScriptedServer(story.script) as server:
        order = _order(reference.story, template, server.base_url)
        answer = zygote.carry_out(replace(order, kill=Kill(moment=moment, nth=nth)))
    if answer.code != KILLED:
        raise AssertionError(f"it ended with {answer.code}: {answer.said}")
    points, seconds = _carried_out(zygote, story, template, room / "resumed", traced=True)
    return replace(reference, story=story, template=template, points=points, seconds=seconds)


def _carried_out(
    zygote: Zygote, story: Story, template: Path | None, root: Path, *, traced: bool = False
) -> tuple[tuple[Point, ...], float]:
    trace = root.with_name(f"{root.name}.trace")
    if template is not None:
        copied(template, root)
    with ScriptedServer(story.script) as server:
        order = _order(story, root, server.base_url)
        answer = zygote.carry_out(replace(order, trace=str(trace)) if traced else order)
    if answer.code != story.code:
        raise AssertionError(f"it ended with {answer.code}: {answer.said}")
    return points_of(trace) if traced else (), answer.seconds


def points_of(trace: Path) -> tuple[Point, ...]:
    """The moments in a trace."""
    points, last = [], ""
    for line in trace.read_text().splitlines():
        moment, nth, signature = line.split("\t")
        points.append(Point(moment=moment, nth=int(nth), news=signature != last))
        last = signature
    return tuple(points)


def at_random(seed: int, reference: Undisturbed) -> list[Kill]:
    """A kill at any instant, of the process or of all that it started; in a third of the cases the next ones, too."""
    random = Random(seed)
    often = random.choice((1, 1, 2, 3))
    return [
        Kill(seconds=max(0.001, random.uniform(0.0, reference.seconds)), family=random.random() < 0.5)
        for _ in range(often)
    ]


def killed_run(zygote: Zygote, reference: Undisturbed, kills: Sequence[Kill], root: Path) -> Crashed:
    """Carry out the story at `root` under `kills`, one for each process, then to its end; see what is wrong with it."""
    if reference.template is not None:
        copied(reference.template, root)
    story, hit, lasts = reference.story, Counter[int](), []
    with ScriptedServer(story.script) as server:
        for kill in (*kills, None):
            begun = bool(lasts and lasts[-1])
            order = _order(story, root, server.base_url)
            answer = zygote.carry_out(replace(order, do="resume" if begun else story.do, kill=kill))
            if answer.code != KILLED:
                break
            call, last = _on_its_way(root)
            lasts.append(last)
            hit.update(() if call is None else (call,))
        whole = [received.body for received in server.requests if "messages" in received.body]
        calls = Counter(map(_place, whole))  # what was killed while it sent a request asked nothing
        wrong = [*_wrong(root, reference, answer, family=any(kill.family for kill in kills))]
        wrong += _repeated(calls, hit)
        wrong += [] if wrong else _accounts(root, reference, server, same=not hit)
    return Crashed(
        kills=kills,
        wrong=tuple(wrong),
        killed=len(lasts),
        repeated=calls.total() - len(calls),
        where=lasts[0] if lasts else "",
    )


def seen(root: Path) -> dict[str, bytes]:
    """All that is the user's, as bytes; where a project was delivered, git's own files as git tells them."""
    found = {path: data for path, data in state(root).items() if not path.startswith(OURS)}
    return found if (root / "untracked.txt").exists() else checkout(root)


def checkout(root: Path) -> dict[str, bytes]:
    """What a user sees of a repository, and all of git's files that do not differ from one time to the next."""
    found = {path: data for path, data in state(root).items() if not path.startswith((*OURS, *BY_GIT))}
    told = (
        ("log", "--format=%T %s", "HEAD"),
        ("ls-files", "--stage"),
        ("--no-optional-locks", "status", "--porcelain"),
        ("stash", "list"),
        ("symbolic-ref", "HEAD"),
    )
    return found | {" ".join(command): git(root, *command, check=False).encode() for command in told}


def _order(story: Story, root: Path, base_url: str) -> Order:
    return Order(do=story.do, repository=str(root), base_url=base_url, iterations=story.iterations)


def _journal(root: Path) -> Path:
    return root / ".git" / "greenward" / "runs" / RUN_ID / "journal.jsonl"


def _state(root: Path) -> RunState:
    return fold(read_entries(_journal(root)))


def _on_its_way(root: Path) -> tuple[int | None, str]:
    """Which call, by the number of replies before it, may have been on its way; and the last event there is."""
    try:
        entries = list(read_entries(_journal(root)))
    except FileNotFoundError:
        entries = []
    if not entries:
        return None, ""
    found = fold(entries)
    return (_place_in(found) if found.reserved is not None else None), entries[-1].event.kind


def _place_in(found: RunState) -> int:
    return sum(message.role == "assistant" for message in found.messages)


def _place(body: Mapping[str, Any]) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])


def _repeated(calls: Counter[int], hit: Counter[int]) -> list[str]:
    return [
        f"call {place} was made {count} times, and was on its way at {hit[place]} kills"
        for place, count in calls.items()
        if count > 1 + hit[place]
    ]


def _wrong(root: Path, reference: Undisturbed, answer: Answer, *, family: bool) -> Iterator[str]:
    """Everything about a run that has ended that must not be, its accounts aside."""
    if answer.code != reference.story.code:
        yield f"it ended with {answer.code}: {answer.said}"
        return
    if (now := seen(root)) != reference.users:
        yield f"the user's changed: {sorted({path for path, _ in set(now.items()) ^ set(reference.users.items())})}"
    checked = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling", "--no-progress"], cwd=root, capture_output=True, check=False
    )
    if checked.returncode or checked.stdout or checked.stderr:
        yield f"git fsck: {(checked.stdout + checked.stderr).decode()}"
    yield from left_behind(root, family=family)
    try:
        found = _state(root)
    except DamagedRun as error:
        yield error.message
        return
    if _journal(root).with_name("result.json").read_bytes() != result_file(found, exit_code=answer.code):
        yield "result.json is not the last word"
    if found.outcome is Outcome.PASSED:
        yield from _unproven(root, found)


def _unproven(root: Path, found: RunState) -> Iterator[str]:
    """What differs between the three places in which the proof of a green run is named."""
    end, proof = found.finished, _journal(root).with_name(PROOF).read_bytes()
    note = git(root, "notes", "--ref=greenward", "show", end.commit if end else "", check=False)
    if f"{note}\n".encode() != proof:
        yield f"the note is not the proof: {note[:200]}"
    if end is None or load(proof).id != end.proof:
        yield "the run ended with another proof"


def left_behind(root: Path, *, family: bool) -> Iterator[str]:
    """Files that nobody needs. A git command that was killed itself cannot take its draft of an object away."""
    for directory, _, names in os.walk(root):
        for name in names:
            draft = name.startswith("tmp_obj_") and not family
            if draft or name.endswith(".lock") or name.startswith(".greenward-"):
                yield f"left behind: {Path(directory, name).relative_to(root)}"
    for artifact in (_journal(root).parent / "artifacts").glob("?" * ID_LENGTH):
        if hashlib.sha256(artifact.read_bytes()).hexdigest()[:ID_LENGTH] != artifact.name:
            yield f"torn: {artifact.name}"


def _accounts(root: Path, reference: Undisturbed, server: ScriptedServer, *, same: bool) -> Iterable[str]:
    """What is wrong with money and commits; where no call was repeated, these have to be the `same` by their ids."""
    found = _state(root)
    booked, billed = found.spent.dollars, found.started.prices.cost(server.billed)
    if billed > booked + 1e-9:
        yield f"{billed} was billed, and {booked} is booked"
    commits, wanted = _commits(root), reference.commits
    if [commit[1:] for commit in commits] != [commit[1:] for commit in wanted] or (same and commits != wanted):
        yield f"the commits are {commits}, not {wanted}"


def _commits(root: Path) -> tuple[tuple[str, str, str], ...]:
    found = _state(root)
    listed = git(root, "log", "--reverse", "--format=%H%x09%T%x09%s", f"{found.root_commit}..{found.started.branch}")
    commits = (line.split("\t") for line in listed.splitlines())
    return tuple((commit, tree, subject) for commit, tree, subject in commits)
