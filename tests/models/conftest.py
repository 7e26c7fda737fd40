"""What the tests of the client share."""

import contextlib

import pytest

from agent.models.openai import Endpoint, OpenAIModel
from tests.models.fakes import RawServer


@pytest.fixture
def raw():
    """A function that starts a raw server with answers, and gives the server and a model that talks to it."""
    with contextlib.ExitStack() as stack:

        def start(*answers, **settings):
            server = RawServer(*answers)
            stack.callback(server.close)
            settings = {"base_url": server.base_url, "model": "kimi-k2.6", "key": "sk-secret", "idle": 5.0} | settings
            return server, stack.enter_context(OpenAIModel(Endpoint(**settings)))

        yield start
