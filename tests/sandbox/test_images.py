"""A base image is found, pulled, imported or bootstrapped, in that order, and said to be."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import SandboxUnavailable
from sandbox.engine import connect
from sandbox.images import Names, base_image, import_file
from tests.sandbox.proxy import FROM, Fault, Proxy

pytestmark = pytest.mark.docker

NO_REGISTRY = "localhost:9"
"""A registry where nobody listens: a pull from there fails at once."""


@pytest.fixture
def client():
    client = connect(os.environ)
    yield client
    client.close()


@pytest.fixture
def names(client):
    mark = uuid.uuid4().hex[:12]
    names = Names(default=f"greenward-test-{mark}:1", pulled=f"{NO_REGISTRY}/python:3.11")
    yield names
    if client.image(names.default):
        client.remove_image(names.default)


def filesystem(mark):
    """A root file system that no other test has."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("mark")
        entry.size = len(mark)
        archive.addfile(entry, io.BytesIO(mark.encode()))
    return buffer.getvalue()


@pytest.fixture
def mmdebstrap(tmp_path):
    """A directory with a program that stands in for mmdebstrap: it writes a tiny file system and counts its calls."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (tmp_path / "root.tar").write_bytes(filesystem(uuid.uuid4().hex))
    program = directory / "mmdebstrap"
    program.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
sleep 0.3
for word in "$@"; do case "$word" in */root.tar) cp {tmp_path}/root.tar "$word";; esac; done
""")
    program.chmod(0o755)
    return directory


def host_with(directory):
    return {"PATH": f"{directory}:/usr/bin:/bin"}


def take(client, names, host, cache, named=None):
    said = []
    base = base_image(client, named, host=host, cache=cache, say=said.append, names=names)
    return base, said


def test_a_named_image_that_is_there_is_taken(client, names, tmp_path):
    made = client.import_image(io.BytesIO(filesystem("named")), reference=names.default)
    base, said = take(client, names, {}, tmp_path, named=names.default)
    assert (base.id, base.origin, said) == (made, "present", [])


def test_a_named_image_that_cannot_be_had_is_refused_with_advice(client, names, tmp_path):
    with pytest.raises(SandboxUnavailable, match="no image `localhost:9/nothing`") as refused:
        take(client, names, {}, tmp_path, named=f"{NO_REGISTRY}/nothing")
    assert "docker images" in refused.value.hint


def test_without_a_registry_the_image_is_bootstrapped_once(client, names, tmp_path, mmdebstrap):
    first, said = take(client, names, host_with(mmdebstrap), tmp_path)
    second, nothing_said = take(client, names, host_with(mmdebstrap), tmp_path)
    assert (first.origin, second.origin, second.id) == ("bootstrapped", "present", first.id)
    assert client.image(first.id).labels == {"greenward.base": names.default}
    assert [line.split()[0] for line in said] == ["pulling", "bootstrapping"]
    assert nothing_said == []


def test_a_bootstrap_takes_what_builds_need_from_the_suite(client, names, tmp_path, mmdebstrap):
    take(client, names, host_with(mmdebstrap), tmp_path)
    words = (tmp_path / "calls").read_text()
    assert "--variant=minbase --include=python3,python3-pip,python3-venv,git,ca-certificates" in words
    assert " bookworm " in words


STARTER = """
import os, sys
from pathlib import Path
from sandbox.engine import connect
from sandbox.images import Names, base_image
names = Names(default=sys.argv[1], pulled=sys.argv[2])
host = {"PATH": sys.argv[3]}
print(base_image(connect(os.environ), None, host=host, cache=Path(sys.argv[4]), say=lambda line: None, names=names).id)
"""


def test_two_that_start_at_once_bootstrap_once(names, tmp_path, mmdebstrap):
    words = [sys.executable, "-c", STARTER, names.default, names.pulled, f"{mmdebstrap}:/usr/bin:/bin", str(tmp_path)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = {process.communicate()[0] for process in running}
    assert len(ids) == 1
    assert ids.pop().startswith("sha256:")
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_an_image_that_another_job_made_of_the_same_name_meanwhile_is_no_damage(client, names, tmp_path):
    with Proxy(tmp_path / "engine.sock") as proxy, ThreadPoolExecutor() as pool, closing(connect(proxy.host)) as slow:
        proxy.arm(Fault(where=FROM, after=b'{"status":"sha256:', at=0, what="delay", seconds=1.5))
        late = pool.submit(slow.import_image, io.BytesIO(filesystem("mine")), reference=names.default)
        while not proxy.struck:
            time.sleep(0.01)
        theirs = client.import_image(io.BytesIO(filesystem("theirs")), reference=names.default)
        assert late.result() == theirs
    mine = f"sha256:{hashlib.sha256(filesystem('mine')).hexdigest()}"
    left = subprocess.run(["docker", "images", "-qf", "dangling=true"], capture_output=True, text=True, check=True)
    for image in left.stdout.split():
        if client.image(image).layers == (mine,):
            client.remove_image(image)


def test_a_bootstrap_that_fails_leaves_no_image(client, names, tmp_path, mmdebstrap):
    (mmdebstrap / "mmdebstrap").write_text("#!/bin/sh\necho 'E: no such suite' >&2\nexit 25\n")
    with pytest.raises(SandboxUnavailable, match="E: no such suite"):
        take(client, names, host_with(mmdebstrap), tmp_path)
    assert client.image(names.default) is None


def test_where_nothing_works_it_is_said_what_to_install(client, names, tmp_path):
    with pytest.raises(SandboxUnavailable, match="mmdebstrap is not installed") as refused:
        take(client, names, {"PATH": str(tmp_path)}, tmp_path)
    assert "install mmdebstrap" in refused.value.hint


def saved(client, reference, path):
    client.import_image(io.BytesIO(filesystem(reference)), reference=reference)
    with path.open("wb") as file:
        subprocess.run(["docker", "save", reference], stdout=file, check=True)
    expected = client.image(reference).id
    client.remove_image(reference)
    return expected


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_a_saved_image_is_imported_as_the_default(client, names, tmp_path, packing):
    if packing == "zstd" and not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    path, reference = tmp_path / "image.tar", names.default.replace(":1", ":saved")
    expected = saved(client, reference, path)
    if packing == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if packing == "zstd":
        subprocess.run(["zstd", "-q", str(path), "-o", f"{path}.zst"], check=True)
        path = Path(f"{path}.zst")
    base = import_file(client, path, lambda line: None, names)
    assert (base.id, base.origin, base.name) == (expected, "imported", names.default)
    assert take(client, names, {}, tmp_path)[0].id == expected
    client.remove_image(reference)


def test_what_is_no_saved_image_is_refused(client, names, tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(b"\x28\xb5\x2f\xfdgarbage")
    with pytest.raises(SandboxUnavailable):
        import_file(client, path, lambda line: None, names)
    with pytest.raises(SandboxUnavailable, match="cannot read"):
        import_file(client, tmp_path / "missing", lambda line: None, names)
