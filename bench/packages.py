"""Twenty real packages before the judge as they stand, beside their tests in an ordinary container.

    python -m bench.packages [NAME ...]

The source distributions come from the package index that pip is configured for. Each package is set up from its own
manifests (`agent.recipe`), gets a comment and is judged (`bench.atbase`); then its tests are run in a plain container
of the same base image, with no code of greenward's (`bench.ordinary`). Where a test ended differently, the plain run is
made once more: what differs between plain runs is flaky, and no fault of the judge. The table, in Markdown, goes to
standard output, progress to standard error.
"""

import os
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import GreenwardError
from agent.testreport import TestCase, TestReport
from agent.verdict import VerdictKind
from bench.atbase import Judged, judged
from bench.ordinary import downloaded, plain_run, say
from sandbox.engine import Client, connect
from sandbox.setup import DockerEngine

__all__ = ["PACKAGES", "packages"]

PACKAGES = {
    "attrs": "26.1.0",
    "structlog": "26.1.0",
    "click": "8.5.1",
    "pluggy": "1.6.0",
    "jinja2": "3.1.6",
    "packaging": "26.3",
    "humanize": "4.17.0",
    "cachetools": "8.0.1",
    "more-itertools": "11.2.1",
    "werkzeug": "3.1.3",
    "anyio": "4.16.0",
    "toolz": "1.2.0",
    "h11": "0.16.0",
    "parso": "0.8.7",
    "python-dateutil": "4.0.0",
    "jsonschema": "4.26.0",
    "hyperlink": "21.0.0",
    "pathspec": "1.1.1",
    "blinker": "1.9.0",
    "marshmallow": "4.4.0",
}
TESTED = {
    "anyio": "python -m pytest --ignore=tests/test_sockets.py"
    " --deselect=tests/test_pytest_plugin.py::TestFreePortFactory"
}
"""How a user would say by `--test` what cannot be run where there is no network: these wait for IPv6 until they time
out, one by one, in any container."""
HEAD = (
    "| package | tests | plain: passed / failed / skipped / xfailed | differing (flaky) | verdict | control"
    " | suspicions | seconds: plain, baseline, verdict, of it control |\n|---|---|---|---|---|---|---|---|"
)
STATUSES = (("passed",), ("failed", "error"), ("skipped",), ("xfailed",))
NAMED = 20
"""Differing tests that are named of a package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Tests that ended differently before the judge and in plain runs."""

    differing: tuple[str, ...]
    flaky: tuple[str, ...]
    """Those that ended differently in two plain runs, too, or whose ids are new in each run."""


def main(names: Sequence[str]) -> int:
    """Print the table for the packages `names`, or for all; 0 if each passed and no test ended differently."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    began = time.monotonic()
    good = packages(names)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0 if good else 1


def packages(names: Sequence[str] = ()) -> bool:
    """Print the table; whether each package passed and no test ended differently."""
    print(HEAD, flush=True)
    good = True
    client = connect(os.environ)
    for name in names or PACKAGES:
        with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
            good &= measured(client, name, Path(directory))
    client.close()
    return good


def measured(client: Client, name: str, directory: Path) -> bool:
    """Print the table's row for one package, and what is wrong with it; whether nothing is."""
    files = downloaded(name, PACKAGES[name], directory)
    engine = DockerEngine(client, host=os.environ, cache=directory)
    try:
        found = judged(engine, files, directory, TESTED.get(name))
    except GreenwardError as error:
        print(f"| {name} {PACKAGES[name]} | none | | | {str(error).splitlines()[0]} | | | |", flush=True)
        say(str(error))
        return False
    plain = plain_run(client, found.recipe, files, directory)
    report = found.verdict.report or TestReport()
    compared = comparison(report, plain, lambda: plain_run(client, found.recipe, files, directory))
    print(row(f"{name} {PACKAGES[name]}", found, plain, compared), flush=True)
    told(found, plain, compared)
    return found.verdict.kind is VerdictKind.PASSED and not compared.differing


def comparison(report: TestReport, plain: TestReport, again: Callable[[], TestReport]) -> Comparison:
    """What differs between `report` and `plain`; `again` makes another plain run, where something does."""
    differing = unlike(report, plain)
    known, other = report.ids(), plain.ids()
    alike = {shape(test) for test in known - other}.intersection(map(shape, other - known))
    flaky = {test for test in differing if test not in known & other and shape(test) in alike}
    if rest := flaky.symmetric_difference(differing):
        flaky |= rest.intersection(unlike(plain, again()))
    return Comparison(differing=tuple(test for test in differing if test not in flaky), flaky=tuple(sorted(flaky)))


def shape(test: str) -> str:
    """An id but for its numbers: some hold the time, or an address, and are new in each run."""
    return re.sub(r"\d+", "0", test)


def unlike(one: TestReport, other: TestReport) -> list[str]:
    """Ids that did not end alike in both, or stand in one alone."""
    first, second = ({case.id: case.status for case in report.cases} for report in (one, other))
    return sorted(test for test in {*first, *second} if first.get(test) != second.get(test))


def row(name: str, found: Judged, plain: TestReport, compared: Comparison) -> str:
    counts = Counter(case.status.value for case in plain.cases)
    ended = " / ".join(str(sum(counts[each] for each in alike)) for alike in STATUSES)
    verdict = found.verdict
    seconds = (plain.seconds, found.baseline_seconds, verdict.seconds, found.control_seconds)
    cells = (
        name,
        str(len((verdict.report or TestReport()).cases)),
        ended,
        f"{len(compared.differing)} ({len(compared.flaky)})",
        str(verdict.kind),
        verdict.control or "none",
        str(len(verdict.suspicions)),
        ", ".join(f"{each:.1f}" for each in seconds),
    )
    return f"| {' | '.join(cells)} |"


def told(found: Judged, plain: TestReport, compared: Comparison) -> None:
    """Say what is behind the row."""
    report = found.verdict.report or TestReport()
    say(f"  judged: {report}; baseline: {found.baseline}; plain: {plain} {plain.problem}")
    for reason in (*found.verdict.reasons, *found.verdict.notes, *map(str, found.verdict.suspicions)):
        say(f"  {reason}")
    ours, theirs = ({case.id: case for case in each.cases} for each in (report, plain))
    for test in (*compared.differing[:NAMED], *compared.flaky[:NAMED]):
        say(f"  {test}: judged {shown(ours.get(test))}, plain {shown(theirs.get(test))}")


def shown(case: TestCase | None) -> str:
    return f"{case.status} {case.message}".strip() if case else "lost"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
