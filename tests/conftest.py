"""What every test may rely on.

A private home, a fixed git identity, no network, and a visible reason when Docker or a browser is missing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.browser.chromium import find_chromium

REQUIRE_BROWSER = os.environ.get("REQUIRE_BROWSER") == "1"
REQUIRE_DOCKER = os.environ.get("REQUIRE_DOCKER") == "1"
INTERNET = {2, 10, 30}
"""Numbers of AF_INET and AF_INET6 on the systems in use; local sockets are free."""
HANDS_ON = "COVERAGE_PROCESS_CONFIG"
"""By this variable, processes that are started count what they cover."""
FOREIGN = ("GREENWARD_", "RUNAPI_", "OPENAI_", "XDG_", "GIT_")
"""Prefixes of variables of whoever runs the tests that must not reach them."""


class LeavesThisMachine(RuntimeError):
    """A test reached for the network."""


def _is_here(host):
    if host is None or host in ("", "localhost", b"localhost", os.uname().nodename):
        return True
    try:
        return ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _stay_here(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        connection, address = arguments
        if connection.family in INTERNET and not _is_here(address[0]):
            raise LeavesThisMachine(f"a test connects to {address[0]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not _is_here(arguments[0]):
        raise LeavesThisMachine(f"a test looks up {arguments[0]!r}")


# Below every library, and for the whole process: an audit hook can't be forgotten, patched or taken away.
sys.addaudithook(_stay_here)


def _engine_answers() -> bool:
    return (
        bool(shutil.which("docker"))
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )


def pytest_sessionstart(session):
    """Make the base image before the workers start, or each of them would make it in its own private home."""
    if hasattr(session.config, "workerinput") or not _engine_answers():
        return
    from sandbox.engine import connect
    from sandbox.images import base_image

    client = connect(os.environ)
    try:
        with tempfile.TemporaryDirectory() as directory:
            base_image(client, None, host=os.environ, cache=Path(directory), say=lambda line: print(line, flush=True))
    finally:
        client.close()


def pytest_collection_modifyitems(items):
    _need(items, "docker", _engine_answers, "no Docker engine answers", required=REQUIRE_DOCKER)
    _need(items, "browser", find_chromium, "there is no Chromium on the PATH", required=REQUIRE_BROWSER)


def _need(items, marker, is_there, reason, *, required):
    """Skip the tests with the marker, visibly, unless what they need is there; or fail, if it has to be."""
    marked = [item for item in items if item.get_closest_marker(marker)]
    if not marked or is_there():
        return
    if required:
        raise pytest.UsageError(f"REQUIRE_{marker.upper()}=1, but {reason}")
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with _untraced() if item.get_closest_marker("untraced") else nullcontext():
        return (yield)


@contextmanager
def _untraced() -> Iterator[None]:
    """Count nothing as covered, here and in processes that are started."""
    coverage = sys.modules.get("coverage")
    counting = coverage.Coverage.current() if coverage else None
    if counting is None:
        yield
        return
    handed_on = os.environ.pop(HANDS_ON, None)
    counting.stop()
    try:
        yield
    finally:
        with warnings.catch_warnings(action="ignore"):  # of modules that were imported meanwhile
            counting.start()
        if handed_on is not None:
            os.environ[HANDS_ON] = handed_on


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory, monkeypatch):
    """A home of its own for every test, with no user configuration in it and none in the environment."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    return home


@pytest.fixture
def lab(tmp_path):
    """Makes the kit's real parts over a repository of the given files; see `tests.lab`."""
    from tests.lab import Lab

    made = []

    def make(files=None, **options):
        made.append(Lab(tmp_path / str(len(made)), files or {}, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
