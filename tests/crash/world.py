"""What the runs that are killed work on: a repository in use, whose suite takes a moment, and what the model says."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.models.script import Script, ScriptedReply, call, say
from agent.task import Criterion, Plan, PlannedFile
from tests.gitrepo import git, put, repository

__all__ = ["FALLING_BACK", "MENDING", "PLAN", "RIGHT", "SCAFFOLDING", "Story", "copied", "in_use", "tidy"]

RUN_TESTS = """\
echo '<testsuites><testsuite>' >"$GREENWARD_OUT/junit.xml"
code=0
while read -r a b sum; do
  echo "<testcase file='tests/cases.txt' classname='cases' name='${a}_and_${b}'>" >>"$GREENWARD_OUT/junit.xml"
  found=none
  test -f sum.sh && . ./sum.sh
  if test "$found" != "$sum"; then
    code=1
    echo "<failure message='$a and $b are $found'>$a and $b are $found</failure>" >>"$GREENWARD_OUT/junit.xml"
  fi
  echo '</testcase>' >>"$GREENWARD_OUT/junit.xml"
done <tests/cases.txt
echo '</testsuite></testsuites>' >>"$GREENWARD_OUT/junit.xml"
exit $code
"""
"""A suite without an interpreter to start: its report is all that is asked of one."""
CASES = "2 3 5\n0 4 4\n4 0 4\n"
RED = {
    "run-tests.sh": RUN_TESTS,
    "tests/cases.txt": CASES,
    "sum.sh": "found=$((a - b))\n",
    "lib/old.sh": "# nobody needs this\n",
    "notes.txt": "one\n",
    "old.txt": "old\n",
}
WORSE, BETTER, RIGHT = "found=$((a * b))\n", "found=$((a + b + (a > 3)))\n", "found=$((a + b))\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is done, and how it ends."""

    do: str
    script: Script
    code: int = 0
    iterations: int = 8
    makes: Callable[[Path], Path] | None = None
    """Makes the repository that it is done on; None: it makes its own."""


def tidy(root: Path) -> Path:
    """A red repository in which nothing is uncommitted."""
    repository(root, RED)
    git(root, "update-index", "--refresh", check=False)
    return root


def in_use(root: Path) -> Path:
    """A red repository with a stash, and with staged, unstaged, removed and untracked files."""
    repository(root, RED)
    put(root, {"notes.txt": "stashed\n"})
    git(root, "stash", "--quiet")
    put(root, {"notes.txt": "staged\n"})
    git(root, "add", "notes.txt")
    git(root, "rm", "--quiet", "old.txt")
    put(root, {"notes.txt": "unstaged\n", "untracked.txt": "mine\n", ".env": "PASSWORD=1\n"})
    git(root, "update-index", "--refresh", check=False)
    return root


def copied(template: Path, root: Path) -> Path:
    """A copy of a repository; times stay, so that git sees what it saw."""
    shutil.copytree(template, root, symlinks=True)
    return root


def plan() -> ScriptedReply:
    return say("", call("submit_plan", summary="Add instead of subtracting", steps=["Mend it"]))


def writes(path: str, content: str, **more: object) -> object:
    return call("write_file", path=path, content=content, **more)


TESTS, DONE = call("run_tests"), say("", call("finish", status="done"))
COMMAND = "mkdir -p lib/deep/er && echo hello >lib/deep/er/note.txt && rm lib/old.sh && seq 1 4000"
MENDING = Story(
    do="fix",
    script=Script(
        replies=(
            plan(),
            say("Let me look.", call("run_command", command=COMMAND)),
            say("A try.", writes("sum.sh", WORSE), TESTS),
            say("It has to add.", writes("sum.sh", RIGHT), TESTS),
            DONE,
        )
    ),
    makes=in_use,
)
"""A plan, a command that prints much and changes files, a red iteration, and a green one that is judged."""
FALLING_BACK = Story(
    do="fix",
    script=Script(
        replies=(
            plan(),
            say("A try.", writes("sum.sh", BETTER), TESTS),
            say("Another.", writes("sum.sh", WORSE), TESTS),
        )
    ),
    code=3,
    iterations=2,
    makes=in_use,
)
"""A first iteration that mends something, and a second that mends nothing: the branch returns to the first."""
PLAN = Plan(
    summary="A tool that adds",
    steps=("Tests", "Code"),
    files=(PlannedFile(path="sum.sh", purpose="adds"), PlannedFile(path="tests/test_sums.py", purpose="tests")),
    criteria=(Criterion(behaviour="it adds", command="a=2; b=3; . ./sum.sh; echo $found", output="5"),),
    test="sh run-tests.sh",
)
SCAFFOLDING = Story(
    do="new",
    script=Script(
        replies=(
            say(
                "The tests.",
                writes("run-tests.sh", RUN_TESTS),
                writes("tests/cases.txt", CASES),
                writes("tests/test_sums.py", "# see cases.txt\n"),
                TESTS,
            ),
            say("The code.", writes("sum.sh", RIGHT), writes("bin/add", "#!/bin/sh\n", executable=True), TESTS),
            DONE,
        )
    ),
)
"""A project from nothing, by the user's own plan, which is written into its directory in the end."""
