"""Jobs that are containers: with greenward's wheel, a repository and a scripted model, and nothing of the host."""

import io
import re
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from agent.manifests import Project
from agent.recipe import recipe_for
from sandbox import Setup
from tests.ci.runner import ROOT, Job
from tests.e2e.harness import KEY, PRICES, RED, RIGHT
from tests.sandbox.tls import certificates

LABEL = "greenward.test=contained"
PACKAGES = "/opt/greenward/lib/python3.11/site-packages"
"""What greenward needs besides itself is in the image; only the package itself is installed, as the job says."""
MODEL = "http://127.0.0.1:8080/v1"
VARIABLES = {
    **PRICES, "GREENWARD_BASE_URL": MODEL, "RUNAPI_KEY": KEY, "PYTHONPATH": PACKAGES, "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1", "GITLAB_CI": "true",
}  # fmt: skip
ENGINE = Setup(script="apt-get -qq update\napt-get -qq -y install --no-install-recommends docker.io iptables")
"""An engine of its own, from Debian's packages."""
BEGIN_ENGINE = """\
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mount -o remount,rw /sys/fs/cgroup
  mkdir -p /sys/fs/cgroup/init
  xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/init/cgroup.procs || :
  sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
else
  for each in /sys/fs/cgroup/*; do mount -o remount,rw,bind "$each" || :; done
fi
exec dockerd --init-path=/usr/bin/tini-static --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2376 \
  --tlsverify --tlscacert=/certs/server/ca.pem --tlscert=/certs/server/cert.pem --tlskey=/certs/server/key.pem
"""
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
)  # fmt: skip
"""By their numbers, as far as every engine knows them."""


def docker(*arguments: str, stdin: bytes = b"") -> str:
    """What a docker command prints."""
    ran = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
    assert ran.returncode == 0, f"docker {arguments}: {ran.stderr.decode()}"
    return ran.stdout.decode().strip()


def privileged() -> list[str]:
    """Options of a container in which an engine can run: all that this machine can give, as `--privileged` would."""
    (bounding,) = re.findall(r"CapBnd:\s*([0-9a-f]+)", Path("/proc/self/status").read_text())
    given = [name for number, name in enumerate(CAPABILITIES) if int(bounding, 16) >> number & 1]
    options = [word for name in given for word in ("--cap-add", name)]
    for unconfined in ("seccomp", "apparmor", "systempaths"):
        options += ["--security-opt", f"{unconfined}=unconfined"]
    return [*options, "--cgroupns", "private", "--device-cgroup-rule", "a *:* rwm", "--volume", "/var/lib/docker"]


def packages() -> Setup:
    """What greenward needs besides itself, as the action installs it."""
    lock = (ROOT / "runtime.lock").read_bytes()
    return Setup(files={"runtime.lock": lock}, script="pip install --no-compile --require-hashes -r runtime.lock")


def of_the_red_repository() -> Setup:
    """The environment that a run on it takes."""
    return recipe_for(Project(read=lambda path: RED.get(path, "").encode() or None, paths=tuple(RED))).setup


def wheel(directory: Path) -> Path:
    """The wheel of this very tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def replies(*, finishes: bool = False) -> str:
    """The script of a model that mends the red repository, and says that it is done where nothing is proven."""
    code = RIGHT + RED["sums.py"][RED["sums.py"].index("\n\ndef double") :]
    plan = {"name": "submit_plan", "arguments": {"summary": "Add instead of subtracting", "steps": ["Mend it"]}}
    write = {"name": "write_file", "arguments": {"path": "sums.py", "content": code}}
    done = {"name": "finish", "arguments": {"status": "done"}}
    said: list[dict[str, Any]] = [
        {"call": [plan]},
        {"call": [write, {"name": "run_tests", "arguments": {}}], "expect": ["The plan is accepted"]},
    ]
    return tomli_w.dumps({"reply": said + [{"call": [done]}] * finishes})


class Container:
    """A container that runs until it is removed; nothing of the host is mounted but what `options` say."""

    user = ""
    """As whom scripts are run, if not as the image says."""

    def __init__(self, image: str, *options: str, command: Sequence[str] = ("sleep", "900")) -> None:
        self.id = docker("create", "--label", LABEL, *options, image, *command)

    def start(self) -> None:
        docker("start", self.id)

    def put(self, place: str, files: Mapping[str, bytes]) -> None:
        """Write files below a directory, which is made."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(f"{place.strip('/')}/{name}")
                entry.size, entry.mode = len(data), 0o644
                archive.addfile(entry, io.BytesIO(data))
        docker("cp", "-", f"{self.id}:/", stdin=packed.getvalue())

    def run(self, script: str, *, cwd: str = "/", **variables: str) -> Job:
        """What comes of a script; GitLab's runner executes those of its jobs so."""
        given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        given += ["--user", self.user] if self.user else []
        command = ["docker", "exec", "--workdir", cwd, *given, self.id, "bash", "-eo", "pipefail", "-c", script]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return Job(code=ran.returncode, out=ran.stdout + ran.stderr)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


class ContainedJob(Container):
    """A job that is a container: `/job` holds the wheel, the remote repository and the model's script."""

    def prepare(self, built: Path, remote: Path, script: str) -> None:
        """Bring all of it, clone the repository into `/builds/sums`, and let the model listen."""
        files = {
            f"remote.git/{path.relative_to(remote)}": path.read_bytes() for path in remote.rglob("*") if path.is_file()
        }
        self.put("/job", {**files, built.name: built.read_bytes(), "replies.toml": script.encode()})
        self.package = f"/job/{built.name}"
        ran = self.run(
            f"python -m zipfile -e {self.package} /job/site\n"
            "mkdir -p /job/remote.git/refs/heads /job/remote.git/objects\n"
            "git clone --quiet /job/remote.git /builds/sums\n"
            f"PYTHONPATH=/job/site:{PACKAGES} setsid python -m agent.models.server /job/replies.toml --port 8080"
            " >/job/model.log 2>&1 &\n"
            "until grep -q http /job/model.log 2>/dev/null; do sleep 0.05; done"
        )
        assert ran.code == 0, ran.out

    def script(self, file: Path, name: str) -> Job:
        """Run the script of a job in a file of GitLab's, with the job's own variables, but for the package."""
        job = yaml.safe_load(file.read_text())[name]
        stated = {key: each["value"] if isinstance(each, dict) else each for key, each in job["variables"].items()}
        variables = {key: str(value) for key, value in stated.items()} | VARIABLES | {"GW_PACKAGE": self.package}
        return self.run("\n".join(job["script"]), cwd="/builds/sums", **variables)

    def greenward(self, arguments: str, **variables: str) -> Job:
        """Run a command of what the script has installed, without a key."""
        given = {name: value for name, value in VARIABLES.items() if name != "RUNAPI_KEY"} | variables
        return self.run(f"/tmp/greenward/bin/greenward {arguments}", cwd="/builds/sums", **given)


class Service(Container):
    """An engine in a container beside the jobs, as `docker:dind` is, with network and certificates; not yet started."""

    def __init__(self, image: str, top: Path, *arguments: str) -> None:
        made = certificates(top)
        self.network = docker("network", "create", "--label", LABEL, f"greenward-{uuid.uuid4().hex[:12]}")
        networked = ("--network", self.network, "--network-alias", "docker")
        script = " ".join((BEGIN_ENGINE.rstrip(), *arguments))
        super().__init__(image, *privileged(), *networked, command=("sh", "-c", script))
        self.put("/certs/server", _certificates_in(made / "server"))
        self.client = _certificates_in(made / "client")
        """What a job needs to talk to it, by name."""

    def remove(self) -> None:
        super().remove()
        docker("network", "rm", self.network)


def _certificates_in(place: Path) -> dict[str, bytes]:
    return {name: (place / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem")}
