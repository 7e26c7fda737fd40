import os

import pytest

IMAGE = os.environ.get("GREENWARD_TEST_IMAGE", "greenward-base:dev")


@pytest.fixture
def client():
    from sandbox.engine import connect

    made = connect({})
    yield made
    made.close()


@pytest.fixture
def image(client):
    found = client.image(IMAGE)
    if found is None:
        pytest.fail(f"the engine has no image `{IMAGE}`: name one in GREENWARD_TEST_IMAGE")
    return found.id
