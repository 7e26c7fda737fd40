"""The forge's API over HTTP: JSON in and out, bounded in time and size, to the one host that was named.

What may be asked twice is asked again a few times; what makes something is, too, once it is known to have made nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import httpx2

from agent.errors import ForgeProblem, UsageProblem
from agent.publishing.forges import listed
from agent.publishing.patience import Patience, Trouble, trouble_of
from agent.publishing.places import is_loopback
from agent.text import one_line

__all__ = ["Api"]

T = TypeVar("T")
MOST_BYTES = 8 * 1024 * 1024
"""Of one answer, and of all pages of a list."""
PAGE, PAGES = 100, 20
"""Entries that are asked for at once, and how often for one list."""
SECONDS = 30.0
LATER = "run the job again later"
_WORDS = {
    401: "the token is not taken: is it set, and still valid?",
    403: "the token may not do this: see docs/publishing.md for the permissions that it needs",
    404: "check the project's name, and that the token may see it",
    422: "the forge does not take what it was sent; are drafts allowed in this project?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    value: Any
    size: int
    """Bytes."""
    following: Mapping[str, str]
    """What to ask for the next page of a list with; empty: there is none."""
    made: Any = None
    """What was found to have been made already, in the place of an answer."""


class Api:
    """One API. No redirect is followed, so that headers reach nobody else."""

    def __init__(self, address: str, headers: Mapping[str, str], patience: Patience) -> None:
        """Raises `UsageProblem` where a proxy or certificate variable of the operator's cannot be used."""
        self._address = address
        self._patience = patience
        try:
            self._client = httpx2.Client(
                headers={"User-Agent": "greenward", "Accept-Encoding": "identity", **headers},
                timeout=httpx2.Timeout(SECONDS),
                follow_redirects=False,
                trust_env=not is_loopback(address),
                verify=address.startswith("https:"),
            )
        except (ImportError, ValueError, OSError) as error:
            hint = "check the proxy variables, SSL_CERT_FILE and SSL_CERT_DIR"
            raise UsageProblem(f"no connection can be made: {one_line(str(error))}", hint=hint) from None

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """What is at `path`."""
        return self._send("GET", path, query=query).value

    def pages(self, path: str, **query: str | int) -> list[Any]:
        """The whole list at `path`, page after page as the forge says where the next one is.

        Of an address that it names only the query is taken, so that nothing is ever asked of another host.

        Raises:
            ForgeProblem: it is no list, it is too long, or as in `send`.
        """
        found: list[Any] = []
        size, asked = 0, {**query, "per_page": PAGE}
        for _ in range(PAGES):
            answer = self._send("GET", path, query=asked)
            found += listed(answer.value)
            size += answer.size
            if not answer.following:
                return found
            if size > MOST_BYTES:
                break
            asked |= answer.following
        raise ForgeProblem(
            f"GET {path}: the list is longer than {PAGES} pages or {MOST_BYTES} bytes",
            hint="name another issue or request, or close old ones",
        )

    def send(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        """What comes of sending `body`, by a method that comes to the same however often it is sent.

        Raises:
            ForgeProblem: the API cannot be reached, or says no.
        """
        return self._send(method, path, body=body).value

    def create(
        self, path: str, body: Mapping[str, object], *, read: Callable[[Any], T], there: Callable[[], T | None]
    ) -> T:
        """What is made of `body`, once; `read` reads the answer.

        Where it is not known whether it was made, `there` looks before another attempt. Raises as `send` does.
        """
        answer = self._send("POST", path, body=body, there=there)
        return read(answer.value) if answer.made is None else answer.made

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, object] | None = None,
        there: Callable[[], object] | None = None,
    ) -> _Answer:
        tried, unknown = 0, False
        while True:
            came = self._once(method, path, query, body)
            if isinstance(came, _Answer):
                return came
            tried, unknown = tried + 1, unknown or came.unknown
            again = self._patience.wait(came, tried)
            if unknown and there is not None and (made := there()) is not None:
                return _Answer(value=None, size=0, following={}, made=made)
            if not again:
                raise came.problem

    def _once(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, object] | None
    ) -> _Answer | Trouble:
        try:
            asked = self._client.build_request(method, self._address + path, params=query or None, json=body)
            answer = self._client.send(asked, stream=True)
            try:
                text = self._read(answer)
            finally:
                answer.close()
        except (httpx2.HTTPError, httpx2.StreamError, UnicodeError) as error:
            return self._unanswered(error)
        if not 200 <= answer.status_code < 300:
            problem = ForgeProblem(
                f"{method} {path} came to {answer.status_code}: {_message(text)}",
                hint=_WORDS.get(answer.status_code, LATER),
            )
            return trouble_of(problem, answer.status_code, answer.headers, text, now=self._patience.now())
        try:
            return _Answer(value=json.loads(text), size=len(text), following=_following(answer))
        except (ValueError, RecursionError):
            raise ForgeProblem(f"{method} {path}: the answer is no JSON", hint="check `--api-url`") from None

    def _unanswered(self, error: Exception) -> Trouble:
        said = one_line(str(error)) or type(error).__name__
        problem = ForgeProblem(f"{self._address} cannot be reached: {said}", hint=LATER)
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return Trouble(problem=problem, again="CERTIFICATE" not in said.upper())
        lost = isinstance(error, httpx2.NetworkError | httpx2.TimeoutException | httpx2.RemoteProtocolError)
        return Trouble(problem=problem, again=lost, unknown=lost)

    def _read(self, answer: httpx2.Response) -> bytes:
        parts, size = [], 0
        for part in answer.iter_bytes():
            size += len(part)
            if size > MOST_BYTES:
                raise ForgeProblem(
                    f"{self._address}: an answer is larger than {MOST_BYTES} bytes", hint="check `--api-url`"
                )
            parts.append(part)
        return b"".join(parts)


def _following(answer: httpx2.Response) -> dict[str, str]:
    """The query of the next page: from a Link, or its number as GitLab gives it too; empty if there is none."""
    if address := answer.links.get("next", {}).get("url", ""):
        return dict(parse_qsl(address.partition("?")[2].partition("#")[0]))
    number = str(answer.headers.get("X-Next-Page", "")).strip()
    return {"page": number} if number.isdecimal() else {}


def _message(text: bytes) -> str:
    """What an API says of its refusal, on one line."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return one_line(text.decode(errors="replace"))
    if not isinstance(said, dict):
        return one_line(str(said))
    told = [said.get("message") or said.get("error") or "", said.get("errors") or ""]
    return one_line(" ".join(each if isinstance(each, str) else json.dumps(each) for each in told if each))
