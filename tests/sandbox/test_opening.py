"""An engine that is reached early, with a container of what was used last: a guess that decides nothing."""

import secrets
import time
from contextlib import closing

import pytest

from sandbox import Change, Command, Environment, Limits, SandboxUnavailable
from sandbox.engines import Opening, cache_directory
from tests.sandbox.trees import DictTree

TREE = DictTree([Change(path="a", data=b"1")])


@pytest.fixture
def host(tmp_path):
    return {"XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def run_id():
    return secrets.token_hex(8)


@pytest.fixture
def ids(client, run_id):
    return lambda: {each.id for each in client.containers(f"greenward.run={run_id}")}


def opened(host, run_id, purpose="/a/repository"):
    return closing(Opening(host, purpose=purpose, run_id=run_id))


def used(host, image, run_id="before", **options):
    """Use an environment, as a run does; what comes of a command, and the ids of the run's containers around it."""
    with opened(host, run_id, **options) as opening, opening.engine() as engine:
        environment = Environment(id=image, origin="present")
        with engine.open(environment, limits=Limits(), run_id=run_id) as sandbox:
            return sandbox.execute(TREE, Command(script="cat a")).result.output


def started(ids):
    for _ in range(600):
        if found := ids():
            return found
        time.sleep(0.05)
    raise AssertionError("none was started")


@pytest.mark.docker
def test_a_container_of_the_environment_that_was_used_last_is_there_before_it_is_asked_for(host, image, ids, run_id):
    used(host, image)
    with opened(host, run_id) as opening:
        ahead = started(ids)
        with (
            opening.engine() as engine,
            engine.open(Environment(id=image, origin="present"), limits=Limits(), run_id=run_id) as sandbox,
        ):
            done = sandbox.execute(TREE, Command(script="cat a"))
            taken = ids()

    assert (done.result.output, taken) == (b"1", ahead)
    assert ids() == set()


@pytest.mark.docker
@pytest.mark.parametrize("purpose", ["/another/repository", ""])
def test_nothing_is_started_for_a_purpose_that_is_new(host, image, ids, run_id, purpose):
    used(host, image)
    with opened(host, run_id, purpose=purpose) as opening, opening.engine():
        assert ids() == set()


@pytest.mark.docker
def test_a_wrong_guess_is_taken_by_nobody_and_removed(host, client, image, ids, run_id):
    container = client.create(spec(client, image))
    other = client.commit(container, reference=f"greenward-test:{run_id}", changes=[f"LABEL run={run_id}"])
    client.remove(container)
    try:
        used(host, image)
        with opened(host, run_id) as opening:
            guessed = started(ids)
            with (
                opening.engine() as engine,
                engine.open(Environment(id=other, origin="present"), limits=Limits(), run_id=run_id) as sandbox,
            ):
                sandbox.execute(TREE, Command(script="true"))
                (working,) = ids() - guessed
                assert client.inspect(working)["Image"] == other
        assert ids() == set()
        with opened(host, run_id):
            assert client.inspect(*started(ids))["Image"] == other, "the last one is remembered"
    finally:
        client.remove_image(f"greenward-test:{run_id}")


def spec(client, image):
    from sandbox.hardening import harden
    from sandbox.owner import Owner

    return harden(client.image(image), Limits(), run_id="images", owner=Owner.current(), seconds=5)


@pytest.mark.docker
@pytest.mark.parametrize("noted", ["", "greenward-base", f"sha256:{'0' * 64}", f"sha256:{'0' * 64}\n", "\xff" * 9])
def test_a_note_that_is_of_no_use_does_no_harm(host, image, noted):
    used(host, image)
    (note,) = (cache_directory(host) / "recent").iterdir()
    assert note.read_text() == image
    note.write_bytes(noted.encode("latin-1"))

    assert used(host, image) == b"1"
    assert note.read_text() == image


def test_an_engine_that_does_not_answer_is_told_when_it_is_asked_for(tmp_path, run_id):
    host = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "XDG_CACHE_HOME": str(tmp_path)}
    with opened(host, run_id) as opening, pytest.raises(SandboxUnavailable, match="cannot reach"), opening.engine():
        pass
