"""What the doctor finds of engines, images and containers."""

import dataclasses
import io
import os
import uuid

import pytest

from agent.doctor import Verdict, skipped
from agent.doctor.engine import (
    check_disk,
    check_engine,
    check_image,
    check_limits,
    of_engine,
    of_limits,
    way_to,
)
from agent.doctor.examining import Check, examine
from agent.doctor.leftovers import check_containers
from sandbox.endpoint import Endpoint
from sandbox.engine import EngineInfo, connect
from sandbox.images import Names
from sandbox.probe import Probed
from tests.sandbox.test_images import NO_REGISTRY, filesystem, host_with, mmdebstrap  # noqa: F401  (a fixture)
from tests.test_doctor import HOST, context, verdict

INFO = EngineInfo(
    name="Engine", version="29.5.1", api="1.52", product="", system="Debian", storage_driver="overlay2",
    cgroup_version="2", runc="1.2.8", rootless=False, root="/var/lib/docker",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected", "says"),
    [
        ({}, "ok", "unix:///x: Docker 29.5.1, API 1.52, overlay2, cgroups v2, runc 1.2.8, Debian"),
        ({"version": "20.10.24+dfsg1"}, "warning", "engine before 29.5.1"),
        ({"runc": "1.1.5+ds1"}, "warning", "runc before 1.2.8"),
        ({"product": "Docker Desktop 4.44.2 (1)"}, "warning", "Docker Desktop before 4.44.3"),
        ({"product": "Docker Desktop 4.44.3 (202357)"}, "ok", "Docker Desktop 4.44.3"),
        ({"name": "Podman Engine", "version": "4.3.1", "runc": ""}, "ok", "Podman Engine 4.3.1"),
        ({"rootless": True}, "ok", "rootless"),
        ({"rootless": True, "cgroup_version": "1"}, "warning", "its limits may not be kept"),
    ],
)
def test_an_engine_is_judged_by_what_it_says(change, expected, says):
    found = of_engine(dataclasses.replace(INFO, **change), Endpoint(url="unix:///x"))
    assert found.verdict == expected
    assert says in found.found


@pytest.mark.parametrize(
    ("endpoint", "container", "says", "warned"),
    [
        (Endpoint(), "", "reached by a socket", False),
        (Endpoint(), "/.dockerenv", "that of the machine around this container", False),
        (Endpoint(url="tcp://127.0.0.1:2375"), "", "reached by TCP on this machine", False),
        (
            Endpoint(url="tcp://docker:2376", tls=True),
            "/.dockerenv",
            "`docker`: its paths are not those of here",
            False,
        ),
        (Endpoint(url="tcp://docker:2376", tls=True, verify=False), "", "with TLS, but not checked", False),
        (Endpoint(url="tcp://docker:2375"), "/.dockerenv", "reached in the clear", True),
    ],
)
def test_it_is_said_how_an_engine_is_reached(endpoint, container, says, warned):
    way, hint = way_to(endpoint, container)
    assert says in way
    assert bool(hint) is warned
    assert of_engine(INFO, endpoint).verdict == ("warning" if warned else "ok")


@pytest.mark.docker
def test_the_engine_that_answers_is_named():
    found = check_engine(context())
    assert found.verdict in (Verdict.OK, Verdict.WARNING)
    assert "unix:///var/run/docker.sock: Docker " in found.found
    assert "cgroups v" in found.found


def test_without_an_engine_that_is_the_one_problem(tmp_path):
    nowhere = context(environ={**HOST, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    looks = [check_engine, check_image, check_limits, check_disk, check_containers]
    rows = examine(nowhere, tuple(Check(name=str(look), look=look) for look in looks)).rows
    assert [verdict(row.finding) for row in rows] == [("problem", 4), *[("skipped", 0)] * 4]
    assert "is the engine running" in rows[0].finding.hint


def test_a_sandbox_that_isolates_nothing_is_warned_of():
    local = context(flags={"sandbox": "local"})
    assert verdict(check_engine(local)) == ("warning", 0)
    assert check_limits(local) == skipped("the sandbox is `local`")


@pytest.fixture
def client():
    made = connect(HOST)
    yield made
    made.close()


@pytest.fixture
def names(client):
    made = Names(default=f"greenward-test-{uuid.uuid4().hex[:12]}:1", pulled=f"{NO_REGISTRY}/python:3.11")
    yield made
    if client.image(made.default):
        client.remove_image(made.default)


@pytest.mark.docker
def test_the_image_that_is_there_is_named():
    found = check_image(context())
    assert verdict(found) == ("ok", 0)
    assert ": present" in found.found


@pytest.mark.docker
def test_an_image_that_is_not_there_is_not_made_unless_asked(client, names, mmdebstrap, tmp_path):  # noqa: F811
    host = {**HOST, **host_with(mmdebstrap), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = check_image(context(environ=host, names=names))
    assert verdict(found) == ("warning", 0)
    assert f"a run would pull {names.pulled}, or else " in found.found
    assert client.image(names.default) is None

    if os.geteuid() == 0:
        made = check_image(context(environ=host, names=names, prepare=True))
        assert (made.verdict, "bootstrapped" in made.found) == (Verdict.OK, True)
        assert check_image(context(environ=host, names=names)).verdict is Verdict.OK


@pytest.mark.docker
def test_an_image_that_was_named_and_cannot_be_had_is_a_problem_once_asked_for():
    named = {"flags": {"image": f"{NO_REGISTRY}/nothing:1"}}
    assert check_image(context(**named)).found == f"not there yet; a run would pull {NO_REGISTRY}/nothing:1"
    row = examine(context(**named, prepare=True), (Check(name="image", look=check_image),)).rows[0]
    assert verdict(row.finding) == ("problem", 4)
    assert check_limits(context(**named)) == skipped("there is no base image to try them in")


@pytest.mark.docker
def test_the_limits_are_tried_in_a_real_container():
    found = check_limits(context())
    assert (verdict(found), set(found.details.values())) == (("ok", 0), {"kept"})
    assert {"memory", "pids", "nofile", "network", "user", "read-only parts of /proc"} <= found.details.keys()


@pytest.mark.docker
def test_an_image_that_nothing_runs_in_is_a_problem(client, names):
    client.import_image(io.BytesIO(filesystem("doctor")), reference=names.default)
    row = examine(context(names=names), (Check(name="limits", look=check_limits),)).rows[0]
    assert verdict(row.finding) == ("problem", 4)


def probed(name, *, kept, required=True, found="x"):
    return Probed(name=name, kept=kept, required=required, found=found)


@pytest.mark.parametrize(
    ("results", "expected", "says"),
    [
        ([probed("a", kept=True)], ("ok", 0), "all 1 are kept"),
        ([probed("a", kept=False), probed("b", kept=True)], ("problem", 4), "not kept: a (x)"),
        ([probed("a", kept=False, required=False)], ("warning", 0), "not kept or not tried: a (x)"),
        ([probed("a", kept=None, found="no python3")], ("warning", 0), "not kept or not tried: a (no python3)"),
        ([probed("a", kept=False, required=False), probed("b", kept=False)], ("problem", 4), "not kept: a (x), b (x)"),
    ],
)
def test_a_limit_that_is_not_kept_is_a_problem_if_nothing_may_run_without_it(results, expected, says):
    found = of_limits(results)
    assert verdict(found) == expected
    assert says in found.found


@pytest.mark.docker
def test_the_disk_is_measured_where_containers_are(names):
    inside, outside = check_disk(context()), check_disk(context(names=names))
    for found in (inside, outside):
        assert found.verdict is not Verdict.SKIPPED
        assert " GiB free" in found.found
