"""A repository for each test, and workspaces that are closed after it."""

import os

import pytest

from agent.workspace import Workspace
from tests.gitrepo import repository


@pytest.fixture
def root(tmp_path):
    return repository(tmp_path / "project")


@pytest.fixture
def opened():
    """Opens workspaces under the test's environment, and closes them."""
    kept = []

    def open_(path, **options):
        kept.append(Workspace.open(path, environment=dict(os.environ), **options))
        return kept[-1]

    yield open_
    for workspace in kept:
        workspace.close()
