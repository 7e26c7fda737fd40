"""An environment is made once for its content, with a network, and keeps nothing of the host."""

import io
import os
import subprocess
import sys
import uuid
import zipfile

import pytest

from sandbox import Setup, SetupFailed
from sandbox.engine import connect
from sandbox.hints import hint_for
from sandbox.host import host_settings
from sandbox.images import DEFAULT
from sandbox.localengine import LocalEngine
from sandbox.setup import DockerEngine, setup_key


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def client():
    client = connect(os.environ)
    yield client
    client.close()


@pytest.fixture
def made(client):
    """Environments that the test made; they are removed after it."""
    images = []
    yield images
    for image in images:
        client.remove_image(image.id)


@pytest.fixture
def prepare(client, cache, made):
    def prepare(setup, host=os.environ, seconds=600.0):
        said = []
        environment = DockerEngine(client, host=host, cache=cache, seconds=seconds).prepare(setup, said.append)
        if not environment.cached:
            made.append(environment)
        return environment, said

    return prepare


def in_it(environment, script):
    command = ["docker", "run", "--rm", "--network", "none", environment.id, "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def wheel():
    """A package with one module, as pip takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("thing.py", "x = 'installed'\n")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


WHEEL = "deep/er/thing-1.0-py3-none-any.whl"
SYSTEM = "python -c 'import wheel' 2>/dev/null && echo shows the packages of the image || echo shows its own packages"


@pytest.fixture(scope="module")
def installed(client, cache):
    """An environment with a package in it, as it was made and as it is found again."""
    setup = Setup(files={WHEEL: wheel()}, script=f"pip install --no-index {WHEEL}; : {uuid.uuid4()}")
    said = []
    first, second = (DockerEngine(client, host=os.environ, cache=cache).prepare(setup, said.append) for _ in range(2))
    yield first, second, said
    client.remove_image(first.id)


@pytest.mark.docker
def test_an_environment_is_made_once_for_its_content(installed):
    first, second, said = installed
    assert (first.cached, second.cached, second.id) == (False, True, first.id)
    assert [line for line in said if line.startswith("setting up")] == said[:1]


@pytest.mark.docker
def test_what_is_installed_is_in_the_python_that_commands_find(installed):
    script = f"which python; python -c 'import thing, sys; print(thing.x, sys.prefix)'; {SYSTEM}"
    assert in_it(installed[0], script).splitlines() == [
        "/opt/greenward/bin/python",
        "installed /opt/greenward",
        "shows its own packages",
    ]


@pytest.mark.docker
def test_what_a_build_installs_into_its_own_place_is_seen_with_its_editable_links(installed):
    script = """
        site=$(python -c 'import sys; print("/build/lib/python%d.%d/site-packages" % sys.version_info[:2])')
        mkdir -p $site /elsewhere
        echo /elsewhere > $site/editable.pth
        echo 'x = "direct"' > $site/direct.py
        echo 'x = "linked"' > /elsewhere/linked.py
        echo 'x = "built"' > /elsewhere/thing.py
        python -c 'import direct, linked, thing; print(direct.x, linked.x, thing.x)'
    """
    assert in_it(installed[0], script) == "direct linked built\n"


@pytest.mark.docker
def test_packages_of_an_image_are_seen_if_the_user_named_it(prepare):
    environment, _ = prepare(Setup(image=DEFAULT, script=f": {uuid.uuid4()}"))
    assert in_it(environment, SYSTEM) == "shows the packages of the image\n"


@pytest.mark.docker
def test_a_container_of_an_environment_is_not_taken_for_an_orphan(client, installed):
    labels = client.image(installed[0].id).labels
    assert (labels["greenward.owner"], labels["greenward.boot"]) == ("", "")


ORPHAN = """
import os, sys, tempfile
from pathlib import Path
from sandbox import Setup
from sandbox.engine import connect
from sandbox.setup import DockerEngine
setup = Setup(script=sys.argv[1])
DockerEngine(connect({}), host={}, cache=Path(tempfile.mkdtemp())).prepare(setup, lambda line: print(line, flush=True))
"""


@pytest.mark.docker
def test_a_setup_whose_process_died_is_found_as_an_orphan(client):
    script = f"echo running; sleep 600 # {uuid.uuid4()}"
    process = subprocess.Popen([sys.executable, "-c", ORPHAN, script], stdout=subprocess.PIPE, text=True)
    assert "running\n" in iter(process.stdout.readline, "")
    process.kill()
    process.wait()
    process.stdout.close()
    key = setup_key(Setup(script=script), client.image(DEFAULT).id)
    (left,) = client.containers(f"greenward.setup={key}")
    assert left.labels["greenward.owner"] == str(process.pid)
    client.remove(left.id)


SECRETS = {
    "PIP_INDEX_URL": "https://jane:hunter2-index@hunter2-a.invalid/simple",
    "PIP_EXTRA_INDEX_URL": "https://jane:hunter2-extra@hunter2-b.invalid/simple file:///srv/packages",
    "https_proxy": "http://jane:hunter2-proxy@hunter2-c.invalid:3128",
    "AWS_SECRET_ACCESS_KEY": "hunter2-unrelated",
}


@pytest.mark.docker
def test_neither_settings_nor_certificates_nor_manifests_of_the_host_stay_in_the_image(prepare, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("hunter2-authority\n")
    shown = """
        test "$PIP_INDEX_URL" = https://jane:hunter2-index@hunter2-a.invalid/simple
        test "$PIP_EXTRA_INDEX_URL" = https://jane:hunter2-extra@hunter2-b.invalid/simple
        test "$HTTPS_PROXY" = http://jane:hunter2-proxy@hunter2-c.invalid:3128
        test "$https_proxy" = "$HTTPS_PROXY"
        test -z "$AWS_SECRET_ACCESS_KEY"
        for file in "$SSL_CERT_FILE" "$REQUESTS_CA_BUNDLE" "$PIP_CERT" "$CURL_CA_BUNDLE" "$GIT_SSL_CAINFO" \\
            "$NODE_EXTRA_CA_CERTS"; do grep -q hunter2-authority "$file"; done
        grep -q hunter2-manifest private.txt
    """
    setup = Setup(files={"private.txt": b"hunter2-manifest"}, script=f"{shown}\n: {uuid.uuid4()}")
    environment, _ = prepare(setup, host={**os.environ, **SECRETS, "PIP_CERT": str(bundle)})
    for command in (["history", "--no-trunc", environment.id], ["inspect", environment.id]):
        assert "hunter2" not in subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout
    look = "grep -rl hunter2 / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev || echo nowhere"
    assert in_it(environment, look) == "nowhere\n"


@pytest.mark.docker
def test_a_setup_that_fails_says_why_without_credentials_and_leaves_nothing(client, prepare):
    setup = Setup(
        script=f'echo "looking at $PIP_INDEX_URL"; echo "No matching distribution found for x"; exit 3 # {uuid.uuid4()}'
    )
    with pytest.raises(SetupFailed, match="exit code 3") as failed:
        prepare(setup, host={**os.environ, **SECRETS})
    assert failed.value.log == (
        "looking at https://***@hunter2-a.invalid/simple\nNo matching distribution found for x\n"
    )
    assert "a requirement cannot be had" in failed.value.hint
    key = setup_key(setup, client.image(DEFAULT).id)
    assert client.containers(f"greenward.setup={key}") == ()


@pytest.mark.docker
def test_what_another_job_made_meanwhile_is_taken(client, cache, made):
    """Jobs that are containers have a directory each for their locks, and do not wait for one another."""
    setup, theirs = Setup(script=f"echo begun; sleep 1; echo {uuid.uuid4().hex}"), []
    key = setup_key(setup, client.image(DEFAULT).id)

    def heard(line):
        if line == "begun":
            other = docker("create", DEFAULT)
            theirs.append(
                docker("commit", "--change", f"LABEL greenward.setup={key}", other, f"greenward-env:{key[:32]}")
            )
            docker("rm", other)

    made.append(DockerEngine(client, host=os.environ, cache=cache).prepare(setup, heard))
    assert [made[-1].id] == theirs


def test_the_first_failing_command_of_a_script_ends_the_setup(prepare):
    with pytest.raises(SetupFailed, match="exit code 1"):
        prepare(Setup(script="false\ntrue"))


@pytest.mark.docker
def test_a_setup_that_takes_too_long_is_stopped(client, prepare):
    setup = Setup(script=f"echo begun; sleep 600 # {uuid.uuid4()}")
    with pytest.raises(SetupFailed, match="more than 3 s"):
        prepare(setup, seconds=3.0)
    key = setup_key(setup, client.image(DEFAULT).id)
    assert client.containers(f"greenward.setup={key}") == ()


def test_the_key_changes_with_all_that_the_environment_depends_on():
    setups = [
        Setup(),
        Setup(script="x"),
        Setup(files={"a": b"1"}),
        Setup(files={"a": b"2"}),
        Setup(files={"b": b"1"}),
        Setup(image="named"),
    ]
    keys = {setup_key(setup, base) for setup in setups for base in ("sha256:1", "sha256:2")}
    assert len(keys) == 2 * len(setups)
    assert setup_key(Setup(files={"a": b"1", "b": b"2"}), "x") == setup_key(Setup(files={"b": b"2", "a": b"1"}), "x")


def test_pips_configuration_is_read_and_local_places_are_left_out(private_home):
    (private_home / ".config/pip").mkdir(parents=True)
    (private_home / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://packages.invalid/simple\nfind-links =\n    ./wheels\n    /opt/wheels\n"
        "    https://links.invalid/\ntimeout = 7\n[install]\nextra-index-url = file:///srv/simple\n"
    )
    host = {"HOME": str(private_home), "PIP_TIMEOUT": "9", "NO_PROXY": "localhost"}
    variables = host_settings(host).variables
    assert {name: value for name, value in variables.items() if name != "PIP_EXTRA_INDEX_URL"} == {
        "PIP_INDEX_URL": "https://packages.invalid/simple",
        "PIP_FIND_LINKS": "https://links.invalid/",
        "PIP_TIMEOUT": "9",
        "no_proxy": "localhost",
        "NO_PROXY": "localhost",
    }
    assert "file:" not in variables.get("PIP_EXTRA_INDEX_URL", "")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate", "SSL_CERT_FILE"),
        ("<urlopen error [Errno -3] Temporary failure in name resolution>", "cannot resolve names"),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "must be compiled"),
        ("sh: 1: cargo: not found", "must be compiled"),
        ("ERROR: No matching distribution found for nonesuch", "misspelt"),
        ("ERROR: ResolutionImpossible: for help", "contradict each other"),
        ("ensurepip is not available", "python3-venv"),
        ("something else", "the end of its log says more"),
    ],
)
def test_a_log_leads_to_a_hint(log, expected):
    assert expected in hint_for(log)


def test_the_local_engine_makes_a_virtual_environment_once(tmp_path):
    engine = LocalEngine(host=os.environ, cache=tmp_path)
    setup = Setup(files={"a/note": b"hello"}, script='cp a/note "$VIRTUAL_ENV/note"; python -c "print(1)"')
    first, second = (engine.prepare(setup, lambda line: None) for _ in range(2))
    assert (tmp_path / first.id / "note").read_text() == "hello"
    assert (first.origin, first.cached, second.cached, second.id) == ("local", False, True, first.id)


def test_the_local_engine_shows_what_a_build_installs_where_it_is_told_to(tmp_path):
    environment = LocalEngine(host=os.environ, cache=tmp_path).prepare(Setup(), lambda line: None)
    python = f"{environment.id}/bin/python"
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    site = tmp_path / f"built/lib/python{version.stdout.strip()}/site-packages"
    site.mkdir(parents=True)
    (site / "direct.py").write_text("x = 5")
    variables = {"GREENWARD_BUILD": str(tmp_path / "built")}
    done = subprocess.run(
        [python, "-c", "import direct; print(direct.x)"], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "5\n"


def test_a_local_setup_that_fails_is_tried_again_the_next_time(tmp_path):
    engine = LocalEngine(host=os.environ, cache=tmp_path)
    setup = Setup(script=f"echo no; test -e {tmp_path}/ready")
    with pytest.raises(SetupFailed, match="exit code 1") as failed:
        engine.prepare(setup, lambda line: None)
    assert failed.value.log == "no\n"
    (tmp_path / "ready").touch()
    assert engine.prepare(setup, lambda line: None).cached is False
