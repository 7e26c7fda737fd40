"""Both jobs on the hostile repository, once for each model; whatever they leave is looked at by all tests."""

import pytest

from tests.redteam.jobs import Jobs
from tests.redteam.scripts import FOR_MACHINES, HONEST, OBEYING


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """A model that does what it should, on GitHub."""
    return Jobs(room=tmp_path_factory.mktemp("honest"), kind="github").run(HONEST)


@pytest.fixture(scope="session")
def obeying(tmp_path_factory):
    """A model that does what strangers say, on GitLab."""
    return Jobs(room=tmp_path_factory.mktemp("obeying"), kind="gitlab", command="change").run(OBEYING)


@pytest.fixture(scope="session")
def for_machines(tmp_path_factory):
    """A model that writes what machines obey, and mends the tests besides; on GitHub."""
    return Jobs(room=tmp_path_factory.mktemp("machines"), kind="github").run(FOR_MACHINES)


@pytest.fixture(params=["honest", "obeying", "for_machines"])
def evidence(request):
    """What any of them left."""
    return request.getfixturevalue(request.param)
