"""The client for OpenAI-compatible endpoints: one HTTP request for each attempt, and a whole reply or an error.

The SDK sends and receives; what it would add from its environment variables, retry by itself or pass over in silence
is kept from it. Chunks are read and judged here, since the SDK takes a cut stream or a page of HTML for an answer.
"""

import contextlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agent.errors import UsageProblem
from agent.live import Observer, ignore
from agent.models import Completion, ModelError, Request
from agent.models.accumulate import Accumulator, Reply
from agent.models.capabilities import Capabilities, without_refused
from agent.models.endpoint import Endpoint
from agent.models.faults import Fault, error_in, excerpt, fault_from, to_error
from agent.models.schema import tools_to_wire
from agent.models.sse import DONE, read_events
from agent.models.verdicts import to_completion
from agent.models.wire import estimate_tokens, messages_to_wire

if TYPE_CHECKING:
    import httpx2
    import openai

__all__ = ["Endpoint", "OpenAIModel"]

MARGIN = 1024
"""Tokens kept free of the context, since its use is only estimated."""
LEAST_OUTPUT = 1024

Body = dict[str, Any]


class OpenAIModel:
    """A `Model` behind an OpenAI-compatible endpoint; a context manager, to be closed after use."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        observe: Observer = ignore,
    ) -> None:
        """`observe` is told what the model says, as it comes in: also of replies that come to nothing."""
        self.endpoint = endpoint
        self._new_id = new_id
        self._observe = observe
        thinks = endpoint.thinking is not None and endpoint.thinking.get("type") == "enabled"
        self._known = Capabilities(cap_field=endpoint.cap_field, filler="" if thinks else None)
        self._opened: openai.OpenAI | None = None
        self._opening = threading.Lock()

    @property
    def name(self) -> str:
        return self.endpoint.model

    @property
    def known(self) -> Capabilities:
        """What the endpoint turned out to accept."""
        return self._known

    def complete(self, request: Request) -> Completion:
        """Return the whole reply to `request`.

        If the endpoint refuses an optional field, the request is sent again without it: it was refused before any work.

        Raises:
            ModelError: there is none; nothing of a partial reply may be used.
            ValueError: the tools cannot be offered.
        """
        while True:
            body = self._body(request)
            try:
                reply, request_id = self._attempt(body)
            except _Faulty as refused:
                taught = without_refused(self._known, refused.fault, frozenset(body))
                if taught is None:
                    raise to_error(refused.fault, secret=self.endpoint.key) from None
                self._known = taught
                continue
            return to_completion(reply, request, request_id=request_id)

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

        threading.Thread(target=load, name="model", daemon=True).start()

    def close(self) -> None:
        """Close all connections; the model can be used again afterwards."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _body(self, request: Request) -> Body:
        """The least that makes a request: no sampling parameters, which the model refuses, and exactly one cap."""
        known, endpoint = self._known, self.endpoint
        body: Body = {"model": endpoint.model, "messages": messages_to_wire(request.messages, filler=known.filler)}
        if request.tools:
            body["tools"] = tools_to_wire(request.tools)
        cap = min(request.max_tokens, endpoint.context - estimate_tokens(body) - MARGIN)
        if cap < min(request.max_tokens, LEAST_OUTPUT):
            message = f"the conversation leaves no room for a reply within {endpoint.context} tokens"
            raise ModelError("overflow", message, hint="shorten the conversation", billed=False)
        optional: Body = {
            "stream_options": {"include_usage": True},
            "thinking": dict(endpoint.thinking) if endpoint.thinking else None,
            "prompt_cache_key": endpoint.prompt_cache_key,
        }
        wanted = {name: value for name, value in optional.items() if value and name in known.optional}
        return body | {"stream": True, known.cap_field: cap} | wanted

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

        accumulator, strays = Accumulator(self._observe), list[str]()
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
        return reply

    def _broken(self, message: str, headers: Mapping[str, str]) -> ModelError:
        """A broken answer; replays are worth a try, and it may have been billed."""
        fault = replace(fault_from(None, "", headers, now=time.time()), type="broken answer", text=message)
        text = str(fault).replace(self.endpoint.key, "***") if self.endpoint.key else str(fault)
        return ModelError("transport", text, retryable=True)

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
        http = transport.http_client(self.endpoint)
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


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
