"""What every test may rely on.

A private home, a fixed git identity, no network, and a visible reason when Docker is missing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

import pytest

REQUIRE_DOCKER = os.environ.get("REQUIRE_DOCKER") == "1"
INTERNET = {2, 10, 30}
"""Numbers of AF_INET and AF_INET6 on the systems in use; local sockets are free."""
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
    marked = [item for item in items if item.get_closest_marker("docker")]
    if not marked or _engine_answers():
        return
    if REQUIRE_DOCKER:
        raise pytest.UsageError("REQUIRE_DOCKER=1, but no Docker engine answers")
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))


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
