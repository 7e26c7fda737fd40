"""Jobs that are containers themselves: with the engine's socket, with an engine of their own beside them, and alone."""

import json
import os
import subprocess
import threading
from contextlib import closing

import pytest

from sandbox.engine import connect
from sandbox.engines import open_engine
from sandbox.hardening import RUN_LABEL
from sandbox.images import DEFAULT
from sandbox.owner import Owner
from sandbox.reaping import leftovers
from tests.ci.contained import (
    ENGINE,
    PACKAGES,
    ContainedJob,
    Service,
    docker,
    of_the_red_repository,
    packages,
    replies,
    wheel,
)
from tests.ci.runner import ROOT
from tests.e2e.harness import KEY, RED
from tests.gitrepo import repository
from tests.publishing.forge import bare_of

pytestmark = pytest.mark.docker

A_KEY = {"RUNAPI_KEY": KEY, "HOME": "/builds"}
EXAMPLES = ROOT / "examples" / "ci"
NOBODY = "54321:54321"
"""A number that is no user's name, as some engines give it to jobs."""
QUICKLY = {"PYTHONPATH": PACKAGES, "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
SOCKET = "/var/run/docker.sock:/var/run/docker.sock"


@pytest.fixture
def images(tmp_path_factory):
    """Makes images by greenward's own means, which keep them on the engine from one run of these tests to the next."""
    top = tmp_path_factory.getbasetemp()
    cache = (top.parent if "PYTEST_XDIST_WORKER" in os.environ else top) / "images"

    def make(setup):
        with open_engine("docker", {**os.environ, "XDG_CACHE_HOME": str(cache)}) as engine:
            return engine.prepare(setup, lambda line: None).id

    return make


@pytest.fixture
def jobs(images, tmp_path):
    """Makes jobs that are containers, each with a clone of the red repository; all are removed in the end."""
    made = []
    remote = bare_of(repository(tmp_path / "origin", RED), tmp_path / "remote.git")
    built, image = wheel(tmp_path / "wheel"), images(packages())

    def make(*options, script=None):
        made.append(ContainedJob(image, *options))
        made[-1].start()
        made[-1].prepare(built, remote, script or replies())
        return made[-1]

    yield make
    at_once(*(each.remove for each in made))


def namespace_of(container):
    return container.labels["greenward.namespace"]


def is_at_work(container):
    """Whether it is a running container of a process that cannot be seen from here."""
    return container.status == "running" and namespace_of(container) != Owner.current().namespace


def at_once(*work):
    """Do all of it at the same time, and return what came of each."""
    found = {}
    threads = [threading.Thread(target=lambda n=n, each=each: found.update({n: each()})) for n, each in enumerate(work)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [found[n] for n in range(len(work))]


def published(job):
    """Publish what a job left, in the same container: as a patch, then as a branch of the remote, which is returned."""
    patch = job.greenward("publish proposal --to patch")
    pushed = job.greenward("publish proposal --to branch --remote /job/remote.git")
    branches = job.run("git -C /job/remote.git for-each-ref --format='%(refname)' refs/heads")
    assert (patch.code, pushed.code) == (0, 0), patch.out + pushed.out
    assert "+    return a + b" in patch.out
    return [line for line in branches.out.split() if "greenward/" in line]


def test_two_jobs_with_the_socket_of_one_engine_work_beside_each_other(jobs, images):
    images(of_the_red_repository())
    one, two = jobs("--volume", SOCKET), jobs("--volume", SOCKET)
    seen, wrongly, over = set(), [], threading.Event()

    def watch():
        with closing(connect({})) as client:
            while not over.wait(0.2):
                left = {each.id for each in leftovers(client, Owner.current())}
                wrongly.extend(each for each in client.containers(RUN_LABEL) if each.id in left and is_at_work(each))
                seen.update(namespace_of(each) for each in client.containers(RUN_LABEL) if is_at_work(each))

    def work(job):
        return lambda: job.script(EXAMPLES / "gitlab-socket.yml", "greenward-propose")

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        done = at_once(work(one), work(two))
    finally:
        over.set()
        watching.join()

    for job, ran in zip((one, two), done, strict=True):
        assert ran.code == 0, ran.out
        assert "green: judged in a fresh container" in ran.out
        assert KEY not in ran.out
        assert len(published(job)) == 1
        run = json.loads((one if ran is done[0] else two).run("cat /builds/sums/proposal/result.json").out)["result"][
            "run"
        ]
        assert docker("ps", "--all", "--quiet", "--filter", f"label={RUN_LABEL}={run}") == ""
    assert (len(seen), wrongly) == (2, [])


@pytest.fixture
def service(images, tmp_path):
    """An engine beside the jobs; it is made before them, and so removed after them."""
    made = Service(images(ENGINE), tmp_path / "certs")
    made.start()
    yield made
    made.remove()


def loaded(engine, image):
    """Bring the base image and an environment to an engine of its own, and return once they are there."""
    names = docker("inspect", "--format", '{{join .RepoTags " "}}', image).split()
    waited = engine.run("until docker info >/dev/null 2>&1; do sleep 0.1; done")
    assert waited.code == 0, waited.out
    with subprocess.Popen(["docker", "save", DEFAULT, *names], stdout=subprocess.PIPE) as saved:
        into = ["docker", "exec", "-i", engine.id, "docker", "load"]
        subprocess.run(into, stdin=saved.stdout, check=True, capture_output=True)


def test_a_job_with_an_engine_of_its_own_beside_it_runs_there_by_its_certificates(service, jobs, images):
    environment = images(of_the_red_repository())
    job, _ = at_once(lambda: jobs("--network", service.network), lambda: loaded(service, environment))
    job.put("/certs/client", service.client)

    ran = job.script(EXAMPLES / "gitlab.yml", "greenward-propose")
    assert ran.code == 0, ran.out
    assert "environment: cached" in ran.out
    assert "green: judged in a fresh container" in ran.out
    assert len(published(job)) == 1
    assert service.run("docker ps --all --quiet").out == ""

    there = {"DOCKER_HOST": "tcp://docker:2376", "DOCKER_CERT_PATH": "/certs/client", "DOCKER_TLS_VERIFY": "1"}
    checked = " ".join(job.greenward("doctor --offline", **there).out.split())
    assert "place in a container" in checked
    assert "tcp://docker:2376: Docker " in checked
    assert (
        "in another container, `docker`: its paths are not those of here, and need not be; reached with TLS" in checked
    )
    assert " are kept, tried in a container" in checked

    nobodys = job.greenward("fix --ci --out /tmp/p --max-cost 1", **there | {"DOCKER_CERT_PATH": "/certs"}, **A_KEY)
    assert nobodys.code == 4, nobodys.out
    assert "hint: ca.pem, cert.pem, key.pem are not in /certs" in nobodys.out
    assert "Traceback" not in nobodys.out


def test_a_job_without_an_engine_says_so_and_alone_it_proves_nothing(jobs):
    job = jobs(script=replies(finishes=True))
    installed = job.run(
        f"pip install --quiet {job.package}; ln -s /opt/greenward /tmp/greenward; chown -R {NOBODY} /builds", **QUICKLY
    )
    assert installed.code == 0, installed.out
    job.user = NOBODY

    lacking = job.greenward("fix --ci --out proposal --max-cost 1", **A_KEY)
    assert lacking.code == 4, lacking.out
    assert "this is a container: give it the engine's socket, or a `dind` service and DOCKER_HOST" in lacking.out

    alone = "--sandbox local --setup true --test '/opt/greenward/bin/python -m pytest -q'"
    ran = job.greenward(f"fix --ci --out proposal --max-cost 1 {alone}", **A_KEY)
    assert ran.code == 8, ran.out
    assert "nothing isolated them: a local sandbox proves nothing" in ran.out
    told = job.run(
        "cat /builds/sums/proposal/summary.md /builds/sums/proposal/result.json; ls /builds/sums/proposal"
    ).out
    assert "**Nothing isolated the tests (`--sandbox local`)" in told
    assert '"sandbox": "local"' in told
    assert "proof.json" not in told
    refused = job.greenward("publish proposal --to patch")
    assert (refused.code, "nothing is proven" in refused.out) == (9, True)
    assert "it isolates nothing" in " ".join(
        job.greenward("doctor --offline --sandbox local", HOME="/builds").out.split()
    )
