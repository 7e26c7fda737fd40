"""Real packages through greenward's set-up, build and tests, beside the same tests in an ordinary container.

    python bench/packages.py [NAME ...]

The source distributions come from the package index that pip is configured for. Each package is set up from its own
manifests (`agent.recipe`), built and tested in a fresh sandbox without a network; then the same requirements are
installed in a plain container of the same base image, the package with them, and the tests are run there by an
ordinary user, with no code of greenward's. The tables, in Markdown, go to standard output, progress to standard error.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.build import backend_of
from agent.manifests import Project
from agent.metadata import needs_metadata, read_metadata
from agent.recipe import Recipe, read_settings, recipe_for
from sandbox import Absorbed, Candidate, Change, Command, Delta, ExecResult, Limits, SandboxError, Selection, Setup
from sandbox.engine import Client, connect
from sandbox.host import host_settings
from sandbox.images import base_image
from sandbox.setup import DockerEngine

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
}
SECONDS = 600.0
PLAIN = """
set -e
tar -xf - -C /run/room
. /run/room/settings.sh
python3 -m venv /venv
PATH=/venv/bin:$PATH
cp -r /run/room/tree /work
cd /work
python -m pip install -q --no-cache-dir -r /run/room/build.txt
[ ! -s /run/room/requirements.txt ] || python -m pip install -q --no-cache-dir -c /run/room/constraints.txt \\
    -r /run/room/requirements.txt
python -m pip install -q --no-cache-dir --no-deps --no-build-isolation -e .
useradd --no-create-home someone
chown -R someone /work
env -i PATH="$PATH" HOME=/tmp LANG=C.UTF-8 setpriv --reuid someone --clear-groups \\
    sh -c '{test} --junitxml=/tmp/junit.xml' >&2 || true
cat /tmp/junit.xml
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist:
    """An unpacked source distribution as a tree. Nothing that a command leaves is taken back."""

    files: Mapping[str, tuple[bytes, bool]]

    @property
    def id(self) -> str:
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()

    def paths(self) -> Collection[str]:
        return self.files.keys()

    def since(self, held: str | None) -> Delta:
        return Delta(deleted=(), archive=() if held == self.id else (packed(self.files),))

    def select(self, candidates: Sequence[Candidate]) -> Selection:  # noqa: ARG002  (none is taken)
        return Selection(wanted=())

    def absorb(self, changes: Sequence[Change]) -> Absorbed:  # noqa: ARG002  (none is taken)
        return Absorbed(tree=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """How each test ended, by id, and how long it took to get there."""

    outcomes: Mapping[str, str]
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        counts = Counter(self.outcomes.values())
        return " / ".join(str(counts[word]) for word in ("passed", "failed", "skipped")) if self.outcomes else "none"


def main(names: Sequence[str]) -> int:
    """Print the table for the packages `names`, or for all; 0 if no test ended differently."""
    rows = []
    differing = 0
    with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
        client = connect(os.environ)
        for name in names or PACKAGES:
            row, count = measured(client, name, Path(directory))
            differing += count
            rows.append(row)
        client.close()
    print(
        "| package | version | layout, backend | greenward: passed / failed / skipped | plain | differing | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 1 if differing else 0


def measured(client: Client, name: str, directory: Path) -> tuple[str, int]:
    """The table's row for one package, and how many of its tests ended differently."""
    tree = downloaded(name, PACKAGES[name], directory)
    project = Project(read=lambda path: tree.files[path][0] if path in tree.files else None, paths=tree.paths())
    engine = DockerEngine(client, host=os.environ, cache=directory)
    recipe = recipe_of(project, engine, tree)
    ours = in_sandbox(engine, recipe, tree)
    plain = in_container(client, recipe, tree, directory)
    ids = sorted(ours.outcomes.keys() | plain.outcomes.keys())
    differing = [test for test in ids if ours.outcomes.get(test) != plain.outcomes.get(test)]
    for suite, where in ((ours, "greenward"), (plain, "plain")):
        say(f"{name}: {where}: {suite}{': ' + suite.problem if suite.problem else ''}")
    for test in differing[:20]:
        say(f"  {test}: {ours.outcomes.get(test)} / {plain.outcomes.get(test)}")
    layout = "src" if any(path.startswith("src/") for path in tree.files) else "flat"
    what = f"{layout}, {backend_of(project)[0]}"
    count = len(differing) if ids else 1
    shown = f"{len(differing)}" if ids else "no tests ran"
    seconds = f"{ours.seconds:.1f} / {plain.seconds:.1f}"
    return f"| {name} | {PACKAGES[name]} | {what} | {ours} | {plain} | {shown} | {seconds} |", count


def downloaded(name: str, version: str, directory: Path) -> Sdist:
    """The source distribution, unpacked in memory."""
    say(f"{name}: downloading {version}")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, f"{name}=={version}"]
    target = directory / name
    subprocess.run([*command, "-d", str(target)], check=True, capture_output=True)
    files = {}
    with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content:
                files[member.name.partition("/")[2]] = (content.read(), bool(member.mode & 0o100))
    return Sdist(files=files)


def recipe_of(project: Project, engine: DockerEngine, tree: Sdist) -> Recipe:
    settings = read_settings(project)
    if not needs_metadata(project):
        return recipe_for(project, settings=settings)

    def execute(setup: Setup, command: Command) -> ExecResult:
        with engine.open(engine.prepare(setup, say), limits=Limits(), run_id="bench") as sandbox:
            return sandbox.execute_fresh(tree, command)

    return recipe_for(project, settings=settings, metadata=read_metadata(project, execute, settings=settings))


def in_sandbox(engine: DockerEngine, recipe: Recipe, tree: Sdist) -> Suite:
    began = time.monotonic()
    command = Command(
        script=recipe.script(f'{recipe.test} --junitxml="$GREENWARD_OUT/junit.xml"'),
        timeout=SECONDS,
        collect=("junit.xml",),
    )
    try:
        environment = engine.prepare(recipe.setup, _ignore)
        with engine.open(environment, limits=Limits(), run_id="bench") as sandbox:
            result = sandbox.execute_fresh(tree, command)
    except SandboxError as error:
        return Suite(outcomes={}, seconds=time.monotonic() - began, problem=f"{error} {getattr(error, 'log', '')}")
    report = result.files.get("junit.xml", b"")
    problem = "" if report else result.output.decode(errors="replace")[-3000:]
    return Suite(outcomes=outcomes(report), seconds=time.monotonic() - began, problem=problem)


def in_container(client: Client, recipe: Recipe, tree: Sdist, directory: Path) -> Suite:
    """The same in an ordinary container, by `docker run` and a dozen lines of shell."""
    began = time.monotonic()
    image = base_image(client, None, host=os.environ, cache=directory, say=say).id
    settings = host_settings(os.environ)
    exports = settings.exports() + ("export PIP_CERT=/run/room/authorities.pem\n" if settings.authorities else "")
    files = {f"tree/{path}": content for path, content in tree.files.items()}
    files |= {
        path.rpartition("/")[2]: (data, False) for path, data in recipe.setup.files.items() if path.endswith(".txt")
    }
    files |= {"settings.sh": (exports.encode(), False), "authorities.pem": (settings.authorities, False)}
    command = ["docker", "run", "--rm", "-i", "--init", "--tmpfs", "/run/room:exec", image, "sh", "-c"]
    script = PLAIN.replace("{test}", recipe.test)
    done = subprocess.run([*command, script], input=packed(files), capture_output=True, timeout=SECONDS, check=False)
    problem = "" if done.stdout else done.stderr.decode(errors="replace")[-3000:]
    return Suite(outcomes=outcomes(done.stdout), seconds=time.monotonic() - began, problem=problem)


def outcomes(report: bytes) -> dict[str, str]:
    """How each test of a JUnit report ended; one that is there twice counts as failed if it failed once."""
    found: dict[str, str] = {}
    for case in ET.fromstring(report).iter("testcase") if report else ():  # noqa: S314  (of packages that we chose)
        test = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        word = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[test] = "failed" if "failed" in (word, found.get(test)) else word
    return found


def packed(files: Mapping[str, tuple[bytes, bool]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, (data, executable) in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), 0o755 if executable else 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _ignore(_: str) -> None:
    pass


def say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
