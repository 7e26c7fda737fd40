"""A model server on loopback that answers from a script: real HTTP, strict about requests, with a ledger of its own.

    with ScriptedServer(Script(replies=(say("Done."),))) as server:
        ...  # an endpoint at server.base_url

or `python -m agent.models.server SCRIPT.toml --port 0`, which prints its base URL. docs/server.md tells the rest.
"""

import argparse
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.errors import UsageProblem
from agent.messages import Usage
from agent.models.admission import refusal, refuse_with, unauthorised
from agent.models.billing import Bill, after_work, cap_of, told_usage, used, within_cap
from agent.models.chaos import Chaos, Dealer
from agent.models.gateway import ERROR_TYPES, UsagePlace, error_body
from agent.models.httpd import JSON_TYPE, Answer, HttpServer, retry_headers
from agent.models.scenario import FAULTS, spoiled
from agent.models.script import Script, ScriptedReply, load_script
from agent.models.tokens import PrefixCache
from agent.models.utterance import Utterance, as_text, completion_body, in_stream, leaked, stream_events, usage_body

__all__ = ["Bill", "Received", "ScriptedServer", "UsagePlace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request for a completion, as it came in."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]
    at: float = 0.0
    """When its headers had come in, by the monotonic clock."""


class ScriptedServer:
    """Serves a script from a free port of 127.0.0.1 while it is entered.

    Args:
        script: what to answer, and how requests are treated.
        key: the API key that requests must bear, in place of the script's.
        usage_in: where a stream reports its usage, in place of the script's.
        refuse: fields of a body that are refused, in place of the script's.
        chaos: the faults by chance, in place of the script's.
        speak_text: how a reply is spoken whose calls cannot be spoken as calls.
        port: where to listen; 0 picks a free one.
    """

    def __init__(
        self,
        script: Script,
        *,
        key: str | None = None,
        usage_in: UsagePlace | None = None,
        refuse: Sequence[str] | None = None,
        chaos: Chaos | None = None,
        speak_text: Callable[[ScriptedReply], str] = as_text,
        port: int = 0,
    ) -> None:
        self.script = script
        self.requests: list[Received] = []
        """The requests for completions, refused ones included."""
        self.bills: list[Bill] = []
        """One for each reply that was generated, whether or not it arrived."""
        self.answered: list[float] = []
        """When each answer was out, by the monotonic clock."""
        self.stopping = threading.Event()
        wanted = {"key": key, "usage_in": usage_in, "refuse": None if refuse is None else tuple(refuse)}
        given = {name: value for name, value in wanted.items() if value is not None}
        self.gateway = replace(script.gateway, **given)  # type: ignore[arg-type]
        """How requests are treated; another one may take its place between two of them."""
        self._chaos = chaos or script.chaos
        self._dealer = Dealer(self._chaos) if self._chaos else None
        self._speak_text = speak_text
        self._places = script.places()
        self._served: dict[int, int] = {}
        self._detours: set[int] = set()
        self._reasoned: set[int] = set()
        self._cache = PrefixCache()
        self._lock = threading.Lock()
        self._http = HttpServer(port, self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def ledger(self) -> list[Usage]:
        """What would have been charged, reply by reply; what is free is left out."""
        return [bill.usage for bill in self.bills if bill.usage != Usage()]

    @property
    def billed(self) -> Usage:
        """The sum of the ledger."""
        return sum(self.ledger, Usage())

    @property
    def dealt(self) -> Counter[str]:
        """How many faults of each kind came by chance."""
        return Counter(self._dealer.dealt) if self._dealer else Counter()

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
            refused = refusal(headers, body, script=self.script, gateway=self.gateway, reasoned=self._reasoned)
            answer = refused or self._next(body)
            number = len(self.requests)
        own = [("x-request-id", f"req-{number}")]
        if "x-client-request-id" in headers:
            own.append(("X-Client-Request-Id", headers["x-client-request-id"]))
        return replace(answer, headers=(*own, *answer.headers))

    def models(self, headers: Mapping[str, str]) -> Answer:
        """The list of the models."""
        about = {"object": "model", "created": 0, "context_length": self.script.context}
        data = [{"id": name} | about for name in (self.script.model, *self.gateway.models)]
        return unauthorised(headers, self.gateway) or _json({"object": "list", "data": data})

    def nowhere(self, path: str) -> Answer:
        """The answer to a request for anything else."""
        return refuse_with(404, f"no such path: {path}")

    def _next(self, body: Mapping[str, Any]) -> Answer:
        """The answer that the script, or chance, has for the request."""
        messages: list[dict[str, Any]] = body["messages"]
        replies = sum(message.get("role") == "assistant" for message in messages)
        place = self._place(replies)
        if place >= len(self._places):
            return refuse_with(
                400, f"the script is at its end: it has {len(self._places)} replies, this would be another"
            )
        served = self._served.get(place, 0)
        scripted = self._places[place][min(served, len(self._places[place]) - 1)]
        heard = _since_last_reply(messages, self._detours)
        missing = next((text for text in scripted.expect if text not in heard), None)
        if missing is not None:
            number = self.script.replies.index(scripted) + 1
            return refuse_with(400, f"reply {number} of the script expects to read {missing!r} first")
        reply = spoiled(scripted)
        dealt = self._deal(reply, body)
        self._detours.discard(replies)
        if dealt is None or FAULTS[dealt].effect == "whole":
            self._served[place] = served + 1
        elif FAULTS[dealt].effect == "detour":
            self._detours.add(replies)
        if dealt is not None:
            reply = spoiled(replace(reply, fault=dealt))
        return self._given(reply, body) or self._speak(reply, replies, body)

    def _deal(self, reply: ScriptedReply, body: Mapping[str, Any]) -> str | None:
        """The fault that chance has for a reply; those of the script are left alone."""
        if self._dealer is None or reply.passing:
            return None
        return self._dealer.deal(len(self.requests), reply, body.keys())

    def _place(self, replies: int) -> int:
        """Where a conversation is after so many replies: those that chance put in do not count."""
        if self.script.match == "by-history":
            return replies - sum(detour < replies for detour in self._detours)
        return next((n for n, here in enumerate(self._places) if self._served.get(n, 0) < len(here)), len(self._places))

    def _given(self, reply: ScriptedReply, body: Mapping[str, Any]) -> Answer | None:
        """The answer that is no reply of the model, if the script has one."""
        if reply.generated:
            return None
        if self.gateway.bill_failed and after_work(reply):
            self._bill(within_cap(reply, cap_of(body), self.gateway.tokenizer), body)
        text = reply.body
        if text is None:
            kind = reply.error_type or ERROR_TYPES.get(reply.status, "server_error")
            text = error_body(reply.shape, message=reply.error_message, kind=kind, code=reply.error_code)
        headers = (*reply.headers.items(), *retry_headers(reply, now=time.time()))
        return Answer(status=reply.status, headers=headers, pieces=(text.encode(),), reply=reply)

    def _speak(self, reply: ScriptedReply, replies: int, body: Mapping[str, Any]) -> Answer:
        gateway, number = self.gateway, len(self.requests)
        if gateway.thinking == "honoured" and body.get("thinking", {}).get("type") == "disabled":
            reply = replace(reply, reasoning=None)
        first = sum(len(message.get("tool_calls") or ()) for message in body["messages"])
        reply = leaked(reply, first)
        if reply.calls and (gateway.protocol == "text" or (gateway.protocol == "auto" and not body.get("tools"))):
            reply = replace(reply, say=self._speak_text(reply), calls=())
        reply = within_cap(reply, cap_of(body), gateway.tokenizer)
        (self._reasoned.discard if reply.reasoning is None else self._reasoned.add)(replies)
        told = self._bill(reply, body)
        utterance = Utterance(
            reply=reply,
            ids=_ids(reply, first),
            model=self.script.model,
            number=number,
            usage=None if told is None else usage_body(told, gateway.cached_in),
        )
        headers = (("X-RunAPI-Task-Id", f"task-{number}"), *reply.headers.items())
        if not body.get("stream") or reply.form == "json":
            text = json.dumps(completion_body(utterance), ensure_ascii=False).encode()
            whole = reply.interrupt is None
            return Answer(headers=headers, pieces=(text if whole else text[: len(text) // 2],), reply=reply)
        asked = bool(body.get("stream_options", {}).get("include_usage"))
        events = stream_events(utterance, usage_in=_spots(gateway.usage_in, asked=asked))
        return Answer(
            kind="text/event-stream; charset=utf-8", headers=headers, pieces=in_stream(reply, events), reply=reply
        )

    def _bill(self, reply: ScriptedReply, body: Mapping[str, Any]) -> Usage | None:
        """Write down what the reply costs; returns the usage to report, if any."""
        usage = used(reply, body, self._cache, self.gateway.tokenizer)
        told = told_usage(usage, reply, body, self.gateway)
        charged = usage if self.gateway.bill_broken or not reply.broken else Usage()
        whole = reply.generated and not reply.broken
        self.bills.append(Bill(request=len(self.requests), usage=charged, told=told, whole=whole))
        return told


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(kind=JSON_TYPE, pieces=(json.dumps(body, ensure_ascii=False).encode(),))


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _ids(reply: ScriptedReply, first: int) -> list[str | None]:
    """The ids of the calls of a reply; `first` is the number of its first call in the conversation."""
    names = [call.name for call in reply.calls]
    if reply.ids == "missing":
        return [None for _ in names]
    if reply.ids == "same":
        return [f"functions.{names[0]}:0" for _ in names]
    if reply.ids == "zero":
        return [str(number) for number in range(len(names))]
    start = first if reply.ids == "counted" else 0
    return [f"functions.{name}:{number}" for number, name in enumerate(names, start)]


def _spots(place: UsagePlace, *, asked: bool) -> list[str]:
    """Where a stream tells its usage."""
    spots = ["choice", "chunk"] if place == "both" else [place]
    return [spot for spot in spots if spot != "chunk" or asked]


def _since_last_reply(messages: Sequence[Mapping[str, Any]], detours: Collection[int]) -> str:
    """What was said to the model after its last reply that the script has."""
    replies = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
    last = max((index for number, index in enumerate(replies) if number not in detours), default=-1)
    return "\n".join(str(message.get("content", "")) for message in messages[last + 1 :])


def main() -> None:
    """Serve a script until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m agent.models.server", description=main.__doc__)
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: a free port)")
    parser.add_argument("--chaos", type=int, metavar="SEED", help="let a share of the replies go wrong")
    parser.add_argument("--rate", type=float, help="that share (default: the script's, or 0.3)")
    arguments = parser.parse_args()
    try:
        script = load_script(arguments.script)
        server = ScriptedServer(script, port=arguments.port, chaos=_chaos_of(script, arguments.chaos, arguments.rate))
    except UsageProblem as problem:
        parser.error(problem.message)
    except (ValueError, OSError, OverflowError) as problem:
        parser.error(f"cannot serve: {problem}")
    with contextlib.suppress(KeyboardInterrupt), server:
        print(server.base_url, flush=True)  # noqa: T201  its one output
        while True:
            time.sleep(3600)


def _chaos_of(script: Script, seed: int | None, rate: float | None) -> Chaos | None:
    """The chaos of a script, with another seed and another rate if they are given."""
    if seed is None:
        return script.chaos
    chaos = replace(script.chaos or Chaos(seed=seed), seed=seed)
    return chaos if rate is None else replace(chaos, rate=rate)


if __name__ == "__main__":
    main()
