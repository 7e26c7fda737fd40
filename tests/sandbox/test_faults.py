"""Engines that are not there, go away or are slow, and containers that die: errors of their own, never results."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox import Change, Command, EngineGone, Limits, SandboxLost, SandboxUnavailable
from sandbox.container import Container
from sandbox.docker import DockerSandbox
from sandbox.engine import connect
from sandbox.hardening import harden
from sandbox.owner import Owner
from sandbox.patience import Patience
from tests.sandbox.proxy import ENGINE, TO, Fault, Proxy
from tests.sandbox.trees import DictTree

TREE = DictTree([Change(path="a", data=b"1")])
ROOT = Path(__file__).parents[2]


@pytest.fixture
def proxy(tmp_path):
    with Proxy(tmp_path / "engine.sock") as made:
        yield made


def opened(client, image, run_id="faults", limits=None):
    return DockerSandbox(client, image, limits=limits or Limits(), run_id=run_id, owner=Owner.current())


def once_it_sleeps(run_id, action):
    """Calls `action` with the ids of a run's containers as soon as a command in one of them sleeps."""

    def wait():
        other = connect({})
        for _ in range(600):
            ids = [each.id for each in containers_of(other, run_id)]
            tops = [subprocess.run(["docker", "top", each], capture_output=True, check=False).stdout for each in ids]
            if any(b"sleep 30" in top for top in tops):
                action(other, ids)
                break
            time.sleep(0.05)
        other.close()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def containers_of(client, run_id):
    return client.containers(f"greenward.run={run_id}")


@pytest.mark.docker
@pytest.mark.parametrize("method", ["execute", "execute_fresh"])
def test_a_container_killed_from_outside_is_lost_and_not_a_result(client, image, method):
    with opened(client, image, f"killed-{method}") as sandbox:
        thread = once_it_sleeps(f"killed-{method}", lambda other, ids: [other.kill(each) for each in ids])
        with pytest.raises(SandboxLost, match="137"):
            getattr(sandbox, method)(TREE, Command(script="echo begun; sleep 30", timeout=40))
        thread.join()
        assert sandbox.execute(TREE, Command(script="cat a")).result.output == b"1"
    assert containers_of(client, f"killed-{method}") == ()


FORGERY = r"""
import hashlib, os, re, sys
launcher = os.getppid()
with open(f"/proc/{launcher}/status") as status:
    assert "Name:\tsh" in status.read()
with open(f"/proc/{launcher}/maps") as maps:
    spans = [line.split()[0].split("-") for line in maps if "heap" in line or "stack" in line]
with open(f"/proc/{launcher}/mem", "rb") as memory:
    found = b""
    for start, end in spans:
        memory.seek(int(start, 16))
        found += memory.read(int(end, 16) - int(start, 16))
mark = re.findall(rb"mark=([0-9a-f]{32})", found)[-1]
half = re.findall(rb"half=([0-9]+)", found)[-1]
said = b"0 0 0 1 " + hashlib.sha1(b"all is well\n").hexdigest().encode()
with open(f"/proc/{launcher}/fd/5", "wb") as output:
    output.write(b"all is well\n" + mark)
with open(f"/proc/{launcher}/fd/1", "wb") as replies:
    replies.write(b"\n%b %b = run %b = %b\n" % (mark, said, half, said))
sys.exit(1)
"""


@pytest.mark.docker
def test_a_forged_exit_code_is_contradicted_by_the_container(client, image):
    """Be it by another exit code, or because the launcher, which was spoken over, does not end."""
    command = Command(script=f"exec python3 -c '{FORGERY}'", timeout=60)
    with (
        opened(client, image) as sandbox,
        pytest.raises(SandboxLost, match=r"ended with 0, but its container with (1|137|None)$"),
    ):
        sandbox.execute_fresh(TREE, command)


@pytest.mark.docker
def test_a_container_removed_from_outside_is_lost(client, image):
    with opened(client, image, "removed") as sandbox:
        thread = once_it_sleeps("removed", lambda other, ids: [other.remove(each) for each in ids])
        with pytest.raises(SandboxLost):
            sandbox.execute(TREE, Command(script="sleep 30", timeout=40))
        thread.join()


@pytest.mark.docker
def test_a_container_that_died_between_two_commands_is_rebuilt(client, image):
    with opened(client, image, "died") as sandbox:
        sandbox.execute(TREE, Command(script="true"))
        for each in containers_of(client, "died"):
            client.kill(each.id)
        assert sandbox.execute(TREE, Command(script="cat a")).result.output == b"1"


@pytest.mark.docker
def test_a_cut_connection_loses_the_command_and_stops_its_container(proxy, client, image):
    behind = connect(proxy.host)
    with opened(behind, image, "cut") as sandbox:
        thread = once_it_sleeps("cut", lambda other, ids: proxy.cut())
        with pytest.raises(SandboxLost):
            sandbox.execute(TREE, Command(script="echo begun; sleep 30", timeout=40))
        thread.join()
        assert sandbox.execute(TREE, Command(script="cat a")).result.output == b"1"
    behind.close()
    assert containers_of(client, "cut") == ()


@pytest.mark.docker
def test_an_engine_that_does_not_answer_is_given_up_on(proxy, image):
    client = connect(proxy.host, Patience(prompt=1.0))
    proxy.arm(Fault(where=TO, at=0, what="swallow"))
    with pytest.raises(EngineGone, match="cannot look at the image"):
        client.image(image)
    client.close()


@pytest.mark.docker
def test_silence_is_not_taken_for_a_cut_connection(image):
    client = connect({}, Patience(prompt=1.0, creation=2.0, transfer=2.0, stop=0.5, end=2.0))
    with opened(client, image) as sandbox:
        result = sandbox.execute(TREE, Command(script="sleep 3; echo late", timeout=30)).result
    client.close()
    assert result.output == b"late\n"


@pytest.mark.docker
def test_a_container_ends_by_itself_after_its_time(client, image):
    spec = harden(client.image(image), Limits(), run_id="ttl", owner=Owner.current(), seconds=1)
    with Container.start(client, spec) as container:
        state = container.end()
    assert (state.status, state.exit_code) == ("exited", 137)


@pytest.mark.docker
def test_an_image_that_is_not_there_is_unavailable(client):
    with opened(client, "sha256:" + "0" * 64) as sandbox, pytest.raises(SandboxUnavailable, match="is gone"):
        sandbox.execute(TREE, Command(script="true"))


def test_an_engine_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(SandboxUnavailable, match="cannot reach the Docker engine") as caught:
        connect({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert "docker info" in caught.value.hint


def test_an_unknown_context_is_refused(tmp_path):
    with pytest.raises(SandboxUnavailable, match="`nonesuch` does not exist"):
        connect({"DOCKER_CONTEXT": "nonesuch", "HOME": str(tmp_path)})


def test_a_broken_configuration_is_refused(tmp_path):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    with pytest.raises(SandboxUnavailable, match="cannot read Docker's configuration"):
        connect({"HOME": str(tmp_path)})


def test_an_engine_behind_ssh_is_refused_with_the_way_round():
    with pytest.raises(SandboxUnavailable) as caught:
        connect({"DOCKER_HOST": "ssh://builder"})
    assert "ssh -N -L" in caught.value.hint


@pytest.mark.docker
def test_a_context_is_followed(tmp_path):
    name = "elsewhere"
    import hashlib

    meta = tmp_path / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": f"unix://{ENGINE}"}}}))
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))
    client = connect({"HOME": str(tmp_path)})
    assert client.endpoint.url == f"unix://{ENGINE}"
    assert client.version()
    client.close()


def test_nothing_of_the_docker_sdk_is_imported_before_it_is_used():
    code = "import sys, sandbox, sandbox.engine, sandbox.docker, sandbox.local; assert 'docker' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_the_engines_way_into_file_systems_is_used_nowhere():
    words = ("put" + "_archive", "get" + "_archive", "docker" + " cp")
    sources = [path for room in ("agent", "sandbox") for path in (ROOT / room).rglob("*") if path.is_file()]
    found = [path for path in sources if any(word.encode() in path.read_bytes() for word in words)]
    assert (len(sources) > 10, found) == (True, [])


def test_the_docker_sdk_is_imported_in_one_file():
    importing = [
        path.name
        for room in ("agent", "sandbox")
        for path in (ROOT / room).rglob("*.py")
        if any(line.strip().startswith(("import docker", "from docker")) for line in path.read_text().splitlines())
    ]
    assert importing == ["engine.py"]
