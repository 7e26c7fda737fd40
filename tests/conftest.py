"""What every test may rely on: a private home, a fixed git identity, and a visible reason when Docker is missing."""

import os
import shutil
import subprocess

import pytest

REQUIRE_DOCKER = os.environ.get("REQUIRE_DOCKER") == "1"


def _engine_answers() -> bool:
    return (
        bool(shutil.which("docker"))
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )


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
    """A home of its own for every test, with no user configuration in it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    return home
