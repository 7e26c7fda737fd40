"""What the end-to-end tests share."""

import os

import pytest

from tests.e2e.harness import RED
from tests.e2e.recordings import recorded  # noqa: F401 - a fixture
from tests.gitrepo import repository


@pytest.fixture(scope="session")
def environments(tmp_path_factory):
    """Where local environments are kept, so that only the first test of all workers makes one."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "environments"


@pytest.fixture(autouse=True)
def shared_environments(private_home, environments, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(environments))


@pytest.fixture
def red(tmp_path):
    """A repository with two failing tests and one that passes."""
    return repository(tmp_path / "red", RED)
