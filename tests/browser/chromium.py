"""A headless Chromium, spoken to over two pipes in its own protocol: JSON messages that end with NUL."""

import fcntl
import json
import os
import select
import shutil
import signal
import time
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Self

PATIENCE = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-sandbox",
)
"""It shows nothing but pages of our own, finds no host, and runs as whoever runs the tests, root included."""


def find_chromium() -> str | None:
    """The program, if there is one on the PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """A browser with one page. Close it, or use it as a context manager."""

    def __init__(self, program: str, profile: Path) -> None:
        (there, self._writes), (self._reads, back) = _pipe(), _pipe()
        null = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program,
            [program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"],
            {**os.environ, "HOME": str(profile), "XDG_CONFIG_HOME": str(profile), "XDG_CACHE_HOME": str(profile)},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, there, 3),
                (os.POSIX_SPAWN_DUP2, back, 4),
            ],
            setsid=True,
        )
        for descriptor in (there, back, null):
            os.close(descriptor)
        self._buffer = b""
        self._last = 0
        self.events: list[dict] = []
        """What the page reported: requests, messages of the console, errors."""
        self._session = ""
        try:
            pages = [t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page"]
            self._session = self("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __call__(self, method: str, **parameters: object) -> dict:
        """The result of a call of the protocol; events that come meanwhile are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writes, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, page: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Show a file, and wait until it is loaded; what was reported before is forgotten."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> object:
        """The value of an expression in the page."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"].get("value")

    def reported(self, *methods: str) -> list[dict]:
        """The parameters of the events of these kinds since the page was opened."""
        self.evaluate("1")
        return [event["params"] for event in self.events if event.get("method") in methods]

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write what is shown as PNG; `whole`: down to the end of the page."""
        path.write_bytes(b64decode(self("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def close(self) -> None:
        """End the browser with all of its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        for descriptor in (self._writes, self._reads):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _next(self) -> dict:
        """The next message."""
        limit = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reads], [], [], max(0.0, limit - time.monotonic()))
            data = os.read(self._reads, 1 << 20) if ready else b""
            if not data:
                raise AssertionError("Chromium ended" if ready else "Chromium does not answer")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not among the descriptors that the browser is given."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved
