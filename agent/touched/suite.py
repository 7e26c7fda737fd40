"""A suite as the last whole run of it showed it, file by file. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from agent.baseline import Standings
from agent.task import Mode
from agent.testreport import Status, TestReport
from agent.verdict import targets_of

__all__ = ["Suite", "covering", "overlaid", "unsettled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A report of all tests, on the tree `tree`."""

    report: TestReport
    tree: str
    base: str
    """The tree that the work began from."""
    files: Mapping[str, frozenset[str]]
    """The ids of the tests in each file, by its path in the tree. Tests whose file cannot be told are in none."""

    @classmethod
    def of(cls, report: TestReport, tree: str, paths: Collection[str], *, base: str, cwd: str) -> "Suite":
        """The suite of `tree`, which has the files `paths`, and the project in its directory `cwd`."""
        files: dict[str, set[str]] = {}
        for case in report.cases:
            path = file_of(case.id, cwd)
            if path in paths:
                files.setdefault(path, set()).add(case.id)
        return cls(report=report, tree=tree, base=base, files={path: frozenset(ids) for path, ids in files.items()})

    @property
    def untold(self) -> bool:
        """Whether there are tests of which it is not known where they lie."""
        return sum(map(len, self.files.values())) < len(self.report.ids())

    @property
    def seconds(self) -> dict[str, float]:
        """What each file took."""
        took = {case.id: case.seconds for case in self.report.cases}
        return {path: sum(took[case_id] for case_id in ids) for path, ids in self.files.items()}

    def passed(self, path: str) -> frozenset[str]:
        """The tests of a file that passed."""
        return self.files.get(path, frozenset()) & self.report.ids(Status.PASSED)


def file_of(case_id: str, cwd: str) -> str:
    """Where the test lies, from the root of the tree, as far as its id tells."""
    name = case_id.partition("::")[0]
    return f"{cwd}/{name}" if cwd else name


def unsettled(mode: Mode, baseline: TestReport, standings: Standings, *reports: TestReport) -> frozenset[str]:
    """The ids of the tests that stood in the way of green when they were run last, or failed since.

    Those that decide nothing are not among them.
    """
    old = baseline.failing if mode == "change" else ()
    wanted = baseline.ids(Status.PASSED).union(targets_of(mode, baseline, standings))
    found = {case_id for report in reports for case_id in report.failing} - set(old)
    for report in reports:
        found |= (wanted - report.ids(Status.PASSED)) | (baseline.ids() - report.ids() - set(old))
    return frozenset(found) - standings.aside


def overlaid(suite: Suite, fresh: TestReport, left_out: Collection[str]) -> TestReport:
    """What is known once the suite was run without the files `left_out`: their tests stand as they did."""
    seen, known = fresh.ids(), {case_id for path in left_out for case_id in suite.files[path]}
    kept = tuple(case for case in suite.report.cases if case.id in known and case.id not in seen)
    report = replace(fresh, cases=(*fresh.cases, *kept), reused=len(kept))
    return replace(report, exit_code=int(bool(report.failing))) if fresh.exit_code in (0, 1) else report


def covering(left_out: Collection[str], kept: Collection[str] | None, cwd: str) -> tuple[str, ...]:
    """The files `left_out` in few words, from `cwd`: directories, with a `/` at their end, where none is `kept` there.

    If `kept` is None, what has to stay is not known, and each file is named.
    """
    prefix = f"{cwd}/" if cwd else ""
    names = [path.removeprefix(prefix) for path in left_out]
    if kept is None:
        return tuple(sorted(names))
    holding = {parent for path in kept if path.startswith(prefix) for parent in _parents(path.removeprefix(prefix))}
    found: set[str] = set()
    for name in names:
        whole = next((parent for parent in _parents(name) if parent not in holding), None)
        found.add(f"{whole}/" if whole else name)
    return tuple(sorted(found))


def _parents(path: str) -> list[str]:
    """The directories above a file, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
