"""Environments that nobody has used for long are found and removed, and no others."""

import os
import secrets
import subprocess
import time
from dataclasses import dataclass, field

import pytest

from sandbox import Setup
from sandbox.engine import Client
from sandbox.engines import open_engine
from sandbox.environments import LABEL, LONG, Uses, remove, unused
from sandbox.images import present_base
from sandbox.setup import USES, setup_key

DAY = 24 * 3600.0


@dataclass
class OfTests:
    """The engine as if no images but those of a test were on it: `remove` would take others away, too."""

    client: Client
    ids: set[str] = field(default_factory=set)

    def images(self, label):
        return tuple(image for image in self.client.images(label) if image.id in self.ids)

    def info(self):
        return self.client.info()

    def remove_image(self, reference):
        self.client.remove_image(reference)


@pytest.fixture
def only(client):
    made = OfTests(client)
    yield made
    for each in made.ids:
        subprocess.run(["docker", "image", "rm", "-f", each], capture_output=True, check=False)


@pytest.fixture
def environment(only, image):
    """Makes environments that hold nothing."""

    def make():
        key = secrets.token_hex(32)
        built = subprocess.run(
            ["docker", "build", "-q", "-t", f"greenward-env:{key[:32]}", "--label", f"{LABEL}={key}", "-"],
            input=f"FROM {image}\n".encode(), capture_output=True, check=True,
        )  # fmt: skip
        found = built.stdout.decode().strip()
        only.ids.add(found)
        return found, key

    return make


def used(uses, key, days):
    """Mark a use that was so many days ago."""
    uses.mark(key)
    then = time.time() - days * DAY
    os.utime(uses.directory / key, (then, then))


@pytest.mark.docker
def test_what_was_not_used_for_long_is_unused_the_longest_first(only, environment, tmp_path):
    uses = Uses(directory=tmp_path / "uses")
    (_, lately), (old, long_ago), (older, longer_ago), (_, never) = (environment() for _ in range(4))
    for key, days in ((lately, 29), (long_ago, 31), (longer_ago, 400)):
        used(uses, key, days)

    found = unused(only, uses)
    assert [(each.id, each.key) for each in found] == [(older, longer_ago), (old, long_ago)]
    assert uses.idle(never) is None


@pytest.mark.docker
def test_one_that_nobody_here_has_used_counts_from_when_it_was_made(only, environment, tmp_path, monkeypatch):
    made, _ = environment()
    assert unused(only, Uses(directory=tmp_path)) == ()
    monkeypatch.setattr("sandbox.environments.LONG", -60.0)
    assert [each.id for each in unused(only, Uses(directory=tmp_path))] == [made]


@pytest.mark.docker
def test_those_that_are_unused_are_removed_and_one_that_a_container_stands_on_stays(only, environment, tmp_path):
    uses = Uses(directory=tmp_path / "uses")
    (gone, unneeded), (needed, busy), (kept, lately) = (environment() for _ in range(3))
    for key in (unneeded, busy):
        used(uses, key, 31)
    used(uses, lately, 1)
    container = subprocess.run(["docker", "create", needed, "true"], capture_output=True, text=True, check=True)
    try:
        assert [each.id for each in remove(only, uses)] == [gone]
        assert {image.id for image in only.images(LABEL)} == {needed, kept}
        assert (uses.idle(unneeded), uses.idle(busy) > LONG) == (None, True)
    finally:
        only.client.remove(container.stdout.strip())


@pytest.mark.docker
def test_whoever_prepares_an_environment_uses_it(client, tmp_path):
    with open_engine("docker", {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)}) as engine:
        engine.prepare(Setup(), say=str)
    (mark,) = (tmp_path / "greenward" / USES).iterdir()
    assert mark.name == setup_key(Setup(), present_base(client, None).id)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "0" * 63, "x" * 64])
def test_what_an_image_says_is_its_key_leads_nowhere_else(tmp_path, key):
    assert Uses(directory=tmp_path).idle(key) is None
