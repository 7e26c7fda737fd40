"""An engine behind TCP is waited for, and talked to with the certificates that are named; else the error says why."""

import shutil
import threading
import time
from contextlib import closing

import pytest

from sandbox import Change, Command, Limits, SandboxUnavailable
from sandbox.arrival import await_engine
from sandbox.docker import DockerSandbox
from sandbox.engine import connect
from sandbox.engines import open_engine
from sandbox.hardening import harden
from sandbox.owner import Owner
from sandbox.patience import Patience
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
def test_an_engine_that_comes_up_after_the_job_is_waited_for(made, tmp_path):
    port, came = free_port(), []

    def come_up():
        time.sleep(0.7)
        came.append(Forwarder(port, made / "server"))

    late = threading.Thread(target=come_up)
    late.start()
    host = through(f"tcp://localhost:{port}", made / "client") | {"XDG_CACHE_HOME": str(tmp_path)}
    try:
        with open_engine("docker", host):
            pass
    finally:
        late.join()
        came[0].close()
    assert came[0].accepted > 1


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


def test_an_engine_that_never_comes_up_is_told_with_what_to_look_at():
    host = through(f"tcp://127.0.0.1:{free_port()}")
    await_engine(host, Patience(arrival=0.3))
    with pytest.raises(SandboxUnavailable, match=r"cannot reach the Docker engine: .*refused") as caught:
        connect(host)
    assert "read the log of the engine's service" in caught.value.hint


def test_an_engine_of_this_machine_is_not_waited_for(tmp_path):
    for host in (
        {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"},
        {"DOCKER_HOST": "docker:2376"},
        {"DOCKER_CONTEXT": "x"},
    ):
        await_engine(host, Patience(arrival=10_000.0))


@pytest.fixture
def directory(made, others, tmp_path, request):
    """Certificates that are not those of the engine, in some way."""
    place = tmp_path / "certificates"
    shutil.copytree(made / "client", place)
    match request.param:
        case "none":
            shutil.rmtree(place)
        case "no ca.pem":
            (place / "ca.pem").unlink()
        case "only ca.pem":
            (place / "cert.pem").unlink()
            (place / "key.pem").unlink()
        case "another engine's ca.pem":
            shutil.copy(others / "client" / "ca.pem", place)
        case "another engine's client":
            for name in ("cert.pem", "key.pem"):
                shutil.copy(others / "client" / name, place)
        case "another's key":
            shutil.copy(others / "client" / "key.pem", place)
        case "no certificates":
            for each in place.iterdir():
                each.write_text("something else")
    return place


@pytest.mark.parametrize(
    ("directory", "advice"),
    [
        ("none", "ca.pem, cert.pem, key.pem are not in {}: DOCKER_CERT_PATH names"),
        ("no ca.pem", "ca.pem is not in {}: DOCKER_CERT_PATH names"),
        ("only ca.pem", "cert.pem, key.pem are not in {}: DOCKER_CERT_PATH names"),
        ("another engine's ca.pem", "is not one for that name by {}/ca.pem"),
        ("another engine's client", "{} has to hold the ca.pem of this very engine"),
        ("another's key", "{} has to hold the ca.pem of this very engine"),
        ("no certificates", "{} has to hold the ca.pem of this very engine"),
    ],
    indirect=["directory"],
)
def test_certificates_that_do_not_fit_are_told_with_what_to_do(made, directory, advice):
    with Forwarder(server=made / "server") as forwarder, pytest.raises(SandboxUnavailable) as caught:
        connect(through(forwarder.url, directory))
    assert advice.format(directory) in caught.value.hint
    assert "Max retries" not in caught.value.message


def test_a_name_that_is_not_the_engines_is_told(made):
    with Forwarder(server=made / "server") as forwarder, pytest.raises(SandboxUnavailable) as caught:
        connect(through(forwarder.url.replace("localhost", "127.0.0.2"), made / "client"))
    assert caught.value.hint


@pytest.mark.docker
def test_an_engine_in_the_clear_is_talked_to_as_such():
    with Forwarder() as plain, closing(connect(through(plain.url))) as client:
        assert client.version()


@pytest.mark.docker
def test_tls_on_one_side_alone_is_told(made):
    with Forwarder() as plain, pytest.raises(SandboxUnavailable) as caught:
        connect(through(plain.url, made / "client"))
    assert "it does not speak TLS" in caught.value.hint


def test_an_address_without_a_scheme_is_told():
    with pytest.raises(SandboxUnavailable) as caught:
        connect({"DOCKER_HOST": "docker:2376"})
    assert "DOCKER_HOST is like tcp://docker:2376" in caught.value.hint
