"""Nothing of the host is in the container, and nothing secret in what a run keeps and sends."""

import json
import subprocess

import pytest

from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import KEY, RIGHT, ROOT, ended, entries, lines_written, plan, start, variables, wait_for, writes

CANARY = "canary-4b1d9f7a2c"
LOOK = """\
env; echo; cat /proc/1/environ | tr '\\0' '\\n'; echo; cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; echo
mount; cat /proc/self/mountinfo; ls -la / /root /home /mnt /tmp /run /var/run; id; cat /proc/self/status | grep Cap
git status; ls -a; (echo >/dev/tcp/127.0.0.1/22) 2>&1; cat /etc/resolv.conf; ls /sys/class/net
"""


@pytest.mark.docker
def test_a_command_of_the_model_sees_nothing_of_the_host(red):
    script = Script(
        replies=(
            plan(),
            say("Where am I?", call("run_command", command=LOOK), expect=("The plan is accepted",)),
            writes("It has to add.", RIGHT, expect=("Exit code", "uid=", "CapEff:\t0000000000000000")),
        )
    )
    (red.parent / "canary-file").write_text(CANARY)
    (red / ".env").write_text(f"SECRET={CANARY}\n")
    with ScriptedServer(script, key=KEY) as server:
        process = start("fix", red, environment=variables(server, HOST_SECRET=CANARY, AWS_SECRET_ACCESS_KEY=CANARY))
        wait_for(lambda: lines_written(red) > 0, process)
        run_id = entries(red)[0].event.run_id
        wait_for(lambda: containers(run_id), process)
        inspected = docker("inspect", *containers(run_id))
        ran = ended(process)
        assert ran.code == 0, ran.said
        sent = [json.dumps(request.body) for request in server.requests]
        headers = [
            json.dumps({name: value for name, value in request.headers.items() if name != "authorization"})
            for request in server.requests
        ]
        assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    kept = [path.read_text() for path in (red / ".git" / "greenward").rglob("*") if path.is_file()]
    assert any("GREENWARD_OUT=" in text for text in kept), "the command's output is not there to be looked at"
    for text in (*sent, *headers, *kept, inspected, ran.out, ran.err):
        assert KEY not in text
        assert CANARY not in text
    looked = "\n".join(sent)
    assert str(ROOT) not in looked
    assert str(red) not in looked
    assert "docker.sock" not in looked + inspected
    assert "not a git repository" in looked
    (container,) = json.loads(inspected)[:1]
    assert container["Mounts"] == []
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert not container["HostConfig"]["Privileged"]


def containers(run_id):
    return docker("ps", "--quiet", "--filter", f"label=greenward.run={run_id}").split()


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout
