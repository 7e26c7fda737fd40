"""Everything that can happen to runs and their repository, in any order, over the real parts."""

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent import events as e
from agent.errors import UsageProblem
from agent.events import Outcome
from agent.reopening import further_request, taking_up
from agent.session import Session
from agent.state import Phase, RunState
from agent.task import Limits
from agent.workspace import Workspace
from sandbox import EngineGone, SandboxLost, SandboxUnavailable
from tests.gitrepo import git, put, repository
from tests.stateful import model
from tests.stateful.process import Clock
from tests.stateful.provider import Failure
from tests.stateful.runs import Given, Run
from tests.stateful.truths import Truths
from tests.stateful.user import ACTIONS, User
from tests.stateful.world import ALL, APP, FILES, green_in

FAILURES = {
    "429": Failure(kind="rate_limited"),
    "429 that stays": Failure(kind="rate_limited", retryable=False),
    "lost": Failure(kind="transport", billed=True),
    "lost for good": Failure(kind="transport", billed=True, retryable=False),
    "empty": Failure(kind="empty", billed=True, usage_told=True),
    "starved": Failure(kind="starved", billed=True, usage_told=True),
    "too long": Failure(kind="overflow", retryable=False),
    "no credits": Failure(kind="quota", retryable=False),
}
WAYS = ("as it is", "with larger limits", "with a hint", "with a further request")
FAR = 1_000
"""Stops: as far as a process goes by itself."""
STOPS = st.sampled_from([0, 1, 2, 3, "asks", "executes", "model_replied", "committed", "committed", "run_finished"])
"""Where something comes between: so many stops further, or at the next stop of its kind or after such an event."""
TOLD = ("as it is", "as it is", "as it is", "as it is", "missing", "inflated", "belittled")
WHICH = st.integers(0, 1)


def mostly(usual, rare):
    """Strategies try each of a few values about as often: here it is the one three times in four."""
    return st.sampled_from([usual] * 3 + [rare])


LIMITS = st.builds(
    Limits,
    dollars=mostly(1.0, 0.04),
    tokens=mostly(5_000_000, 60_000),
    calls=mostly(80, 4),
    iterations=mostly(8, 2),
    seconds=mostly(1800.0, 60.0),
)
BEGINNINGS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["fix", "fix", "change"]),
        "isolated": mostly(True, False),
        "density": st.sampled_from([0.25, 1.0]),
        "context": mostly(262_144, 12_000),
        "limits": LIMITS,
    }
)
TURNS = 5
QUICK = Path("/dev/shm")
"""Where files are in memory: no machine loses its power here, so it is all the same where they are."""
BUSY, OFTEN = 6, 2
"""How often the user does something in an example, and a second session is tried: more shows nothing new."""
REACHED: Counter[str] = Counter()
"""What has happened in all examples so far."""


class AnyHistory(RuleBasedStateMachine):
    """One or two runs in one repository, their user, and all that can come between."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="greenward-stateful-", dir=QUICK if QUICK.is_dir() else None))
        self.repo = repository(self.root / "repo", dict(FILES), "--template=")
        self.user, self.clock, self.truths = User(self.repo), Clock(), Truths(self.repo)
        self.runs: list[Run] = []
        self.replies = self.refused = 0
        self.children = children()

    # What begins, and goes on

    @initialize(dirty=st.booleans(), way=BEGINNINGS)
    def a_repository_is_there_and_a_run_in_it(self, dirty, way):
        if dirty:
            put(self.repo, {"notes.txt": "not committed\n", "untracked.txt": "new\n"})
        self.user.look()
        self.begins(**way)

    @precondition(lambda self: len(self.runs) < 2)
    @rule(way=BEGINNINGS)
    def a_second_run_begins(self, way):
        self.begins(**way)

    @rule(which=WHICH, way=st.sampled_from(WAYS))
    def a_run_is_taken_up(self, which, way):
        run = self.one(which)
        if run.process is None and run.entries:
            self.takes_up(run, way)

    @rule(which=WHICH, stops=st.integers(1, 5))
    def a_run_goes_on(self, which, stops):
        self.goes_on(self.one(which), stops)

    @rule(which=WHICH, kind=st.sampled_from(model.KINDS), told=st.sampled_from(TOLD), stops=st.sampled_from([1, FAR]))
    def the_model_replies(self, which, kind, told, stops):
        run = self.one(which)
        if self.comes_to("asks", run):
            self.is_told(run, kind, told)
            self.goes_on(run, stops)

    @rule(which=WHICH, kinds=st.lists(st.sampled_from(model.WORK), min_size=1, max_size=4))
    def the_model_works(self, which, kinds):
        """Several turns in a row, as runs mostly go."""
        run = self.one(which)
        for kind in kinds:
            if self.comes_to("asks", run):
                self.is_told(run, kind)
                self.goes_on(run, FAR)

    # What comes between

    @rule(which=WHICH, what=st.sampled_from(sorted(FAILURES)), times=st.sampled_from([1, 1, FAR]))
    def the_model_does_not_reply(self, which, what, times):
        run = self.one(which)
        while times and self.comes_to("asks", run):
            reached(f"call: {what}")
            run.go(FAILURES[what])
            self.goes_on(run, FAR)
            times = times - 1 if run.process else 0

    @rule(which=WHICH, times=st.integers(1, 3), error=st.sampled_from([SandboxLost, EngineGone]))
    def the_engine_loses_sandboxes(self, which, times, error):
        run = self.one(which)
        if self.comes_to("executes", run):
            reached(f"sandbox lost {times} times")
            while times and run.process and run.process.what == "executes":
                run.go(error("it died"))
                times -= 1
            self.goes_on(run, FAR)

    @rule(which=WHICH)
    def the_engine_is_gone_for_a_while(self, which):
        run = self.one(which)
        if self.comes_to("executes", run):
            reached("engine gone")
            run.engine.gone = True
            run.go(SandboxUnavailable("it is gone"))
            self.goes_on(run, FAR)
            assert run.process is None, "nothing goes on without an engine"
            before = run.state
            self.takes_up(run, "as it is")
            assert (run.process, run.state) == (None, before), "nothing begins without one"
            run.engine.gone = False

    @rule(which=WHICH, stops=STOPS)
    def a_run_is_interrupted(self, which, stops):
        run = self.one(which)
        self.comes_to(stops, run)
        if run.process is None or isinstance(run.last, e.RunPaused):
            return  # and a signal in a pause ends the process at once: it dies
        reached(f"interrupted where it {run.process.what}")
        run.go(KeyboardInterrupt())
        self.goes_on(run, FAR)
        assert run.process is None
        assert isinstance(run.ended.error, KeyboardInterrupt)

    @rule(which=WHICH, stops=STOPS, pauses=st.booleans(), torn=st.sampled_from([None, 0, 0, 40, 4_000]))
    def a_process_dies(self, which, stops, pauses, torn):
        run = self.one(which)
        self.comes_to(stops, run)
        if pauses and run.process is not None:
            run.go(KeyboardInterrupt())
        if run.process is not None:
            where = f"wrote {run.last.kind}" if run.process.what == "wrote" else run.process.what
            reached(f"died where it {where}" + ("" if torn is None else ", torn"))
            run.die(torn)

    @precondition(lambda self: self.refused < OFTEN)
    @rule(which=WHICH)
    def a_second_session_on_the_same_run_is_refused(self, which):
        run = self.one(which)
        if run.process is not None:
            self.refused += 1
            reached("second session refused")
            with Workspace.open(self.repo) as workspace, pytest.raises(UsageProblem, match="another process"):
                Session(workspace=workspace, around=run.around()).resume(run.id, lambda _state: None)

    # What the user does

    @precondition(lambda self: self.user.times < BUSY)
    @rule(action=st.sampled_from(ACTIONS))
    def the_user_works(self, action):
        reached(f"user {action}")
        self.user.acts(action)

    @precondition(lambda self: self.user.times < BUSY and not any(run.process for run in self.runs))
    @rule()
    def the_user_tidies(self):
        reached("user tidies")
        self.user.tidies()

    # What holds

    @invariant()
    def all_is_well(self):
        for run in self.runs:
            self.truths.hold(run)
        if self.user.tree:
            assert self.user.differs() == {}, "the tree of the user is theirs"

    def teardown(self):
        """Every run can still be brought to an end, and the repository is sound."""
        try:
            for run in self.runs:
                if run.process is not None:
                    run.die()
            for run in self.runs:
                run.engine.gone = False
                if run.entries:
                    self.brought_to_an_end(run)
            self.all_is_well()
            assert git(self.repo, "fsck", "--strict", "--no-dangling", "--no-progress", check=False) == ""
            assert children() == self.children, "no process is left"
        finally:
            self.clear_away()

    def clear_away(self) -> None:
        """Let nothing of it remain."""
        for run in self.runs:
            if run.process is not None:
                run.die()
        shutil.rmtree(self.root)

    # How it is done

    def one(self, which: int) -> Run:
        return self.runs[which % len(self.runs)]

    def begins(self, mode, isolated, density, context, limits) -> None:
        run = Run(
            id=f"r{len(self.runs) + 1}", root=self.repo, clock=self.clock, limits=limits, context=context,
            isolated=isolated, tokens_per_byte=density,
        )  # fmt: skip
        self.runs.append(run)
        run.start(mode)
        reached(f"begun, {mode}")

    def takes_up(self, run: Run, way: str) -> None:
        """Have a run that no process works on taken up, with what the user adds."""
        before = run.state
        run.resume(given(way, before))
        reached(f"taken up {way}" if run.process else f"left alone {way}")
        if run.process is None and run.ended.error is None:
            assert run.ended.result == before, "a run that has ended is left alone"

    def goes_on(self, run: Run, stops: int) -> None:
        """Let a run go on by so many stops, or until it asks or has ended."""
        while stops and run.process is not None and run.process.what != "asks":
            run.go()
            stops -= 1
        self.truths.hold(run)
        self.counted(run)

    def comes_to(self, where: str | int, run: Run) -> bool:
        """Have a run come to a stop of that kind, at most so many turns further, and say if it did."""
        if run.process is None and run.entries:
            self.takes_up(run, natural(run.state))
        if isinstance(where, int):
            self.goes_on(run, where)
            return run.process is not None
        for _ in range(TURNS):
            while run.process is not None and not stands(run, where) and run.process.what != "asks":
                run.go()
            if run.process is None or stands(run, where):
                break
            self.is_told(run, "improves")
        return run.process is not None and stands(run, where)

    def is_told(self, run: Run, kind: str, told="as it is") -> None:
        """Have the model answer a run that asks."""
        self.replies += 1
        reached(f"model {kind}")
        reached(f"usage {told}")
        run.go(model.reply(kind, run.state, self.repo, self.replies, told))

    def counted(self, run: Run) -> None:
        """Count how a run has ended, if it has."""
        if run.process is not None or not run.entries:
            return
        state = run.state
        paused = any(isinstance(entry.event, e.RunPaused) for entry in run.entries)
        if state.outcome is not None:
            reached(f"{state.outcome.value} after a pause" if paused else state.outcome.value)
        elif state.paused is not None:
            reached(f"paused: {state.paused.why}")

    def brought_to_an_end(self, run: Run) -> None:
        """With a good model, a sound engine and enough of everything, a run ends."""
        limits = Limits(dollars=50.0, tokens=10**9, calls=500, iterations=100, seconds=1e6)
        run.resume(lambda state: taking_up(state, limits=limits))
        for _ in range(12):
            self.goes_on(run, FAR)
            if run.process is not None:
                self.is_told(run, helpful(run.state, self.repo))
        assert run.ended is not None
        assert run.ended.error is None, run.ended.error
        assert run.state.outcome is not None


def reached(what: str) -> None:
    REACHED[what] += 1


def helpful(state: RunState, repo: Path) -> str:
    """What a good model does next."""
    green = green_in(git(repo, "show", f"{state.tree}:{APP}")) == ALL
    return "finishes" if green and state.tested_tree == state.tree and state.phase is Phase.CODE else "mends"


def stands(run: Run, where: str) -> bool:
    """Whether a run's process holds still there: `asks`, `executes`, or after an event of that kind."""
    process = run.process
    return process is not None and (process.what == where or (process.wrote is not None and run.last.kind == where))


def natural(state: RunState) -> str:
    """How a user takes up a run in that state."""
    match state.outcome:
        case None:
            return "as it is"
        case Outcome.PASSED:
            return "with a further request"
        case Outcome.OUT_OF_BUDGET:
            return "with larger limits"
        case _:
            return "with a hint"


def given(way: str, state: RunState) -> Given:
    """What a user adds to a run in that state; where that cannot be, nothing."""
    limits, end = state.started.limits, state.outcome
    match way:
        case "with larger limits":
            more = replace(
                limits, dollars=limits.dollars + 1, tokens=limits.tokens + 1_000_000, calls=limits.calls + 20,
                iterations=limits.iterations + 4, seconds=limits.seconds + 1_000,
            )  # fmt: skip
            return lambda state: taking_up(state, limits=more)
        case "with a hint" if end is not Outcome.PASSED:
            return lambda state: taking_up(state, hint="Look at a.")
        case "with a further request" if end is not None:
            return lambda state: (further_request(state, "And keep them so.", Limits(), ()),)
        case _:
            return taking_up


def children() -> set[str]:
    """The processes that this one has started and not waited for."""
    found = set()
    for task in Path("/proc/self/task").iterdir() if Path("/proc/self/task").is_dir() else ():
        listing = task / "children"
        if listing.is_file():
            found |= set(listing.read_text().split())
    return found
