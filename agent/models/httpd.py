"""Puts answers on the wire: HTTP on loopback, with connections that break, stall and dawdle as an answer says."""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from agent.models.reply import ScriptedReply

__all__ = ["JSON_TYPE", "Answer", "Answering", "HttpServer", "retry_headers"]

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes out: a status, headers and a body in pieces."""

    status: int = 200
    kind: str = JSON_TYPE
    headers: Sequence[tuple[str, str]] = ()
    pieces: Sequence[bytes] = ()
    reply: ScriptedReply = field(default_factory=ScriptedReply)
    """How it goes out: the delays and breaks of it."""


class Answering(Protocol):
    """What answers requests."""

    stopping: threading.Event
    """Set when the server is to end: nothing may wait any longer."""

    answered: list[float]
    """When each answer to a request for a completion was out, by the monotonic clock."""

    def answer(self, headers: Mapping[str, str], text: bytes, *, at: float) -> Answer:
        """Answer a request for a completion that came in `at` this time; names of headers are in lower case."""
        ...

    def models(self, headers: Mapping[str, str]) -> Answer:
        """Answer a request for the list of models."""
        ...

    def nowhere(self, path: str) -> Answer:
        """Answer a request for anything else."""
        ...


class HttpServer(ThreadingHTTPServer):
    """Serves `answering` from 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answering: Answering) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answering = answering


def retry_headers(reply: ScriptedReply, *, now: float) -> list[tuple[str, str]]:
    """How a client is asked to wait; `now` is the time of day, in seconds since the epoch."""
    wait = reply.retry_after
    if wait is None:
        return []
    if reply.retry_after_form == "milliseconds":
        return [("retry-after-ms", f"{wait * 1000:.0f}")]
    if reply.retry_after_form == "date":
        return [("Retry-After", formatdate(now + wait, usegmt=True))]
    return [("Retry-After", f"{wait:g}")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def handle_one_request(self) -> None:
        """Serve a request; a client that hangs up between two has nothing to be told."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        answering = self.server.answering
        listed = self.path.split("?")[0] == "/v1/models"
        self._send(answering.models(self._headers()) if listed else answering.nowhere(self.path))

    def do_POST(self) -> None:
        at = time.monotonic()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answering = self.server.answering
        if self.path != "/v1/chat/completions":
            self._send(answering.nowhere(self.path))
            return
        self._send(answering.answer(self._headers(), body, at=at))
        answering.answered.append(time.monotonic())

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
        self._wait(reply.delay)
        if reply.hang_up is not None:
            self._hang_up(reset=reply.hang_up == "reset")
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.kind, **dict(answer.headers)}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._write_body(answer)

    def _write_body(self, answer: Answer) -> None:
        reply, middle = answer.reply, len(answer.pieces) // 2
        left = reply.cut_after
        if reply.cut is not None:
            left = int(reply.cut * sum(map(len, answer.pieces)))
        for number, piece in enumerate(answer.pieces):
            if number == middle:
                self._wait(reply.gap)
                if reply.stall:
                    self._wait_for_hangup()
                    return
            part = piece if left is None else piece[:left]
            self._write_chunk(part)
            self._wait(reply.pace)
            if left is not None:
                left -= len(part)
                if left == 0:
                    self.close_connection = True
                    return
        self.wfile.write(b"0\r\n\r\n")

    def _write_chunk(self, part: bytes) -> None:
        if part:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()

    def _wait(self, seconds: float) -> None:
        if seconds:
            self.server.answering.stopping.wait(seconds)

    def _hang_up(self, *, reset: bool) -> None:
        """End the connection; a reset takes back what is on its way, too."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # closed by itself, it would be shut down in good order before

    def _wait_for_hangup(self) -> None:
        """Return once the client has gone away, or the server is to stop."""
        self.close_connection = True
        while not self.server.answering.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable:
                return
