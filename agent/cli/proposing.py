"""Runs in a job of continuous integration: what they leave for the job that publishes, and what a forge shows."""

import atexit
import json
import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.application import console
from agent.cli.flags import Flags
from agent.cli.links import check_links
from agent.cli.wiring import exit_code_of, found_run, workspace_of
from agent.errors import GreenwardError, UsageProblem
from agent.text import one_line

if TYPE_CHECKING:
    from agent.proposal.origin import Job
    from agent.session import Surroundings
    from agent.state import RunState

__all__ = ["GitHubRunner", "Proposing", "job_of", "proposing", "request_of"]

SUMMARY_BYTES = 900_000
"""GitHub takes one MiB of all summaries of a step."""


def request_of(request: str, options: Flags, repo: Path) -> str:
    """What is asked for: as it was typed, or from a file that somebody unknown wrote.

    Raises:
        UsageProblem: there are both, or the file cannot be read, or is a link that the repository at `repo` holds.
    """
    path = options["request_file"]
    if not isinstance(path, Path):
        return request
    if request.strip():
        raise UsageProblem("there are two requests", hint="give the request itself, or `--request-file`, and not both")
    from agent.proposal.request import LARGEST, as_data

    check_links(path, repo)
    try:
        with path.open("rb") as file:
            return as_data(file.read(LARGEST + 1))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}", hint="name a file with the request") from None


class Proposing:
    """Writes the proposal of a run as soon as there is one to write, and tells the forge."""

    def __init__(self, options: Flags, repo: Path, out: Path | None) -> None:
        self._options, self._repo, self._out = options, repo, out
        self._around: Surroundings | None = None
        self._before: frozenset[str] = frozenset()
        self._forge = GitHubRunner() if options["ci"] and os.environ.get("GITHUB_ACTIONS") == "true" else None

    def begins(self, around: "Surroundings") -> None:
        """Remember what a run begins with."""
        self._around = around
        if self._out is not None:
            from agent.runs import runs_directory

            with suppress(GreenwardError, OSError):
                self._before = frozenset(path.name for path in runs_directory(self._repo, os.environ).iterdir())

    def ended(self, state: "RunState") -> None:
        """Write what a run came to, and say where."""
        self._write(state, exit_code_of(state, self._options))
        if self._out is not None:
            told = f"proposal: {one_line(str(self._out))}"
            if state.finished and state.finished.proof and state.result_tree != state.root_tree:
                command = f"greenward publish {one_line(shlex.quote(str(self._out)))} --to ..."
                told += f"; where the token is, `{command}` takes it up"
            console.tell(told)

    def failed(self, error: BaseException) -> None:
        """Write as much as there is of a run that was stopped."""
        if self._out is None or self._around is None:
            return
        from agent.pausing import stop_of

        with suppress(GreenwardError, OSError):
            found = found_run(self._repo, None)
            if found.id not in self._before:
                self._write(found.state, stop_of(error).exit_code)

    def _write(self, state: "RunState", exit_code: int) -> None:
        if self._out is None or self._around is None:
            return
        from agent.proposal.annotations import annotations_of, as_commands
        from agent.proposal.layout import SUMMARY
        from agent.proposal.writing import propose
        from agent.redact import Redactor

        key = self._around.settings.key
        redact = Redactor([key.secret] if key else [], urls=False)
        with workspace_of(self._repo, found_run(self._repo, state.started.run_id)) as workspace:
            propose(workspace, state, self._out, redact=redact, exit_code=exit_code)
        if self._forge is None:
            return
        self._forge.tell(
            summary=(self._out / SUMMARY).read_bytes(),
            commands=tuple(map(redact, as_commands(annotations_of(state)))),
            outputs={
                "run": state.started.run_id,
                "outcome": state.outcome.value if state.outcome else "unfinished",
                "exit-code": str(exit_code),
                "changed": str(state.result_tree != state.root_tree).lower(),
                "commit": state.finished.commit if state.finished else state.tip,
                "cost": f"{state.spent.dollars:.4f}",
                "proposal": str(self._out),
            },
        )


@contextmanager
def proposing(options: Flags, repo: Path) -> Iterator[Proposing]:
    """What `--ci` and `--out` ask for, around a run.

    Raises:
        UsageProblem: they do not fit together, or nothing can be written there.
    """
    out = options["out"]
    if options["ci"]:
        if not isinstance(out, Path):
            raise UsageProblem("`--ci` writes a proposal, and does not know where", hint="give `--out DIR`")
        if options["approve"]:
            raise UsageProblem("there is nobody to ask in a job", hint="leave `--approve` out")
        _without_terminal(options)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            _check_origin(repo, str(options["allow_label"] or ""))
    if isinstance(out, Path):
        from agent.proposal.writing import check_place

        check_links(out, repo)
        check_place(out)
    made = Proposing(options, repo, out if isinstance(out, Path) else None)
    try:
        yield made
    except BaseException as error:
        made.failed(error)
        raise


def job_of(repo: Path) -> "Job":
    """What GitHub's runner says of the job that this is, and what is checked out in `repo`."""
    from agent.proposal.origin import Job

    try:
        payload = json.loads(Path(os.environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
    except (OSError, ValueError, RecursionError):
        payload = None
    return Job(
        event=os.environ.get("GITHUB_EVENT_NAME", ""),
        payload=payload if isinstance(payload, dict) else None,
        sha=os.environ.get("GITHUB_SHA", ""),
        head=_checked_out(repo),
    )


def _checked_out(repo: Path) -> str:
    from agent.git import Git
    from agent.repository import find

    with suppress(GreenwardError), Git(find(repo, os.environ).git_dir, environment=os.environ) as git:
        return git.find("HEAD^{commit}") or ""
    return ""


def _check_origin(repo: Path, label: str) -> None:
    """Raise `UsageProblem` where the code of a fork would meet the key."""
    from agent.proposal.origin import refusal

    if reason := refusal(job_of(repo), label):
        raise UsageProblem(
            reason,
            hint="a maintainer who has read the changes can let them in: start the job by `pull_request_target` of the"
            " type `labeled`, with `--allow-label NAME`, check out `github.event.pull_request.head.sha`, and give the"
            " pull request that label; examples/ci/github-label.yml does so",
        )


def _without_terminal(options: Flags) -> None:
    """No child and no question finds anything on standard input."""
    options["plain"] = True
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


class GitHubRunner:
    """GitHub's runner, which acts upon lines of what is printed: of ours, and of nobody else's.

    Its rules: docs.github.com, "Workflow commands for GitHub Actions".
    """

    def __init__(self) -> None:
        token = secrets.token_hex(16)
        self._said: tuple[str, ...] = ()
        sys.stderr.flush()
        print(f"::stop-commands::{token}", file=sys.stderr, flush=True)
        atexit.register(self._resume, token)  # after all that is said, an error at the end included

    def tell(self, *, summary: bytes, commands: tuple[str, ...], outputs: dict[str, str]) -> None:
        """Put the summary and the outputs where the runner finds them; the commands are said last of all."""
        self._said = commands
        _append("GITHUB_STEP_SUMMARY", summary[:SUMMARY_BYTES] + b"\n")
        lines = "".join(f"{name}={' '.join(value.split())}\n" for name, value in outputs.items())
        _append("GITHUB_OUTPUT", lines.encode("utf-8", "replace"))

    def _resume(self, token: str) -> None:
        with suppress(OSError, ValueError):
            print(f"::{token}::", *self._said, sep="\n", file=sys.stderr, flush=True)


def _append(variable: str, data: bytes) -> None:
    path = os.environ.get(variable, "")
    if not path:
        return
    try:
        with Path(path).open("ab") as file:
            file.write(data)
    except OSError as error:
        console.tell(f"note: {variable} cannot be written: {error.strerror}")
