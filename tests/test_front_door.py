"""The scripts behind `make`: what they do on a machine that lacks something, and what they keep."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "scripts" / "engine"
BROWSER = ROOT / "scripts" / "browser"
SETUP = ROOT / "scripts" / "setup"


@pytest.fixture
def machine(tmp_path):
    """A machine whose PATH holds the basic tools and what a test plants: nothing real can be installed or started."""
    return Machine(tmp_path)


class Machine:
    TOOLS = (
        "bash",
        "cat",
        "cksum",
        "cmp",
        "dirname",
        "env",
        "flock",
        "mkdir",
        "nohup",
        "rm",
        "setsid",
        "sleep",
        "tail",
        "timeout",
        "touch",
    )

    def __init__(self, root):
        self.root = root
        self.bin = root / "bin"
        self.proc = root / "proc"
        self.log = root / "log"
        self.log.touch()
        self.bin.mkdir()
        (self.proc / "self" / "ns").mkdir(parents=True)
        (self.proc / "self" / "ns" / "net").touch()
        for tool in self.TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def plant(self, name, script):
        """Put a program on the PATH that notes its call and runs `script`."""
        program = self.bin / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.log}\ncd {self.root}\n{script}\n')
        program.chmod(0o755)

    def root_on_debian(self):
        self.plant("id", "echo 0")
        self.plant("apt-get", "")
        self.plant("mmdebstrap", "")

    def dockerd_of(self, pid, network=None):
        """Let the process list hold a dockerd with the id `pid`; by default in the network of this machine."""
        (self.proc / str(pid) / "ns").mkdir(parents=True)
        (self.proc / str(pid) / "comm").write_text("dockerd\n")
        (self.proc / str(pid) / "ns" / "net").symlink_to(network or self.proc / "self" / "ns" / "net")

    def run(self, *command, **environ):
        environ = {
            "PATH": str(self.bin),
            "HOME": str(self.root),
            "GREENWARD_ENGINE_DIR": str(self.root / "state"),
            "GREENWARD_ENGINE_SECONDS": "20",
            "GREENWARD_PROC": str(self.proc),
            **environ,
        }
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)

    @property
    def calls(self):
        return self.log.read_text().splitlines()


@pytest.fixture
def started(machine):
    """A machine on which `scripts/engine` may start a dockerd of ours, which is ended afterwards."""
    machine.root_on_debian()
    machine.plant("docker", "test -e up")
    machine.plant("dockerd", "echo hello; touch up; exec -a dockerd sleep 600")
    yield machine
    pid = machine.root / "state" / "dockerd.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_an_engine_that_answers_is_left_alone(machine):
    machine.root_on_debian()
    machine.plant("docker", "")
    done = machine.run(ENGINE)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls == ["docker info", "id -u"]


def test_without_an_engine_and_without_root_it_says_what_to_install(machine):
    machine.plant("id", "echo 1000")
    machine.plant("apt-get", "")
    machine.plant("docker", "exit 1")
    done = machine.run(ENGINE)
    assert done.returncode == 4
    assert "no Docker engine answers\n\nhint: install Docker" in done.stderr
    assert not any(call.startswith("apt-get") for call in machine.calls)


def test_an_engine_named_by_the_user_is_not_replaced_by_another(machine):
    machine.root_on_debian()
    machine.plant("docker", "exit 1")
    machine.plant("dockerd", "touch started")
    done = machine.run(ENGINE, DOCKER_HOST="tcp://192.0.2.1:2375")
    assert done.returncode == 4
    assert "DOCKER_HOST=tcp://192.0.2.1:2375" in done.stderr
    assert not (machine.root / "started").exists()


def test_a_client_alone_is_no_engine(machine):
    machine.root_on_debian()
    machine.plant("docker", "test -e up")
    installed = (
        f"printf '#!/bin/bash\\ntouch {machine.root}/up; exec sleep 600' >bin/dockerd; /bin/chmod +x bin/dockerd"
    )
    machine.plant("apt-get", f'case "$*" in *docker.io*) {installed};; esac')
    done = machine.run(ENGINE)
    os.kill(int((machine.root / "state" / "dockerd.pid").read_text()), signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    assert "installing docker.io iptables ca-certificates (apt-get)" in done.stderr
    assert [call for call in machine.calls if call.startswith("apt-get")] == [
        "apt-get -qq -y update",
        "apt-get -qq -y install --no-install-recommends docker.io iptables ca-certificates",
    ]


def test_a_failed_installation_is_told(machine):
    machine.root_on_debian()
    machine.plant("docker", "exit 1")
    machine.plant("apt-get", "echo 'no such package' >&2; exit 100")
    done = machine.run(ENGINE)
    assert done.returncode == 4
    assert "no such package" in done.stderr
    assert "could not be installed" in done.stderr


def test_an_engine_is_started_once_and_left_running(started):
    done = started.run(ENGINE)
    assert done.returncode == 0, done.stderr
    assert "`make engine-stop` ends it" in done.stderr
    assert (started.root / "state" / "dockerd.log").read_text() == "hello\n"
    assert started.run(ENGINE).stderr == ""
    assert [call for call in started.calls if call.startswith("dockerd")] == ["dockerd "]


def test_two_calls_at_once_start_one_engine(started):
    started.plant("dockerd", "sleep 0.5; touch up; exec -a dockerd sleep 600")
    environ = {
        "PATH": str(started.bin),
        "HOME": str(started.root),
        "GREENWARD_ENGINE_DIR": str(started.root / "state"),
        "GREENWARD_PROC": str(started.proc),
    }
    calls = [subprocess.Popen([ENGINE], env=environ, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [call.wait(timeout=60) for call in calls] == [0, 0, 0]
    assert [call for call in started.calls if call.startswith("dockerd")] == ["dockerd "]


def test_no_second_engine_is_started_beside_one_that_does_not_answer(started):
    started.dockerd_of(os.getpid())
    done = started.run(ENGINE, GREENWARD_ENGINE_SECONDS="1")
    assert done.returncode == 4
    assert f"dockerd (process {os.getpid()}) does not answer" in done.stderr
    assert "dockerd " not in started.calls


def test_an_engine_inside_a_container_is_not_taken_for_ours(started):
    elsewhere = started.root / "elsewhere"
    elsewhere.touch()
    started.dockerd_of(os.getpid(), network=elsewhere)
    assert started.run(ENGINE).returncode == 0
    assert "dockerd " in started.calls


def test_an_engine_that_ends_at_once_shows_the_end_of_its_log(started):
    started.plant("dockerd", "echo 'failed to start: no bridge'; exit 1")
    done = started.run(ENGINE)
    (started.root / "state" / "dockerd.pid").unlink()
    assert done.returncode == 4
    assert "failed to start: no bridge" in done.stderr


def test_stop_ends_the_engine_that_was_started(machine):
    """The process list is the real one here: it must hold a process that is called dockerd."""
    machine.root_on_debian()
    (machine.root / "state").mkdir()
    shutil.copy(shutil.which("sleep"), machine.bin / "dockerd")
    ours = subprocess.Popen([machine.bin / "dockerd", "600"])
    deadline = time.monotonic() + 20
    while Path(f"/proc/{ours.pid}/comm").read_text() != "dockerd\n" and time.monotonic() < deadline:
        time.sleep(0.01)
    (machine.root / "state" / "dockerd.pid").write_text(f"{ours.pid}\n")
    with subprocess.Popen(
        [ENGINE, "stop"], env={"PATH": str(machine.bin), "GREENWARD_ENGINE_DIR": str(machine.root / "state")}
    ) as stop:
        assert ours.wait(timeout=20) == -signal.SIGTERM
    assert stop.returncode == 0


def test_stop_ends_no_process_that_took_over_the_number(machine):
    (machine.root / "state").mkdir()
    with subprocess.Popen(["sleep", "600"]) as other:
        (machine.root / "state" / "dockerd.pid").write_text(f"{other.pid}\n")
        done = machine.run(ENGINE, "stop")
        assert other.poll() is None
        other.kill()
    assert (done.returncode, done.stderr) == (0, "engine: no engine of ours is running\n")


def test_a_browser_that_is_there_is_left_alone(machine):
    machine.root_on_debian()
    machine.plant("google-chrome", "")
    done = machine.run(BROWSER)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls == []


def test_without_a_browser_and_without_root_it_says_what_to_install(machine):
    machine.plant("id", "echo 1000")
    machine.plant("apt-get", "")
    done = machine.run(BROWSER)
    assert done.returncode == 4
    assert "no Chromium on the PATH\n\nhint: install Chromium" in done.stderr
    assert machine.calls == ["id -u"]


@pytest.mark.parametrize(
    ("what_apt_does", "code", "says"),
    [
        ("touch bin/chromium; /bin/chmod +x bin/chromium", 0, "installing chromium"),
        ("echo 'no such package' >&2; exit 100", 4, "could not be installed"),
        ("", 4, "is not on the PATH"),
    ],
)
def test_a_browser_is_installed_on_debian_as_root(machine, what_apt_does, code, says):
    machine.root_on_debian()
    machine.plant("apt-get", what_apt_does)
    done = machine.run(BROWSER)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert any("install --no-install-recommends chromium" in call for call in machine.calls) == (
        code != 4 or not what_apt_does
    )


def test_setup_on_a_machine_without_python_says_what_to_install(machine, tmp_path):
    copy = a_project(tmp_path / "project")
    machine.plant("id", "echo 1000")
    done = machine.run(copy / "scripts" / "setup", PYTHON="none")
    if Path("/usr/bin/python3").exists():
        # The system's own Python is the last resort: without venv it is passed over, with it git is missed next.
        assert "is not installed" in done.stderr or "no Python 3.11 or later" in done.stderr
    assert done.returncode == 2
    assert "\n\nhint: install" in done.stderr


def test_setup_that_is_done_already_does_nothing(machine, tmp_path):
    copy = a_project(tmp_path / "project")
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "greenward").write_text("")
    (copy / ".venv" / "bin" / "greenward").chmod(0o755)
    stamp = subprocess.run(
        "pwd; cat requirements.lock pyproject.toml | cksum", shell=True, cwd=copy, capture_output=True, check=True
    )
    (copy / ".venv" / "stamp").write_bytes(stamp.stdout)
    done = machine.run(copy / "scripts" / "setup", PYTHON="none")
    assert (done.returncode, done.stderr) == (0, "")
    (copy / "requirements.lock").write_text("changed")
    assert machine.run(copy / "scripts" / "setup", PYTHON="none").returncode == 2


def a_project(directory):
    (directory / "scripts").mkdir(parents=True)
    shutil.copy(SETUP, directory / "scripts" / "setup")
    (directory / "requirements.lock").write_text("")
    (directory / "pyproject.toml").write_text("")
    return directory


@pytest.mark.parametrize("name", ["requirements.lock", "runtime.lock"])
def test_a_lock_pins_and_hashes_everything_and_names_no_address(name):
    text = (ROOT / name).read_text()
    assert "//" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(entries) > 30
    assert all("==" in entry.splitlines()[0] and "--hash=sha256:" in entry for entry in entries)


def test_the_lock_holds_every_dependency_that_is_declared():
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*declared["project"]["dependencies"], *declared["dependency-groups"]["dev"]]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted}
    assert names <= set(pinned("requirements.lock"))


def test_what_runs_is_pinned_as_it_is_for_developers():
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    runtime, everything = pinned("runtime.lock"), pinned("requirements.lock")
    assert {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted} <= set(runtime)
    assert runtime.items() < everything.items()


def pinned(name):
    """The version of each package that the lock of that name holds."""
    return dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "target", ["demo", "test", "check", "bench", "fmt", "help", "setup", "engine", "engine-stop", "browser", "lock"]
)
def test_make_knows_its_targets(target):
    assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_make_alone_shows_the_targets():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"make demo +\S", done.stdout)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_in_the_documents_exists(name):
    text = (ROOT / name).read_text("utf-8") if (ROOT / name).exists() else "make help"
    commands = set(re.findall(r"(?:`|^\s*\$? ?)make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands
    assert commands <= targets


def house_rules(tmp_path, path, text):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    subprocess.run(["git", "-C", tmp_path, "add", "-A"], check=True)
    script = ROOT / "scripts" / "house_rules.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("docs/x.md", "see https://pyp" + "i.org/simple", "docs/x.md:1: names the host"),
        ("uv.lock", "\nhttps://files.python" + "hosted.org/x", "uv.lock:2: names the host"),
        ("agent/x.py", "container.put_" + "archive('/', data)", "agent/x.py:1: uses the engine's archive API"),
        ("sandbox/x.py", "run(['docker', 'c'])\n# docker" + " cp", "sandbox/x.py:2: uses the engine's archive API"),
        ("agent/x.py", "\n" * 401, "agent/x.py: 401 lines, more than 400"),
        ("agent/loop.py", "\n" * 111, "agent/loop.py: 111 lines, more than 110"),
        ("prompts/x.py", "def f():\n" + "    x = 1\n" * 60, "prompts/x.py:1: f has 61 lines, more than 60"),
    ],
)
def test_a_breach_of_the_house_rules_is_named(tmp_path, path, text, says):
    code, printed = house_rules(tmp_path, path, text)
    assert code == 1
    assert says in printed


def test_what_keeps_the_house_rules_passes(tmp_path):
    assert house_rules(tmp_path, "agent/x.py", "def f():\n    return 1\n" + "\n" * 390) == (0, "house rules: kept\n")


def test_this_repository_keeps_the_house_rules():
    script = ROOT / "scripts" / "house_rules.py"
    done = subprocess.run([sys.executable, script, ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_table_of_exit_codes_holds_every_error():
    from agent import errors

    table = (ROOT / "docs" / "design.md").read_text("utf-8").split("## Exit codes")[1].split("##")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    raised = {getattr(errors, name).exit_code for name in errors.__all__}
    assert raised < codes
    assert codes == {*range(12), 70, 130}
