"""A job that is a container, with an engine of its own that begins after it and has nothing: cold, then warm.

    python -m bench.contained [overlay2|vfs]

The job makes the base image of Debian's packages, unless a registry is in reach, and all goes through TLS. The times
are of `greenward fix --ci` with a scripted model, on this machine.
"""

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Timer

from sandbox import Setup
from sandbox.engines import open_engine
from sandbox.host import host_settings
from tests.ci.contained import ENGINE, VARIABLES, ContainedJob, Service, packages, replies, wheel
from tests.e2e.harness import RED
from tests.gitrepo import repository
from tests.publishing.forge import bare_of

__all__ = ["contained"]

LATE_SECONDS = 3.0
"""By which the engine begins after the job."""
THERE = {"DOCKER_HOST": "tcp://docker:2376", "DOCKER_CERT_PATH": "/certs/client", "DOCKER_TLS_VERIFY": "1"}
MAKING = "\napt-get -qq update\napt-get -qq -y install --no-install-recommends mmdebstrap"
FIX = "pip install -q --no-deps --no-index {}; /opt/greenward/bin/greenward fix --ci --out /tmp/proposal --max-cost 1"


def contained(storage: str) -> list[tuple[str, float, str]]:
    """Two runs on an engine with this storage driver: which, how many seconds it took, and what was said of it."""
    settings = host_settings(os.environ)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        top = Path(directory)
        (top / "wheel").mkdir()
        remote = bare_of(repository(top / "origin", RED), top / "remote.git")
        wanted = packages()
        image = _image(replace(wanted, script=wanted.script + MAKING))
        service = Service(_image(ENGINE), top / "certs", f"--storage-driver={storage}")
        stack.callback(service.remove)
        job = ContainedJob(image, "--network", service.network)
        stack.callback(job.remove)
        job.start()
        job.prepare(wheel(top / "wheel"), remote, replies())
        job.put("/certs/client", service.client)
        if settings.authorities:
            job.put("/etc/ssl/certs", {"ca-certificates.crt": settings.authorities})
        Timer(LATE_SECONDS, service.start).start()
        own = {name: value for name, value in VARIABLES.items() if not name.startswith("PIP_")}
        return [_timed(job, name, own | THERE | dict(settings.variables)) for name in ("cold", "warm")]


def _image(setup: Setup) -> str:
    with open_engine("docker", os.environ) as engine:
        return engine.prepare(setup, lambda line: print(line, file=sys.stderr)).id


def _timed(job: ContainedJob, name: str, variables: dict[str, str]) -> tuple[str, float, str]:
    began = time.monotonic()
    ran = job.run(FIX.format(job.package), cwd="/builds/sums", **variables)
    if ran.code:
        raise SystemExit(ran.out)
    (made,) = (line for line in ran.out.splitlines() if line.startswith("environment: "))
    return name, time.monotonic() - began, made


if __name__ == "__main__":
    for storage in sys.argv[1:] or ("overlay2", "vfs"):
        for name, seconds, made in contained(storage):
            print(f"| {storage} | {name} | {seconds:.0f} s | {made} |")
