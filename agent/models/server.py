"""A model server on loopback that answers from a script: real HTTP, strict about requests, with a ledger of its own.

    with ScriptedServer(Script(replies=(say("Done."),))) as server:
        ...  # an endpoint at server.base_url

or `python -m agent.models.server SCRIPT.toml --port 0`, which prints its base URL.
"""

import argparse
import json
import select
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from agent.messages import Usage
from agent.models.script import Script, ScriptedReply, load_script
from agent.models.strictness import problem_of_body
from agent.models.tokens import PrefixCache, count_tokens, prompt_units
from agent.models.utterance import completion_body, stream_events

__all__ = ["Received", "ScriptedServer", "UsagePlace"]

UsagePlace = Literal["both", "choice", "chunk", "none"]
_TYPES = {
    400: "invalid_request_error",
    401: "invalid_authentication_error",
    403: "permission_denied_error",
    404: "resource_not_found_error",
    429: "rate_limit_reached_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request for a completion, as it came in."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]
    at: float = 0.0
    """When its headers had come in, by the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes out: an error or a reply, whole."""

    reply: ScriptedReply
    status: int = 200
    kind: str = "application/json"
    pieces: Sequence[bytes] = ()


class ScriptedServer:
    """Serves a script from a free port of 127.0.0.1 while it is entered.

    Args:
        script: what to answer.
        key: the API key that requests must bear; None takes any, but one there must be.
        usage_in: where a stream reports its usage: on the last choice, in a chunk of its own if asked for, or both.
        refuse: fields of a body that are refused, as by a gateway that knows less than the model.
        port: where to listen; 0 picks a free one.
    """

    def __init__(
        self,
        script: Script,
        *,
        key: str | None = None,
        usage_in: UsagePlace = "both",
        refuse: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self.script = script
        self.requests: list[Received] = []
        """The requests for completions, refused ones included."""
        self.ledger: list[Usage] = []
        """What would have been billed: whatever was generated, whether or not it arrived."""
        self.answered: list[float] = []
        """When each answer was out, by the monotonic clock."""
        self.stopping = threading.Event()
        self._key = key
        self._usage_in = usage_in
        self._refuse = tuple(refuse)
        self._places = script.places()
        self._served: dict[int, int] = {}
        self._reasoned: set[str] = set()
        self._cache = PrefixCache()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.scripted = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def billed(self) -> Usage:
        """The sum of the ledger."""
        return sum(self.ledger, Usage())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, headers: Mapping[str, str], text: bytes, *, at: float = 0.0) -> Answer:
        """Answer one request for a completion that came in `at` this time."""
        with self._lock:
            body = _decoded(text)
            self.requests.append(Received(headers=headers, body=body, at=at))
            return self._refusal(headers, body) or self._next(body)

    def models(self, headers: Mapping[str, str]) -> Answer:
        """The list of the one model."""
        model = {"id": self.script.model, "object": "model", "created": 0, "context_length": self.script.context}
        return self._unauthorised(headers) or _json({"object": "list", "data": [model]})

    def _unauthorised(self, headers: Mapping[str, str]) -> Answer | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and key and self._key in (None, key):
            return None
        return _error(401, "Invalid Authentication")

    def _refusal(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Answer | None:
        """The answer to a request that the API would refuse before any work."""
        if unauthorised := self._unauthorised(headers):
            return unauthorised
        if body.get("model") != self.script.model:
            return _error(404, f"Not found the model {body.get('model')} or Permission denied")
        refused = [name for name in self._refuse if name in body]
        problem = f"unknown field: {refused[0]}" if refused else problem_of_body(body, reasoned=self._reasoned)
        if problem is None:
            problem = self._overflow(body)
        return None if problem is None else _error(400, f"Invalid request: {problem}")

    def _overflow(self, body: Mapping[str, Any]) -> str | None:
        cap = body.get("max_completion_tokens", body.get("max_tokens", 0))
        asked = cap + sum(tokens for _, tokens in prompt_units(body))
        if asked <= self.script.context:
            return None
        return f"Your request exceeded model token limit: {self.script.context} (requested: {asked})"

    def _next(self, body: Mapping[str, Any]) -> Answer:
        """The answer that the script has for the request."""
        messages: list[dict[str, Any]] = body["messages"]
        place = self._place(messages)
        if place >= len(self._places):
            return _error(400, f"the script is at its end: it has {len(self._places)} replies, this would be another")
        served = self._served.get(place, 0)
        reply = self._places[place][min(served, len(self._places[place]) - 1)]
        missing = next((text for text in reply.expect if text not in _since_last_reply(messages)), None)
        if missing is not None:
            number = self.script.replies.index(reply) + 1
            return _error(400, f"reply {number} of the script expects to read {missing!r} first")
        self._served[place] = served + 1
        if reply.status != 200:
            return _error(reply.status, "scripted fault", reply)
        return self._speak(reply, messages, body)

    def _place(self, messages: Sequence[Mapping[str, Any]]) -> int:
        if self.script.match == "by-history":
            return sum(message.get("role") == "assistant" for message in messages)
        return next((n for n, here in enumerate(self._places) if self._served.get(n, 0) < len(here)), len(self._places))

    def _speak(self, reply: ScriptedReply, messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> Answer:
        first = sum(len(message.get("tool_calls") or ()) for message in messages)
        ids = [f"functions.{call.name}:{first + n}" for n, call in enumerate(reply.calls)]
        self._reasoned.difference_update(ids)
        if reply.reasoning is not None:
            self._reasoned.update(ids)
        usage = self._bill(reply, body)
        told = usage if reply.usage and self._usage_in != "none" else None
        number = len(self.requests)
        if not body.get("stream"):
            return _json(completion_body(reply, ids, self.script.model, number, told), reply)
        asked = bool(body.get("stream_options", {}).get("include_usage"))
        events = stream_events(
            reply,
            ids,
            model=self.script.model,
            number=number,
            choice_usage=told if self._usage_in in ("both", "choice") else None,
            chunk_usage=told if asked and self._usage_in in ("both", "chunk") else None,
        )
        return Answer(reply=reply, kind="text/event-stream; charset=utf-8", pieces=tuple(events))

    def _bill(self, reply: ScriptedReply, body: Mapping[str, Any]) -> Usage:
        units = prompt_units(body)
        said = [reply.reasoning or "", reply.say, *(call.name + call.text for call in reply.calls)]
        usage = Usage(
            prompt=sum(tokens for _, tokens in units),
            cached=self._cache.cached(units),
            completion=max(1, sum(map(count_tokens, said))),
        )
        self.ledger.append(usage)
        return usage


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    scripted: ScriptedServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        """Serve a request; a client that hangs up between two has nothing to be told."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        if self.path.split("?")[0] == "/v1/models":
            return self._send(self.server.scripted.models(self._headers()))
        return self._send(_error(404, f"no such path: {self.path}"))

    def do_POST(self) -> None:
        at = time.monotonic()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path != "/v1/chat/completions":
            return self._send(_error(404, f"no such path: {self.path}"))
        self._send(self.server.scripted.answer(self._headers(), body, at=at))
        self.server.scripted.answered.append(time.monotonic())
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _send(self, answer: Answer) -> None:
        try:
            self._write(answer)
        except OSError:
            self.close_connection = True

    def _write(self, answer: Answer) -> None:
        reply = answer.reply
        if reply.delay:
            self.server.scripted.stopping.wait(reply.delay)
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.kind, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        left = reply.cut_after
        pieces = answer.pieces[: len(answer.pieces) // 2] if reply.stall else answer.pieces
        for piece in pieces:
            part = piece if left is None else piece[:left]
            if part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.server.scripted.stopping.wait(reply.pace)
            if left is not None:
                left -= len(part)
                if left == 0:
                    self.close_connection = True
                    return
        if reply.stall:
            self._wait_for_hangup()
            return
        self.wfile.write(b"0\r\n\r\n")

    def _wait_for_hangup(self) -> None:
        """Return once the client has gone away, or the server is to stop."""
        self.close_connection = True
        while not self.server.scripted.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable:
                return


def _json(body: Mapping[str, Any], reply: ScriptedReply | None = None) -> Answer:
    return Answer(reply=reply or ScriptedReply(), pieces=(json.dumps(body, ensure_ascii=False).encode(),))


def _error(status: int, message: str, reply: ScriptedReply | None = None) -> Answer:
    """An error in Moonshot's shape, or the body that the script has for it."""
    error = {"error": {"message": message, "type": _TYPES.get(status, "server_error")}}
    text = json.dumps(error, ensure_ascii=False) if reply is None or reply.body is None else reply.body
    return Answer(reply=reply or ScriptedReply(), status=status, pieces=(text.encode(),))


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _since_last_reply(messages: Sequence[Mapping[str, Any]]) -> str:
    last = max((n for n, message in enumerate(messages) if message.get("role") == "assistant"), default=-1)
    return "\n".join(str(message.get("content", "")) for message in messages[last + 1 :])


def main() -> None:
    """Serve a script until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m agent.models.server", description=main.__doc__)
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with ScriptedServer(load_script(arguments.script), port=arguments.port) as server:
        print(server.base_url, flush=True)  # noqa: T201  its one output
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
