"""A forge on loopback: GitHub's and GitLab's APIs as far as publishing uses them, and git over HTTP with a password."""

import base64
import json
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.gitrepo import git

PROJECT = "octo/sums"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request to the API."""

    method: str
    path: str
    body: dict


@dataclass(frozen=True, kw_only=True)
class Hiccup:
    """What happens once to a request of that method, in the place of an answer."""

    method: str
    """Of git a `push`, or a `look` at anything."""
    status: int = 0
    """0: the connection ends."""
    headers: tuple[tuple[str, str], ...] = ()
    answer: object = field(default_factory=dict)
    acts: bool = False
    """Whether what was asked for is done all the same."""
    lasts: threading.Event | None = None
    """What the forge waits for before it does anything."""


@dataclass
class Forge:
    """What the server holds, for one project and its bare repository `remote`, at `url`."""

    remote: Path
    token: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    requests: list[dict] = field(default_factory=list)
    remarks: list[dict] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    """Who git said it is."""
    raw: bytes = b""
    """Every body that was sent."""
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The first line and the headers of every request, those of git included."""
    answer: tuple[int, object] | None = None
    """What the API answers to everything, if not what it should."""
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once somebody waits for an answer that lasts."""
    hiccups: list[Hiccup] = field(default_factory=list)
    page: int = 100
    """Entries of a list that are given at once, however many are asked for."""

    @property
    def written(self) -> list[str]:
        """What was asked for beside reading."""
        return [each.method for each in self.asked if each.method != "GET"]

    def branches(self) -> dict[str, str]:
        lines = git(self.remote, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def hiccup(self, method: str) -> Hiccup | None:
        if self.hiccups and self.hiccups[0].method == method:
            return self.hiccups.pop(0)
        return None

    def respond(self, method: str, path: str, query: dict, headers, body: dict) -> tuple[int, object]:
        self.asked.append(Asked(method=method, path=path, body=body))
        if self.answer is not None:
            return self.answer
        if path.startswith("/api/v3/"):
            if headers["Authorization"] != f"Bearer {self.token}":
                return 401, {"message": "Bad credentials"}
            return self._github(method, path.removeprefix(f"/api/v3/repos/{PROJECT}"), query, body)
        if headers["PRIVATE-TOKEN"] != self.token:
            return 401, {"message": "401 Unauthorized"}
        if path == "/api/v4/user":
            return 200, {"id": 7}
        return self._gitlab(method, path.removeprefix("/api/v4/projects/42"), query, body)

    def one_page(self, path, query, answer, headers):
        """A page of a list; GitHub says by a Link where the next is, GitLab by its number too. The host is not ours."""
        number, size = int(query.get("page", 1)), min(self.page, int(query.get("per_page", 20)))
        if len(answer) > number * size and path.startswith("/api/v3/"):
            address = f"https://elsewhere.example{path}?per_page={size}&page={number + 1}"
            headers = [*headers, ("Link", f'<{address}>; rel="next", <{address}>; rel="last"')]
        elif len(answer) > number * size:
            headers = [*headers, ("X-Next-Page", str(number + 1))]
        return answer[(number - 1) * size : number * size], headers

    def _github(self, method, path, query, body):
        match method, path.split("/")[1:]:
            case "GET", ["pulls"]:
                owner, _, branch = query["head"].partition(":")
                assert owner == "octo"
                assert query["state"] == "all"
                found = [each for each in self.requests if each["head"]["ref"] == branch]
                return 200, list(reversed(found))
            case "POST", ["pulls"]:
                if f"refs/heads/{body['head']}" not in self.branches():
                    return 422, {"message": "Validation Failed", "errors": [{"field": "head"}]}
                if any(
                    (each["head"]["ref"], each["head"]["repo"]["full_name"], each["state"])
                    == (body["head"], PROJECT, "open")
                    for each in self.requests
                ):
                    return 422, {"message": "A pull request already exists"}
                made = {
                    "number": len(self.requests) + 1,
                    "html_url": f"https://forge.example/{PROJECT}/pull/{len(self.requests) + 1}",
                    "state": "open",
                    "merged_at": None,
                    "head": {"ref": body["head"], "repo": {"full_name": PROJECT}},
                    "base": {"ref": body["base"]},
                    **{name: body[name] for name in ("title", "body", "draft")},
                }
                self.requests.append(made)
                return 201, made
            case "PATCH", ["pulls", number]:
                self.requests[int(number) - 1] |= body
                return 200, self.requests[int(number) - 1]
            case "GET", ["issues", _, "comments"]:
                return 200, self.remarks
            case "POST", ["issues", _, "comments"]:
                self.remarks.append({"id": len(self.remarks) + 1, "user": {"type": "Bot"}, **body})
                return 201, self.remarks[-1]
            case "PATCH", ["issues", "comments", number]:
                self.remarks[int(number) - 1] |= body
                return 200, self.remarks[int(number) - 1]
        return 404, {"message": "Not Found"}

    def _gitlab(self, method, path, query, body):
        match method, path.split("/")[1:]:
            case "GET", ["merge_requests"]:
                return 200, [
                    each for each in reversed(self.requests) if each["source_branch"] == query["source_branch"]
                ]
            case "POST", ["merge_requests"]:
                if any(
                    (each["source_branch"], each["source_project_id"], each["state"])
                    == (body["source_branch"], 42, "opened")
                    for each in self.requests
                ):
                    return 409, {"message": ["Another open merge request already exists for this source branch"]}
                number = len(self.requests) + 1
                made = {
                    **body,
                    "iid": number,
                    "web_url": f"https://forge.example/{PROJECT}/-/merge_requests/{number}",
                    "state": "opened",
                    "source_project_id": 42,
                    "target_project_id": 42,
                }
                self.requests.append(made)
                return 201, made
            case "PUT", ["merge_requests", number]:
                self.requests[int(number) - 1] |= body
                return 200, self.requests[int(number) - 1]
            case "GET", ["issues" | "merge_requests" as kind, number, "notes"]:
                return 200, [each for each in self.remarks if each.get("on", f"{kind}/7") == f"{kind}/{number}"]
            case "POST", ["issues" | "merge_requests" as kind, number, "notes"]:
                self.remarks.append(
                    {"id": len(self.remarks) + 1, "author": {"id": 7}, "on": f"{kind}/{number}", **body}
                )
                return 201, self.remarks[-1]
            case "PUT", ["issues" | "merge_requests", _, "notes", number]:
                self.remarks[int(number) - 1] |= body
                return 200, self.remarks[int(number) - 1]
        return 404, {"message": "404 Not Found"}


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up is no fault of a test."""


@contextmanager
def serving(forge: Forge):
    """Serve `forge` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self):
            url = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            forge.raw += data
            forge.heads.append(
                (f"{self.command} {self.path}", {name.lower(): text for name, text in self.headers.items()})
            )
            if url.path.startswith("/git/"):
                self._git(url, data)
                return
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = json.loads(data) if data else {}
            hiccup = forge.hiccup(self.command)
            headers = [("Content-Type", "application/json")]
            if hiccup is not None and hiccup.lasts is not None:
                forge.waiting.set()
                hiccup.lasts.wait(60)
            if hiccup is None or hiccup.acts:
                status, answer = forge.respond(self.command, unquote(url.path), query, self.headers, body)
            else:
                forge.asked.append(Asked(method=self.command, path=url.path, body=body))
            if hiccup is not None:
                status, answer, headers = hiccup.status, hiccup.answer, [*headers, *hiccup.headers]
            if not status:
                self.close_connection = True
                return
            if isinstance(answer, list):
                answer, headers = forge.one_page(url.path, query, answer, headers)
            self._send(status, json.dumps(answer).encode(), headers)

        do_GET = do_POST = do_PATCH = do_PUT = _any  # noqa: N815 - the names are of http.server

        def _send(self, status, data, headers):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _git(self, url, data):
            scheme, _, word = (self.headers.get("Authorization") or "").partition(" ")
            if scheme != "Basic" or not base64.b64decode(word).decode().endswith(f":{forge.token}"):
                self._send(401, b"", [("WWW-Authenticate", 'Basic realm="git"')])
                return
            forge.users.add(base64.b64decode(word).decode().partition(":")[0])
            variables = {
                "GIT_PROJECT_ROOT": str(forge.remote.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": url.path.removeprefix("/git"),
                "QUERY_STRING": url.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                "CONTENT_LENGTH": str(len(data)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
                "REMOTE_USER": "someone",
                "PATH": "/usr/bin:/bin",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
            }
            kind = "push" if url.path.endswith("/git-receive-pack") else "look"
            hiccup = forge.hiccup(kind)
            if hiccup is not None and not hiccup.acts:
                self._send(hiccup.status, b"", [])
                return
            done = subprocess.run(
                ["git", "-c", "safe.bareRepository=all", "http-backend"],
                env=variables, input=data, capture_output=True, check=False,
            )  # fmt: skip
            if hiccup is not None:
                self._send(hiccup.status, b"", [])
                return
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
            status = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
            self._send(status, body, [(name, value) for name, value in lines if name != "Status"])

        def log_message(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bare_of(root: Path, place: Path) -> Path:
    """A bare repository with the branches of `root`, that can be pushed to over HTTP."""
    git(root, "clone", "-q", "--bare", str(root), str(place))
    git(place, "config", "http.receivepack", "true")
    return place


def variables_of(kind: str, forge: Forge) -> dict[str, str]:
    """What a job on a forge of that kind is told of it; no token."""
    if kind == "gitlab":
        return {
            "CI_PROJECT_ID": "42", "CI_PROJECT_PATH": PROJECT, "CI_SERVER_URL": f"{forge.url}/git",
            "CI_API_V4_URL": f"{forge.url}/api/v4", "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main",
        }  # fmt: skip
    return {
        "GITHUB_REPOSITORY": PROJECT, "GITHUB_SERVER_URL": f"{forge.url}/git", "GITHUB_API_URL": f"{forge.url}/api/v3",
        "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
    }  # fmt: skip
