"""A server on loopback that answers with exactly the bytes that a test gives it, and ways to write such bytes."""

import contextlib
import json
import socket
import threading
from dataclasses import replace

from agent.messages import Message
from agent.models import Request, ToolSpec
from agent.models.server import ScriptedServer


class TextServer(ScriptedServer):
    """May cease to take tools; the calls of its script are then said in text."""

    refuse_after = None
    """How many requests with tools are taken."""

    def answer(self, headers, text, **more):
        if "tools" in json.loads(text) and self.refuse_after is not None and len(self.requests) >= self.refuse_after:
            self.gateway = replace(self.gateway, refuse=("tools",))
        return super().answer(headers, text, **more)


class RawServer:
    """Answers the n-th connection with the n-th answer, bytes or a function of the connection; the last one repeats."""

    def __init__(self, *answers):
        self.requests = []
        self.answers = answers
        self.hung_up = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self._listener.getsockname()[1]

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self):
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                request = _read_request(connection)
                if not request:
                    continue
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if callable(answer):
                    answer(self, connection)
                else:
                    connection.sendall(answer)


def _read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def until_hangup(server, connection):
    """Wait for the client to hang up; what it has not read by then makes that a reset."""
    with contextlib.suppress(ConnectionError):
        connection.recv(1)
    server.hung_up.set()


def http(body, *, status="200 OK", kind="application/json", **headers):
    """A whole HTTP answer that ends with the connection."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *lines, "", ""])
    return head.encode() + body


def events(*data, done=True):
    """The body of a stream; data that is no text is written as JSON."""
    texts = [item if isinstance(item, str) else json.dumps(item) for item in data] + ["[DONE]"] * done
    return "".join(f"data: {text}\n\n" for text in texts)


def stream(*data, done=True, **headers):
    return http(events(*data, done=done), kind="text/event-stream", **headers)


def delta(finish_reason=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def call_delta(index=None, call_id=None, name=None, arguments=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    entry = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in entry.items() if value is not None}


WRITE_FILE = ToolSpec(
    name="write_file",
    description="Write a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
)
ASK = Request(
    messages=(Message(role="system", content="You write code."), Message(role="user", content="Write a.py.")),
    tools=(WRITE_FILE,),
)
