"""Where a proposal goes: addresses that a token may be sent to, and what a CI job's variables say of them. Pure."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, urlsplit

from agent.errors import UsageProblem
from agent.redact import Secret

__all__ = ["TOKENS", "Given", "Place", "Remote", "is_loopback", "place_of", "remote_of"]

Forge = Literal["github", "gitlab"]
Kind = Literal["github", "gitlab", "gitlab push", "branch"]
"""`gitlab push` is asked by options of a push alone, without its API."""
JOB_TOKEN = "CI_JOB_TOKEN"  # noqa: S105 - the name of a variable
TOKENS: Mapping[str, str] = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}
"""The variable that holds the token, if no other one is named."""
_USERS = {"github": "x-access-token", "gitlab": "oauth2"}
_JOB = "gitlab-ci-token"
_GITHUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_GITLAB = re.compile(r"[0-9]+|[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_SSH = re.compile(r"(?:git\+)?ssh(?:\+git)?://.*|(?:[\w.-]+@)?[\w.-]+:(?!//).*", re.IGNORECASE | re.DOTALL)
"""Also as scp spells it: `git@host:owner/name.git`."""
_BRANCH = re.compile(r"(?!-)(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[A-Za-z0-9._/+@-]{1,200}(?<![./])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository to push to."""

    address: str
    """`https://...`, `http://...` on this machine, or the absolute path of a directory."""
    user: str = ""
    """The name that goes with the token."""
    token: Secret | None = None
    """None: it takes none."""

    @property
    def protocol(self) -> str:
        """As git names it."""
        return "file" if self.address.startswith("/") else self.address.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says; empty: it does not."""

    remote: str = ""
    project: str = ""
    target: str = ""
    api: str = ""
    variable: str = ""
    """The one that holds the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository, and the project of a forge that it belongs to, which a mere branch does without."""

    kind: Kind
    remote: Remote
    project: str = ""
    """`owner/name`; of GitLab also the project's number."""
    target: str = ""
    """The branch that a request is to be merged into."""
    api: str = ""
    """The address of the forge's API."""
    token: Secret | None = None


def place_of(kind: Kind, given: Given, environ: Mapping[str, str], token: Secret | None) -> Place:
    """The place that the command line names, or else the variables of a CI job.

    Raises:
        UsageProblem: something is missing, or an address is none that a token may be sent to.
    """
    user = _JOB if given.variable == JOB_TOKEN else ""
    if kind == "branch":
        address = given.remote or _remote("github", environ) or _remote("gitlab", environ)
        on_gitlab = not given.remote and not _remote("github", environ)
        user = user or _USERS["gitlab" if on_gitlab else "github"]
        return Place(kind=kind, remote=remote_of(_needed(address, "--remote URL", ""), user, token))
    forge: Forge = "github" if kind == "github" else "gitlab"
    if token is None:
        variable = given.variable or TOKENS[forge]
        raise UsageProblem("there is no token", hint=f"set {variable}, or name another variable by `--token-variable`")
    target = given.target or _target(forge, environ)
    if not _BRANCH.fullmatch(_needed(target, "--target BRANCH", "")):
        raise UsageProblem(f"{target!r} is not the name of a branch", hint="give one as `--target BRANCH`")
    address = _needed(given.remote or _remote(forge, environ), "--remote URL", "")
    remote = remote_of(address, user or _USERS[forge], token)
    if kind == "gitlab push":
        return Place(kind=kind, remote=remote, target=target)
    if user:
        hint = "give it `--merge-request push`, or GITLAB_TOKEN with the scope `api`"
        raise UsageProblem("a job's own token opens no merge request by GitLab's API", hint=hint)
    return _with_api(kind, given, environ, Place(kind=kind, remote=remote, target=target, token=token))


def _with_api(kind: Forge, given: Given, environ: Mapping[str, str], place: Place) -> Place:
    names = {"github": ("GITHUB_REPOSITORY", "GITHUB_API_URL"), "gitlab": ("CI_PROJECT_ID", "CI_API_V4_URL")}
    project, api = names[kind]
    found = _needed(given.project or environ.get(project, ""), "--project NAME", project)
    if not (_GITHUB if kind == "github" else _GITLAB).fullmatch(found):
        raise UsageProblem(f"{found!r} is not the name of a project", hint="give it as `--project OWNER/NAME`")
    address = _checked(_needed(given.api or environ.get(api, ""), "--api-url URL", api)).rstrip("/")
    return replace(place, project=found, api=address)


def remote_of(address: str, user: str, token: Secret | None) -> Remote:
    """The repository at `address`.

    Raises:
        UsageProblem: it is none that may be pushed to.
    """
    if address.startswith("/"):
        return Remote(address=address)
    if _SSH.fullmatch(address):
        raise UsageProblem(
            "publish does not push over ssh: the user's keys and configuration are out of its reach on purpose",
            hint="give the repository's https:// address and a token in a variable; or write a checked patch by"
            " `--to patch --output FILE`, and push it by a step of your own",
        )
    return Remote(address=_checked(address), user=user, token=token)


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(address: str) -> str:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        raise UsageProblem("the address is no URL", hint="give one like https://host/owner/name.git") from None
    if url.username or url.password or "@" in url.netloc:
        raise UsageProblem("the address holds credentials", hint="give the token in a variable, see `--token-variable`")
    plain = address.isascii() and address.isprintable() and not set(address) & set(" \"'<>\\^`{|}")
    if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment or not plain or port == 0:
        raise UsageProblem(
            f"cannot use the address {address!r}", hint="give one like https://host/owner/name.git, or an absolute path"
        )
    if url.scheme == "http" and not is_loopback(address):
        raise UsageProblem(f"{address} is not encrypted", hint="use https://; http:// is for this machine alone")
    return address


def _needed(value: str, option: str, variable: str) -> str:
    if not value:
        also = f", or set {variable}" if variable else ""
        raise UsageProblem(f"where to publish is not known: {option} is missing", hint=f"give `{option}`{also}")
    return value


def _target(kind: Forge, environ: Mapping[str, str]) -> str:
    if kind == "gitlab":
        names = ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH", "CI_DEFAULT_BRANCH")
        return next((environ[name] for name in names if environ.get(name)), "")
    if head := environ.get("GITHUB_HEAD_REF", ""):
        return head
    return environ.get("GITHUB_REF_NAME", "") if environ.get("GITHUB_REF_TYPE") == "branch" else ""


def _remote(kind: Forge, environ: Mapping[str, str]) -> str:
    server = "GITHUB_SERVER_URL" if kind == "github" else "CI_SERVER_URL"
    project = "GITHUB_REPOSITORY" if kind == "github" else "CI_PROJECT_PATH"
    if not environ.get(server) or not environ.get(project):
        return ""
    return f"{environ[server].rstrip('/')}/{quote(environ[project])}.git"
