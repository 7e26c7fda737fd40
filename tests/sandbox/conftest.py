import pytest


@pytest.fixture
def client():
    from sandbox.engine import connect

    made = connect({})
    yield made
    made.close()


@pytest.fixture
def image(client, tmp_path):
    from sandbox.images import base_image

    return base_image(client, None, host={}, cache=tmp_path, say=str).id
