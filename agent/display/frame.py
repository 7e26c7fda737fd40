"""The live region: a scene as lines that fit the terminal. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from agent.display.scene import Scene
from agent.display.signs import Signs
from agent.display.steps import Mark, marks
from agent.progress import subject
from agent.state import Due, Phase, RunState, due
from agent.task import Plan
from agent.testreport import Status, TestReport
from agent.text import number_of

__all__ = ["frame"]

ANSWER_LINES = 3
SPINS = 8
"""Signs of the spinner in a second."""
LABEL = 9
"""Cells of the words at the left."""
WIDEST = 140
STYLES = {Mark.DONE: "green", Mark.PARTLY: "yellow", Mark.OPEN: "", Mark.UNKNOWN: "dim"}
WORKS_ON = {Phase.PLAN: "the plan", Phase.TESTS: "the tests", Phase.CODE: "the code"}
DOES = {
    "run_command": "running",
    "run_tests": "running tests",
    "write_file": "writing",
    "edit_file": "editing",
    "edit_files": "editing files",
    "delete_file": "deleting",
    "read_file": "reading",
    "read_output": "reading output",
    "list_files": "listing files",
    "search": "searching",
    "submit_plan": "planning",
    "finish": "finishing",
    "unseal": "opening",
}
DUE = {
    Due.PREPARE: "preparing the environment",
    Due.MEASURE: "running the tests on the base",
    Due.PROMPT: "telling the model",
    Due.APPROVE: "waiting for the plan to be approved",
    Due.TEST: "running all tests",
    Due.COMMIT: "committing",
    Due.FINISH: "ending the run",
}


def frame(scene: Scene, width: int, height: int, signs: Signs) -> list[Text]:
    """The lines to draw: none wider than `width` cells, and fewer than `height` of them.

    While there is room, there are always as many.
    """
    width = max(20, min(width, WIDEST))
    if scene.state is None:
        return [_activity("starting", scene, width, signs)]
    painter = _Painter(scene=scene, state=scene.state, width=width, signs=signs)
    return painter.lines(height)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Painter:
    """Draws one scene at one width."""

    scene: Scene
    state: RunState
    width: int
    signs: Signs

    def lines(self, height: int) -> list[Text]:
        """All lines; what matters less is left out where there is no room."""
        middle = [_activity(self.doing(), self.scene, self.width, self.signs), self.detail()]
        last = [self.tests(), self.spent()]
        room = height - 1 - len(middle) - len(last)
        if room < 0:
            return [*middle[:1], *last][: max(1, height - 1)]
        answer = self.answer() if room >= ANSWER_LINES else []
        room -= len(answer) + 1
        plan = self.plan(self.state.plan, min(room, height // 2)) if self.state.plan else []
        return [*([Text()] if room >= 0 else []), *plan, *middle, *answer, *last]

    def plan(self, plan: Plan, room: int) -> list[Text]:
        """The steps with their marks; of a long plan, those around the first that is not done."""
        if room < 2:
            return []
        signs, written = self.signs, self.scene.written
        known = marks(plan, written, green=self.state.green)
        files = {file.path for file in plan.files}
        told = f"{len(files & written)} of {number_of(len(files), 'file')} written" if files else ""
        start, end = _window(known, room - 1)
        sign = {Mark.DONE: signs.done, Mark.PARTLY: signs.partly, Mark.OPEN: signs.open, Mark.UNKNOWN: signs.unknown}
        lines = [Text(signs.joined(["plan", told], self.width), style="bold")]
        for step, mark in list(zip(plan.steps, known, strict=True))[start:end]:
            shown = signs.clipped(step, self.width - 4)
            lines.append(Text.assemble("  ", (sign[mark], STYLES[mark]), " ", (shown, "dim" * (mark is Mark.DONE))))
        if left := len(known) - (end - start):
            lines.append(Text(f"    {signs.more} and {number_of(left, 'step')} more", style="dim"))
        return lines

    def doing(self) -> str:
        """What is being done: what is due, and how far that has come."""
        match due(self.state):
            case Due.ASK:
                return self.asking()
            case Due.CALL_TOOL:
                call = self.state.pending[0]
                return f"{DOES.get(call.name, call.name)} {subject(call)}".rstrip()
            case Due.JUDGE:
                local = self.state.started.sandbox == "local"
                return f"judging in fresh {'directories, isolated by nothing' if local else 'containers'}"
            case other:
                return DUE[other]

    def asking(self) -> str:
        """Where the call of the model stands."""
        scene, state = self.scene, self.state
        model, work = self.signs.clipped(state.started.model, 30), WORKS_ON[state.phase]
        if state.reserved is None and state.wait:
            return f"asking {model} again in {max(0.0, state.wait - scene.elapsed):.0f} s"
        match scene.speaking:
            case None:
                return f"asking {model} for {work}"
            case "reasoning":
                return f"{model} thinks about {work}"
            case "answer":
                return f"{model} answers"
            case "call":
                name, number = scene.call
                which = f" ({number + 1} of this reply)" if number else ""
                return f"{model} calls {self.signs.clipped(name, 30)} {scene.subject}".rstrip() + which

    def detail(self) -> Text:
        """One dim line: how much came of what is on its way, or the last line that was printed."""
        scene, signs, width = self.scene, self.signs, self.width - 2
        if (working := scene.working) is not None:
            done = f"{working.what}: {_size(working.done)} of {_size(working.total)}"
            shares = [(working.done, "cyan", signs.full), (working.total - working.done, "dim", signs.empty)]
            return Text.assemble("  ", (signs.clipped(done, width - 22), "dim"), "  ", *_bar(shares, 20))
        spoken = scene.speech.get(scene.speaking) if scene.speaking in ("reasoning", "call") else None
        if spoken is not None:
            amount = f"{number_of(spoken.characters, 'character')}, about {number_of(spoken.tokens, 'token')}"
            amount = amount if spoken.characters else ""
            rest = width - len(amount) - len(signs.dot)
            tail = signs.ending(spoken.tail, rest) if scene.speaking == "reasoning" and rest > 20 else ""
            return Text(f"  {signs.joined([amount, tail], width)}", style="dim")
        told = f"{scene.step}: {scene.line}" if scene.step and scene.line else scene.step or scene.line
        if not told and scene.selection is not None:
            told = f"some tests: {scene.selection}"
        return Text(f"  {signs.clipped(told, width)}" if told else "", style="dim")

    def answer(self) -> list[Text]:
        """The end of what the model says; blank lines where it says less."""
        spoken = self.scene.speech.get("answer")
        said = self.signs.wrapped(spoken.tail, self.width - 4, ANSWER_LINES) if spoken else []
        return [*(Text(f"    {line}") for line in said), *[Text()] * (ANSWER_LINES - len(said))]

    def tests(self) -> Text:
        """The last full run as a bar and numbers, and what the suite showed at the start."""
        state, signs = self.state, self.signs
        report = state.report or state.baseline
        label = (f"{'tests':{LABEL}}", "dim")
        if report is None:
            return Text.assemble(label, ("not run yet", "dim"))
        cells = min(30, self.width // 4)
        width = self.width - LABEL - cells - 2
        first = state.iterations[0].report if state.iterations and state.started.task.mode == "new" else state.baseline
        before = f"{first} at first" if first is not None and first is not report else ""
        told = signs.joined([signs.clipped(str(report), width), signs.clipped(before, width)], width)
        return Text.assemble(label, *_bar(_shares(report, signs), cells), f"  {told}")

    def spent(self) -> Text:
        """What is spent of money, calls, context and time; apart from it what is reserved for a call under way."""
        state, spent, limits = self.state, self.state.spent, self.state.started.limits
        reserved = state.reserved.dollars if state.reserved else 0.0
        asked = f" + {reserved:.4f}" if reserved else ""
        parts = [
            f"${max(0.0, spent.dollars - reserved):.4f}{asked} of ${limits.dollars:.2f}",
            f"{spent.calls} of {number_of(limits.calls, 'call')}",
            f"context {_thousands(state.prefix[1])}/{_thousands(state.started.context)}",
            _minutes(spent.seconds + self.scene.elapsed),
            f"iteration {min(spent.iterations + 1, limits.iterations)} of {limits.iterations}",
            f"at most {_minutes(limits.seconds)}",
        ]
        return Text.assemble((f"{'spent':{LABEL}}", "dim"), self.signs.joined(parts, self.width - LABEL))


def _activity(what: str, scene: Scene, width: int, signs: Signs) -> Text:
    spin = signs.spinner[int(scene.clock() * SPINS) % len(signs.spinner)]
    seconds = f"{signs.dot}{scene.elapsed:.0f} s"
    return Text.assemble((spin, "cyan"), " ", (signs.clipped(what, width - 2 - len(seconds)), "bold"), (seconds, "dim"))


def _window(known: tuple[Mark, ...], room: int) -> tuple[int, int]:
    """Which steps to show: all, or one line less than there is room for, around the first that is not done."""
    if len(known) <= room:
        return 0, len(known)
    shown = room - 1
    first = next((n for n, mark in enumerate(known) if mark in (Mark.OPEN, Mark.PARTLY)), 0)
    start = max(0, min(first - 1, len(known) - shown))
    return start, start + shown


def _shares(report: TestReport, signs: Signs) -> list[tuple[int, str, str]]:
    failed = len(report.fresh.failing)
    passed = report.fresh.count(Status.PASSED)
    other = len(report.cases) - passed - failed
    return [(passed, "green", signs.full), (failed, "red", signs.empty), (other, "dim", signs.unknown)]


def _bar(shares: list[tuple[int, str, str]], cells: int) -> Iterator[tuple[str, str]]:
    """The shares of a whole as pieces of a bar; what is there at all has a cell at least."""
    total = sum(count for count, _, _ in shares)
    if not total:
        return
    sizes = [max(count * cells // total, int(count > 0)) for count, _, _ in shares]
    sizes[sizes.index(max(sizes))] += cells - sum(sizes)
    for size, (_, style, sign) in zip(sizes, shares, strict=True):
        yield sign * size, style


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _thousands(count: int) -> str:
    return f"{count / 1000:.0f}k" if count >= 1000 else str(count)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
