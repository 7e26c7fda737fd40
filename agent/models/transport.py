"""The HTTP client under the SDK: what leaves, how long an answer may take, and why a connection failed.

Imported on first use only, since the HTTP library takes a while to load.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from socket import SHUT_RDWR
from threading import Timer
from typing import cast

import httpx2

from agent.errors import UsageProblem
from agent.models import ModelError
from agent.models.endpoint import Endpoint
from agent.models.faults import excerpt

__all__ = ["TRANSPORT_ERRORS", "http_client", "unreachable", "until_finished"]

TRANSPORT_ERRORS = (httpx2.HTTPError, httpx2.StreamError, UnicodeError)
MOST_BYTES = 64 * 1024 * 1024
_DEADLINE = "greenward.deadline"
_PASSED_ON = frozenset({"connection", "content-length", "x-client-request-id"})


def http_client(endpoint: Endpoint, seconds: Callable[[], float] = lambda: math.inf) -> httpx2.Client:
    """A client that talks to `endpoint` alone: it follows no redirect and sends no header but the few needed.

    `seconds` says of each call how long it may take at most.

    Raises:
        UsageProblem: a proxy or certificate variable of the operator's cannot be used.
    """
    read = min(endpoint.idle, endpoint.total)
    try:
        return httpx2.Client(
            timeout=httpx2.Timeout(connect=min(15.0, read), read=read, write=60.0, pool=15.0),
            follow_redirects=False,
            trust_env=endpoint.trust_env and not endpoint.loopback,
            verify=endpoint.encrypted,  # without TLS there is nothing to verify, and certificates take long to load
            event_hooks={"request": [_gate(endpoint, seconds)], "response": [_guard]},
        )
    except (ImportError, ValueError, OSError) as error:
        hint = "check the proxy variables, SSL_CERT_FILE and SSL_CERT_DIR"
        raise UsageProblem(f"no connection can be made: {excerpt(str(error))}", hint=hint) from None


def until_finished(events: Iterable[str], finished: Callable[[], bool]) -> Iterator[str]:
    """Yield `events`; a connection that breaks once the reply is `finished` takes nothing away."""
    try:
        yield from events
    except TRANSPORT_ERRORS:
        if not finished():
            raise


def unreachable(error: Exception, endpoint: Endpoint) -> ModelError:
    """The error for a connection that failed, with its innermost reason: the SDK only says that it failed."""
    reasons = _reasons(error)
    said = next((excerpt(str(reason)) for reason in reversed(reasons) if str(reason)), "")
    kind = next((reason for reason in reasons if isinstance(reason, TRANSPORT_ERRORS)), error)
    message = f"{endpoint.base_url}: {type(kind).__name__}: {said}"
    if endpoint.key:
        message = message.replace(endpoint.key, "***")
    if any(type(reason).__name__ == "SSLCertVerificationError" for reason in reasons):
        hint = "install `ca-certificates`, or point SSL_CERT_FILE to the certificates of your proxy"
        return ModelError("transport", f"TLS: {message}", hint=hint, billed=False)
    unsent = isinstance(kind, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError))
    hint = "check the network, the proxy settings and the base URL"
    return ModelError("transport", message, hint=hint, retryable=True, billed=not unsent)


def _reasons(error: BaseException) -> list[BaseException]:
    """The error and what led to it, outermost first; a bad status that was being read is no reason."""
    reasons = [error]
    while (inner := reasons[-1].__cause__ or reasons[-1].__context__) is not None and len(reasons) < 8:
        if isinstance(inner, httpx2.HTTPStatusError):
            break
        reasons.append(inner)
    return reasons


def _gate(endpoint: Endpoint, seconds: Callable[[], float]) -> Callable[[httpx2.Request], None]:
    """The last look at a request: only headers that it needs, whatever the SDK took from its environment."""

    def admit(request: httpx2.Request) -> None:
        for name in set(request.headers) - _PASSED_ON:
            del request.headers[name]
        request.headers["Host"] = request.url.netloc.decode("ascii")
        request.headers["Accept"] = "text/event-stream, application/json"
        request.headers["Accept-Encoding"] = "identity"
        request.headers["User-Agent"] = "greenward"
        if request.method == "POST":
            request.headers["Content-Type"] = "application/json"
        if endpoint.key:
            request.headers["Authorization"] = f"Bearer {endpoint.key}"
        allowed = min(endpoint.total, seconds())
        waits = {name: min(wait, allowed) for name, wait in request.extensions["timeout"].items()}
        request.extensions = {**request.extensions, "timeout": waits, _DEADLINE: time.monotonic() + allowed}

    return admit


class _Bounded(httpx2.SyncByteStream):
    """A body with an end in time and size, of good and bad answers alike: the read timeout bounds only each read."""

    def __init__(self, response: httpx2.Response) -> None:
        self._inner = cast("httpx2.SyncByteStream", response.stream)
        self._request = response.request
        self._deadline: float = response.request.extensions[_DEADLINE]
        self._alarm = Timer(max(0.0, self._deadline - time.monotonic()), _hang_up, [response])
        self._alarm.daemon = True
        self._alarm.start()

    def __iter__(self) -> Iterator[bytes]:
        taken = 0
        try:
            for chunk in self._inner:
                taken += len(chunk)
                if taken > MOST_BYTES:
                    raise httpx2.ReadError(f"the answer is larger than {MOST_BYTES} bytes", request=self._request)
                if self._late:
                    break
                yield chunk
        except TRANSPORT_ERRORS:
            if not self._late:
                raise
        if self._late:
            raise httpx2.ReadTimeout("the call took longer than its deadline", request=self._request)

    @property
    def _late(self) -> bool:
        return time.monotonic() >= self._deadline

    def close(self) -> None:
        self._alarm.cancel()
        self._inner.close()


def _hang_up(response: httpx2.Response) -> None:
    """End the read under way: of a body whose next byte does not come, its own timeout begins with the last one."""
    connection = response.extensions["network_stream"].get_extra_info("socket")
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)


def _guard(response: httpx2.Response) -> None:
    response.stream = _Bounded(response)
