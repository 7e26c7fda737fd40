"""One process for all tests that forks what is to be killed."""

import pytest

from tests.crash.runs import Zygote


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    with Zygote(tmp_path_factory.mktemp("zygote")) as made:
        yield made
