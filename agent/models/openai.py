"""The client for OpenAI-compatible endpoints: one HTTP request for each attempt, and a whole reply or an error.

The SDK sends and receives; what it would add from its environment variables, retry by itself or pass over in silence
is kept from it. Chunks are read and judged here, since the SDK takes a cut stream or a page of HTML for an answer.
"""

import contextlib
import hashlib
import json
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agent.errors import UsageProblem
from agent.live import Observer, Said, ignore
from agent.models import Completion, ModelError, Rendered, Request, ToolSpec
from agent.models.accumulate import Accumulator, Reply
from agent.models.capabilities import Capabilities, Field, told, without_refused
from agent.models.endpoint import Endpoint
from agent.models.faults import Fault, error_in, excerpt, fault_from, to_error
from agent.models.memory import Memory
from agent.models.schema import normalise, tools_to_wire
from agent.models.sse import DONE, read_events
from agent.models.text_protocol import as_text, with_calls
from agent.models.text_stream import TextStream
from agent.models.verdicts import to_completion
from agent.models.wire import as_sent, estimate_tokens, messages_to_wire
from agent.text import one_line

if TYPE_CHECKING:
    import httpx2
    import openai

__all__ = ["Endpoint", "OpenAIModel"]

MARGIN = 1024
"""Tokens kept free of the context, since its use is only estimated."""
LEAST_OUTPUT = 1024
MODELS_SHOWN = 12
MARK = 8
"""Hexadecimal digits."""
REMEMBERED = "the endpoint took no tools when it was last asked: they are called in text"

Body = dict[str, Any]


class OpenAIModel:
    """A `Model` behind an OpenAI-compatible endpoint; a context manager, to be closed after use."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        memory: Memory | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        observe: Observer = ignore,
    ) -> None:
        """`memory` is where what is learned of the endpoint is kept; by default, nowhere.

        `observe` is told what is learned, and what the model says as it comes in, also in replies that come to nothing.
        """
        self.endpoint = endpoint
        self._memory = memory or Memory()
        self._new_id = new_id
        self._observe = observe
        recalled = self._memory.recall(endpoint.base_url, endpoint.model)
        self._known = recalled or _known_at_first(endpoint)
        self._learned = False
        self._seconds = math.inf
        if recalled and self._in_text and endpoint.protocol == "auto":
            observe(Said(REMEMBERED))
        self._loading: threading.Thread | None = None
        self._opened: openai.OpenAI | None = None
        self._opening = threading.Lock()

    @property
    def name(self) -> str:
        return self.endpoint.model

    @property
    def known(self) -> Capabilities:
        """What the endpoint turned out to accept."""
        return self._known

    def rendered(self, request: Request) -> Rendered:
        """What `request` comes to in the protocol that the endpoint takes, and all that its tokens depend on besides.

        Raises:
            ValueError: the tools cannot be offered.
        """
        form = f"{self._form}, {_mark(self.endpoint, request.tools, self._thinking(request))}"
        if self._in_text:
            return Rendered(request=as_text(request), form=form)
        tools = tuple(replace(tool, parameters=normalise(tool.parameters)) for tool in request.tools)
        messages = as_sent(request.messages, filler=self._known.filler)
        return Rendered(request=replace(request, messages=messages, tools=tools), form=form)

    def complete(self, request: Request) -> Completion:
        """Return the whole reply to `request`.

        If the endpoint refuses an optional field, the request is sent again without it: it was refused before any work.
        Where that makes another prompt of it, the error says so (`again`), for that has to be reserved anew.

        Raises:
            ModelError: there is none; nothing of a partial reply may be used.
            ValueError: the tools cannot be offered.
        """
        self._seconds = request.seconds
        while True:
            in_text, body = self._in_text, self._body(request)
            try:
                reply, request_id = self._attempt(body)
            except _Faulty as refused:
                self._learn(refused.fault, body)
                continue
            if self._learned:
                self._memory.remember(self.endpoint.base_url, self.endpoint.model, self._known)
                self._learned = False
            return to_completion(with_calls(reply) if in_text else reply, request, request_id=request_id)

    def send(self, body: Body) -> Reply | Fault:
        """Send a body just as it is: what was said, unjudged, or how it was refused.

        Raises:
            ModelError: neither came of it.
        """
        try:
            return self._attempt(body)[0]
        except _Faulty as refused:
            return refused.fault

    def refusal(self, fault: Fault) -> ModelError:
        """The error for a fault; a model that is not there is answered with those that are."""
        error = to_error(fault, secret=self.endpoint.key)
        if fault.status == HTTPStatus.NOT_FOUND:
            with contextlib.suppress(ModelError):
                served = [one_line(name, 60) for name in self.available()]
                if served and self.endpoint.model not in served:
                    shown = ", ".join(served[:MODELS_SHOWN]) + (", …" if len(served) > MODELS_SHOWN else "")
                    error.hint = f"the endpoint does not serve {self.endpoint.model}; it serves {shown}"
        return error

    def available(self) -> tuple[str, ...]:
        """Ids of the models that the endpoint serves.

        Raises:
            ModelError: they cannot be told.
        """
        try:
            with self._typed_errors():
                data = self._client().get("/models", cast_to=object)
        except _Faulty as refused:
            raise to_error(refused.fault, secret=self.endpoint.key) from None
        except json.JSONDecodeError:
            data = None
        models = data.get("data") if isinstance(data, dict) else None
        if not isinstance(models, list):
            raise self._broken(f"no list of models in the answer: {excerpt(str(data))}", {})
        return tuple(str(model["id"]) for model in models if isinstance(model, dict) and "id" in model)

    def prepare(self) -> None:
        """Begin to load the SDK in the background, which takes a third of a second; what fails is told by a request."""

        def load() -> None:
            with contextlib.suppress(UsageProblem, ImportError):
                _ = self._client().chat.completions

        self._loading = threading.Thread(target=load, name="model", daemon=True)
        self._loading.start()

    def close(self) -> None:
        """Close all connections; the model can be used again afterwards."""
        if self._loading is not None:
            self._loading.join()  # an interpreter that ends in the middle of an import crashes
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _in_text(self) -> bool:
        chosen = self.endpoint.protocol
        return chosen == "text" or (chosen == "auto" and "tools" in self._known.refused)

    @property
    def _form(self) -> str:
        return "text" if self._in_text else self._known.form

    def _body(self, request: Request) -> Body:
        """The least that makes a request: no sampling parameters, which the model refuses, and exactly one cap."""
        known, endpoint, sent = self._known, self.endpoint, self.rendered(request).request
        body: Body = {"model": endpoint.model, "messages": messages_to_wire(sent.messages, filler=known.filler)}
        if sent.tools:
            body["tools"] = tools_to_wire(sent.tools)
        cap = min(request.max_tokens, endpoint.context - estimate_tokens(body) - MARGIN)
        if cap < min(request.max_tokens, LEAST_OUTPUT):
            message = f"the conversation leaves no room for a reply within {endpoint.context} tokens"
            raise ModelError("overflow", message, hint="shorten the conversation", billed=False)
        optional: Body = {
            "stream_options": {"include_usage": True},
            "thinking": self._thinking(request),
            "prompt_cache_key": endpoint.prompt_cache_key,
        }
        wanted = {name: value for name, value in optional.items() if value and name not in known.refused}
        return body | {"stream": True, known.cap_field: cap} | wanted

    def _thinking(self, request: Request) -> dict[str, str]:
        """The field of that name, empty if it is not sent: the templates of models drop reasoning if it is disabled."""
        if "thinking" in self._known.refused:
            return {}
        thinks = request.think and not self._known.unthinking
        return dict(self.endpoint.thinking or {}) if thinks else {"type": "disabled"}

    def _learn(self, fault: Fault, body: Body) -> None:
        """Take a lesson from a refusal.

        Raises:
            ModelError: there is none in it, or the prompt is another one after it.
        """
        before, needed = self._known, frozenset[Field](("tools",) if self.endpoint.protocol == "tools" else ())
        after = without_refused(before, fault, frozenset(body), needed=needed)
        if after is None:
            raise self.refusal(fault)
        form = self._form
        self._known, self._learned = after, True
        if news := told(before, after):
            self._observe(Said(news))
        if self._form != form:
            raise ModelError("refused", self._blackened(str(fault)), retryable=True, billed=False, again=True)

    def _blackened(self, text: str) -> str:
        return text.replace(self.endpoint.key, "***") if self.endpoint.key else text

    def _attempt(self, body: Body) -> tuple[Reply, str]:
        with self._typed_errors():
            stream: openai.Stream[Any] = self._client().chat.completions.create(
                model=body["model"],
                messages=(),  # those of the body: the SDK would go through each of them for values to convert
                stream=True,
                extra_body=body,
                extra_headers={"X-Client-Request-Id": self._new_id()},
            )
            with contextlib.closing(stream.response) as response:
                return self._read(response), response.headers.get("x-request-id", "")

    def _read(self, response: "httpx2.Response") -> Reply:
        """The reply in a response with a good status, be it a stream or, against the request, one body."""
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == "text/event-stream":
            return self._read_stream(response)
        return self._read_whole(response.read().decode("utf-8", "replace"), response.headers)

    def _read_stream(self, response: "httpx2.Response") -> Reply:
        from agent.models import transport  # noqa: PLC0415

        observe = TextStream(self._observe) if self._in_text else self._observe
        accumulator, strays = Accumulator(observe), list[str]()
        events = read_events(response.iter_bytes(), strays)
        done = False
        for data in transport.until_finished(events, lambda: accumulator.finished):
            if data.startswith(DONE):
                done = True
                break
            chunk = _parsed(data)
            if not isinstance(chunk, dict):
                raise self._broken(f"an event of the stream is no JSON object: {excerpt(data)}", response.headers)
            if error_in(chunk):
                raise _Faulty(fault_from(None, data, response.headers, now=time.time()))
            accumulator.add(chunk)
        reply = accumulator.reply()
        if not reply.chunks and strays:
            return self._read_whole("\n".join(strays), response.headers)
        if not reply.chunks or not (done or accumulator.finished):
            raise self._broken("the stream ended before the reply did", response.headers)
        return reply

    def _read_whole(self, text: str, headers: Mapping[str, str]) -> Reply:
        body = _parsed(text)
        if error_in(body):
            raise _Faulty(fault_from(None, text, headers, now=time.time()))
        accumulator = Accumulator()
        accumulator.add(body)
        reply = accumulator.reply()
        if not reply.chunks or not isinstance(body, dict):
            raise self._broken(f"the answer is no completion: {excerpt(text)}", headers)
        return replace(reply, streamed=False)

    def _broken(self, message: str, headers: Mapping[str, str]) -> ModelError:
        """A broken answer; replays are worth a try, and it may have been billed."""
        fault = replace(fault_from(None, "", headers, now=time.time()), type="broken answer", text=message)
        return ModelError("transport", self._blackened(str(fault)), retryable=True)

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        """Whatever the SDK, its HTTP client or a decoder raises, as a `ModelError` or the fault that becomes one."""
        import openai  # noqa: PLC0415

        from agent.models import transport  # noqa: PLC0415

        try:
            yield
        except openai.APIStatusError as error:
            response = error.response
            fault = fault_from(response.status_code, response.text, response.headers, now=time.time())
            raise _Faulty(fault) from None
        except (openai.OpenAIError, *transport.TRANSPORT_ERRORS) as error:
            raise transport.unreachable(error, self.endpoint) from None

    def _client(self) -> "openai.OpenAI":
        """The SDK's client, made on first use: to import the SDK takes a third of a second."""
        with self._opening:
            if self._opened is None:
                self._opened = self._new_client()
            return self._opened

    def _new_client(self) -> "openai.OpenAI":
        import openai  # noqa: PLC0415

        from agent.models import transport  # noqa: PLC0415

        for name in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # OPENAI_LOG would print whole requests
        http = transport.http_client(self.endpoint, lambda: self._seconds)
        return openai.OpenAI(
            api_key=self.endpoint.key or "none",
            admin_api_key="",
            base_url=self.endpoint.base_url,
            organization="",
            project="",
            webhook_secret="",
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )


class _Faulty(Exception):
    """An answer that tells of an error."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _mark(endpoint: Endpoint, tools: Sequence[ToolSpec], thinking: Mapping[str, str]) -> str:
    """The same for prompts of which the same messages are as many tokens: a resumed run may ask elsewhere, or more."""
    offered = [[tool.name, tool.description, tool.parameters] for tool in tools]
    told = json.dumps([endpoint.base_url, endpoint.model, thinking, offered], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:MARK]


def _known_at_first(endpoint: Endpoint) -> Capabilities:
    thinks = endpoint.thinking is not None and endpoint.thinking.get("type") == "enabled"
    return Capabilities(cap_field=endpoint.cap_field, filler="" if thinks else None)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
