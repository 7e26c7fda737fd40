"""The engine that was asked for, and no other."""

import os
import secrets
import subprocess

import pytest

from sandbox import SandboxUnavailable, Setup
from sandbox.engines import cache_directory, open_engine, prepare_ahead


def docker(*arguments):
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.docker
def test_what_is_prepared_ahead_is_found_in_the_cache(tmp_path):
    host = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    setup, said = Setup(script=f"echo {secrets.token_hex(8)}"), []
    prepare_ahead("docker", host, setup, said.append).join()
    with open_engine("docker", host) as engine:
        found = engine.prepare(setup, said.append)
    docker("rmi", found.id)
    assert found.cached
    assert len([line for line in said if line.startswith("setting up")]) == 1


def test_what_goes_wrong_ahead_is_left_to_whoever_asks(tmp_path):
    host = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    prepare_ahead("docker", host, Setup(), lambda line: None).join()


def test_no_engine_is_an_error_and_never_another_engine(tmp_path):
    host = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    with pytest.raises(SandboxUnavailable) as caught, open_engine("docker", host):
        pass
    assert caught.value.hint


def test_the_cache_is_where_the_host_says_or_below_the_home():
    assert str(cache_directory({"XDG_CACHE_HOME": "/c", "HOME": "/h"})) == "/c/greenward"
    assert str(cache_directory({"XDG_CACHE_HOME": "relative", "HOME": "/h"})) == "/h/.cache/greenward"
