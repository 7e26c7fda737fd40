"""An engine behind TCP is talked to with the certificates that are named, and no others."""

import time
from contextlib import closing

import pytest

from sandbox import Change, Command, Limits
from sandbox.docker import DockerSandbox
from sandbox.engine import connect
from sandbox.hardening import harden
from sandbox.owner import Owner
from tests.sandbox.tls import Forwarder, certificates, free_port
from tests.sandbox.trees import DictTree

PATIENCE = 30.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Certificates of an engine and of one who may use it."""
    return certificates(tmp_path_factory.mktemp("tls") / "one")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Those of another engine."""
    return certificates(tmp_path_factory.mktemp("tls") / "two")


def through(url, directory=None):
    return {"DOCKER_HOST": url} | ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(directory)} if directory else {})


@pytest.mark.docker
def test_commands_run_on_an_engine_that_wants_certificates(made, image):
    with Forwarder(server=made / "server") as forwarder:
        client = connect(through(forwarder.url, made / "client"))
        sandbox = DockerSandbox(client, image, limits=Limits(), run_id="remote", owner=Owner.current())
        tree = DictTree((Change(path="big", data=bytes(3_000_000)),))
        with sandbox:
            ran = sandbox.execute(tree, Command(script="wc -c <big; seq 200000 | tail -c 60000")).result
            judged = sandbox.execute_fresh(tree, Command(script="exit 7"))
        client.close()

    assert (ran.exit_code, ran.output[:8], len(ran.output), judged.exit_code) == (0, b"3000000\n", 60_008, 7)
    assert forwarder.accepted > 2


@pytest.mark.docker
def test_to_close_a_stream_through_tls_is_the_end_of_a_containers_input(made, client, image):
    spec = harden(client.image(image), Limits(), run_id="remote", owner=Owner.current(), seconds=60)
    with (
        Forwarder(server=made / "server") as forwarder,
        closing(connect(through(forwarder.url, made / "client"))) as far,
    ):
        container = far.create(spec)
        try:
            stream = far.attach(container)
            far.start(container)
            stream.close()
            limit = time.monotonic() + PATIENCE
            while client.state(container).exit_code is None and time.monotonic() < limit:
                time.sleep(0.02)
            assert client.state(container).exit_code == 0
        finally:
            client.remove(container)


@pytest.mark.docker
def test_nothing_that_the_environment_says_of_the_web_is_about_the_engine(made, others, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(others / "ca.pem"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        Forwarder(server=made / "server") as forwarder,
        closing(connect(through(forwarder.url, made / "client"))) as client,
    ):
        assert client.version()
