"""What is installed is complete: the wheel holds what the code reads besides itself."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = {
    path.relative_to(ROOT).as_posix()
    for package in ("agent", "sandbox", "prompts")
    for path in (ROOT / package).rglob("*")
    if path.is_file() and path.suffix not in (".pyc", ".md")
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target / "site")
    return target / "site"


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    held = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*")}
    assert {"agent/templates/report.html.j2", "agent/demo.toml", "prompts/plan.md.j2"} <= READ
    assert READ - held == set()


def test_templates_are_found_in_the_wheel(wheel):
    script = """
from pathlib import Path
import agent, sys
from agent.changes import no_changes
from agent.journal import read_entries
from agent.report import report_of
from agent.reportpage import as_page
from agent.telling import tell
print(agent.__file__)
told = tell(read_entries(Path(sys.argv[1])))
print(as_page(report_of(told), told.exchanges, no_changes("")).count("<h1>"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, ROOT / "tests" / "journals" / "v1.jsonl"],
        cwd=wheel.parent,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(wheel / "agent" / "__init__.py"), "1"]
