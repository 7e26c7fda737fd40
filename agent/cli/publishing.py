"""The command of the job that may write: it checks a proposal, and publishes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.application import Interrupted, app, console, resources
from agent.cli.concealing import conceal
from agent.cli.flags import Where

if TYPE_CHECKING:
    from agent.cli.proposing import GitHubRunner
    from agent.publishing.artifact import Artifact
    from agent.publishing.checking import Proposal
    from agent.publishing.forges import Forge, Thread
    from agent.publishing.patience import Patience
    from agent.publishing.places import Kind, Place
    from agent.publishing.publish import Published, Terms
    from agent.publishing.quarantine import Quarantine
    from agent.publishing.sending import Sending
    from agent.redact import Secret


class To(StrEnum):
    """What is made of a proposal."""

    GITHUB = "github"
    GITLAB = "gitlab"
    BRANCH = "branch"
    PATCH = "patch"


class Asking(StrEnum):
    """How GitLab is asked for a merge request."""

    API = "api"
    PUSH = "push"


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What `fix --ci --out DIR` wrote.")],
    repo: Where = Path(),
    *,
    to: Annotated[To, typer.Option(help="A draft request, a branch alone, or a checked patch.")],
    target: Annotated[str, typer.Option(metavar="BRANCH", help="What the request is to be merged into.")] = "",
    remote: Annotated[str, typer.Option(metavar="URL", help="The repository to push to.")] = "",
    project: Annotated[str, typer.Option(metavar="NAME", help="The forge's project, as owner/name.")] = "",
    api_url: Annotated[str, typer.Option(metavar="URL", help="The address of the forge's API.")] = "",
    token_variable: Annotated[str, typer.Option(metavar="NAME", help="The variable that holds the token.")] = "",
    merge_request: Annotated[
        Asking, typer.Option(help="On GitLab by its API, or by push options, for which a token need not have the API.")
    ] = Asking.API,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where `--to patch` writes.")] = None,
    comment: Annotated[
        str, typer.Option(metavar="N", help="Tell it in one comment there, too; `!N` is a request.")
    ] = "",
    allow_path: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Paths that may change all the same.")
    ] = None,
    max_proposals: Annotated[int, typer.Option(metavar="N", min=1, help="How many for the same failing tests.")] = 3,
    again: Annotated[bool, typer.Option("--again", help="Once more, whatever was published or closed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a proposal as hostile, and publish it as a draft.

    Needs no key, no engine and no model, and executes nothing of the repository.

    Example: greenward publish proposal --to github
    """
    from agent.publishing.checking import check
    from agent.publishing.forges import thread_of
    from agent.publishing.places import TOKENS, Given, place_of
    from agent.publishing.publish import Terms, check_base
    from agent.publishing.quarantine import quarantine_of
    from agent.publishing.secrets import Scanner

    runner = _runner(to, repo)
    secrets, token = _secrets(token_variable or TOKENS.get(to, ""))
    terms, environ = Terms(most=max_proposals, again=again), dict(os.environ)
    given = Given(remote=remote, project=project, target=target, api=api_url, variable=token_variable)
    place = None if to is To.PATCH else place_of(_kind(to, merge_request, comment), given, environ, token)
    thread = thread_of(comment) if comment else None
    artifact = _artifact(directory, output, repo)
    with _interruptible() as sending, quarantine_of(repo, environ) as quarantine:
        proposal = check(artifact, quarantine, Scanner(secrets), allowed=allow_path or ())
        if proposal is None:
            console.tell("nothing to publish: the suite was green, and nothing was changed")
            return
        check_base(quarantine, proposal.base, terms)
        if place is None:
            _write_patch(proposal, output)
            return
        published = _publish(proposal, quarantine, place, terms, sending, comment=thread)
    _say(published, runner, as_json=as_json)


def _artifact(directory: Path, output: Path | None, repo: Path) -> "Artifact":
    from agent.cli.links import check_links
    from agent.publishing.artifact import read_artifact

    for path in filter(None, (directory, output)):
        check_links(path, repo)
    return read_artifact(directory)


@contextmanager
def _interruptible() -> "Iterator[Sending]":
    """Have an interruption say what was sent by then: there is no run to resume here."""
    from agent.publishing.sending import Sending
    from agent.text import sanitise

    sending = Sending()
    try:
        yield sending
    except KeyboardInterrupt:
        hint = f"{sending}; the same command can be given again, and makes nothing twice"
        raise Interrupted(sanitise(hint)) from None


def _runner(to: To, repo: Path) -> "GitHubRunner | None":
    """GitHub's runner, if this is a job of it; it acts upon nothing that is printed from here on.

    Raises:
        UsageProblem: the commits of a fork would get into the repository.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return None
    from agent.cli.proposing import GitHubRunner, job_of
    from agent.errors import UsageProblem
    from agent.proposal.origin import foreign

    runner = GitHubRunner()
    if to is not To.PATCH and (theirs := foreign(job_of(repo))):
        raise UsageProblem(
            f"a branch on the commits of {theirs} would bring them, workflows and all, into this repository",
            hint="`--to patch --output FILE` writes a checked patch, which their author can apply",
        )
    return runner


def _secrets(variable: str) -> "tuple[tuple[Secret, ...], Secret | None]":
    """Every key and token of this job, none of which is in the environment then; and the token to use."""
    from agent.config import KEY_VARIABLES
    from agent.errors import UsageProblem
    from agent.publishing.places import TOKENS
    from agent.redact import Secret

    names = dict.fromkeys((*KEY_VARIABLES, *TOKENS.values(), "GH_TOKEN", "CI_JOB_TOKEN", variable))
    conceal(names)
    values = {name: found for name in names if name and (found := os.environ.pop(name, "").strip())}
    secrets = {name: Secret(value) for name, value in values.items()}
    console.keep(secrets.values())
    token = values.get(variable, "")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageProblem(f"{variable} holds characters that no token has", hint="copy the token again")
    return tuple(secrets.values()), secrets.get(variable)


def _kind(to: To, asking: Asking, comment: str) -> "Kind":
    from agent.errors import UsageProblem

    if asking is Asking.PUSH and (to is not To.GITLAB or comment):
        what = "comments on nothing" if to is To.GITLAB else "is for `--to gitlab`"
        raise UsageProblem(f"`--merge-request push` {what}", hint="leave one of the two out")
    kinds: dict[To, Kind] = {To.GITHUB: "github", To.GITLAB: "gitlab" if asking is Asking.API else "gitlab push"}
    return kinds.get(to, "branch")


def _publish(
    proposal: "Proposal",
    quarantine: "Quarantine",
    place: "Place",
    terms: "Terms",
    sending: "Sending",
    *,
    comment: "Thread | None",
) -> "Published":
    from agent.publishing.patience import Patience
    from agent.publishing.publish import publish_branch, publish_request, publish_with_options
    from agent.publishing.pushing import Pusher
    from agent.text import number_of, sanitise

    many = number_of(len(proposal.commits), "commit")
    console.tell(f"checked: {many} on {proposal.base[:12]}, proof {proposal.proof.id[:12]}")
    patience = Patience(tell=lambda words: console.tell(sanitise(words)))
    pusher = Pusher(quarantine, place.remote, os.environ, patience)
    if place.kind == "gitlab push":
        return publish_with_options(proposal, pusher, terms, sending, target=place.target)
    if (forge := _forge(place, patience)) is None:
        return publish_branch(proposal, pusher, terms, sending)
    resources.callback(forge.close)
    return publish_request(proposal, pusher, forge, terms, sending, target=place.target, remark_on=comment)


def _forge(place: "Place", patience: "Patience") -> "Forge | None":
    from agent.publishing.github import GitHub
    from agent.publishing.gitlab import GitLab

    if place.kind == "branch" or place.token is None:
        return None
    return (GitHub if place.kind == "github" else GitLab)(place.api, place.project, place.token, patience)


def _write_patch(proposal: "Proposal", output: Path | None) -> None:
    from agent.durable import write_durably

    if output is not None:
        write_durably(output, proposal.patch)
        console.tell(f"checked: written to {output}, proof {proposal.proof.id[:12]}")
        return
    sys.stdout.buffer.write(proposal.patch)
    sys.stdout.flush()


def _say(published: "Published", runner: "GitHubRunner | None", *, as_json: bool) -> None:
    import json

    from agent.text import sanitise

    if runner is not None:
        outputs = {name: str(value) for name, value in asdict(published).items()}
        runner.tell(summary=f"greenward: {_how(published)}".encode(), commands=(), outputs=outputs)
    if as_json:
        console.data(json.dumps({"schema": 1, **asdict(published)}))
        return
    about = f"{published.branch} is at {published.commit[:12]}, proposal {published.attempt} for these tests"
    console.say(sanitise(f"{about}\n{_how(published)}"))


def _how(published: "Published") -> str:
    if not published.url:
        return f"pushed: {published.branch}"
    return f"{'opened as a draft' if published.opened else 'brought up to date'}: {published.url}"
