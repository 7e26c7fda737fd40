"""Failures for want of something that the sandbox does not have, told by what they say; what is the code's is not."""

import pytest

from agent.environmental import Own, own_of, want_of
from agent.manifests import Project
from agent.testreport import Status, TestCase

OWN = Own(
    names=frozenset({"app", "tests", "shop-admin"}), declared=frozenset({"psycopg2-binary", "pyyaml", "requests"})
)
SUBPROCESS = "/usr/lib/python3.11/subprocess.py:1955: FileNotFoundError"
POOL = "HTTPConnectionPool(host='{}', port={}): Max retries exceeded (Caused by: [Errno 111] Connection refused)"


def want(message: str, detail: str = "") -> str:
    return want_of(TestCase(id="t.py::t", status=Status.FAILED, message=message, detail=detail), OWN)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "name resolution"),
        ("requests.exceptions.ConnectionError: ... NameResolutionError('x.org')", "name resolution"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "refused connection"),
        ("redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
         "refused connection"),
        ('connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused',
         "refused connection"),
        (POOL.format("10.0.0.7", 8000), "refused connection"),
        ("OSError: [Errno 101] Network is unreachable", "no network"),
        ("docker.errors.DockerException: Error while fetching server API version", "no container engine"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "missing library"),
        ("_tkinter.TclError: no display name and no $DISPLAY environment variable", "no display"),
        ("locale.Error: unsupported locale setting", "missing locale"),
        ("PermissionError: [Errno 13] Permission denied: '/dev/kmsg'", "not permitted in the sandbox"),
        ("PermissionError: [Errno 1] Operation not permitted", "not permitted in the sandbox"),
        ("assert 127 == 0  sh: 1: ffmpeg: not found", "missing executable (ffmpeg)"),
        ("ModuleNotFoundError: No module named 'psycopg2'", "missing module (psycopg2)"),
        ("ModuleNotFoundError: No module named 'yaml'", "missing module (yaml)"),
        ("ModuleNotFoundError: No module named 'tkinter'", "missing module (tkinter)"),
        ("ModuleNotFoundError: No module named 'requests.sessions'", "missing module (requests)"),
    ],
)  # fmt: skip
def test_what_a_sandbox_lacks_is_told_by_what_a_failure_says(message, wanted):
    assert want(message) == wanted
    assert want("failed on setup with an error", f">   it()\nE   {message}\n\nt.py:3: E") == wanted


@pytest.mark.parametrize(
    "message",
    [
        "assert 1 == 2",
        "ModuleNotFoundError: No module named 'app.cart'",
        "ModuleNotFoundError: No module named 'shop'",
        "ImportError: cannot import name 'total' from 'app'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'out.txt'",
        "ValueError: user: not found",
        "PermissionError: [Errno 13] Permission denied: 'out.txt'",
        POOL.format("127.0.0.1", 43215),
        POOL.format("localhost", 8000),
    ],
)
def test_what_the_code_may_mend_is_no_matter_of_the_environment(message):
    assert want(message) == ""


def test_a_program_is_missing_where_it_was_to_be_started():
    message = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"

    assert want(message.format("git"), SUBPROCESS) == "missing executable (git)"
    assert want(message.format("git")) == "", "a file of that name may be meant"
    assert want(message.format("shop-admin"), SUBPROCESS) == "", "the project installs it"


def test_a_module_is_missing_that_a_dependency_imports():
    detail = "/opt/venv/lib/python3.11/site-packages/sqlalchemy/pool.py:17: ModuleNotFoundError"

    assert want("ModuleNotFoundError: No module named 'oracledb'", detail) == "missing module (oracledb)"
    assert want("ModuleNotFoundError: No module named 'oracledb'", "app/db.py:1: in <module>") == ""


def test_a_server_of_the_tests_own_is_told_by_its_address_in_the_traceback():
    detail = "address = ('127.0.0.1', 39127)\nE   ConnectionRefusedError: [Errno 111] Connection refused"

    assert want("ConnectionRefusedError: [Errno 111] Connection refused", detail) == ""


def test_what_is_the_projects_own_is_read_from_its_files():
    files = {
        "pyproject.toml": '[project]\nname = "Shop"\ndependencies = ["click>=8"]\n[project.optional-dependencies]\n'
        'pg = ["psycopg2-binary"]\n[project.scripts]\nshop-admin = "shop.cli:main"\n',
        "requirements-dev.txt": "PyYAML==6\n",
        "src/shop/cli.py": "",
    }
    own = own_of(Project(read=lambda path: files[path].encode() if path in files else None, paths=files.keys()))

    assert {"shop", "cli", "shop-admin", "Shop"} <= own.names
    assert own.declared == {"click", "psycopg2-binary", "pyyaml"}
