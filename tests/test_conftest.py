"""The guards of the suite itself hold."""

import os
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


def test_a_connection_to_another_machine_is_refused():
    with socket.socket() as connection, pytest.raises(RuntimeError, match="connects to 192"):
        connection.connect(("192.0.2.1", 80))


def test_a_datagram_to_another_machine_is_refused():
    with socket.socket(type=socket.SOCK_DGRAM) as connection, pytest.raises(RuntimeError, match="connects to 192"):
        connection.sendto(b"x", ("192.0.2.1", 53))


def test_a_name_is_not_looked_up():
    with pytest.raises(RuntimeError, match="looks up"):
        urllib.request.urlopen("http://example.org/", timeout=1)


def test_loopback_and_local_sockets_are_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_the_home_is_private_and_empty(private_home):
    assert os.environ["HOME"] == str(private_home)
    assert list(private_home.iterdir()) == []


@pytest.mark.parametrize("marker", ["browser", "docker"])
def test_what_is_missing_is_skipped_with_a_reason_or_an_error_where_it_is_required(tmp_path, marker):
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(): pass\n")
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-c", root / "pyproject.toml", "--rootdir", tmp_path]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", tmp_path]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("REQUIRE_")}
    plain |= {"PATH": "/nowhere", "PYTHONPATH": str(root)}

    def run(**variables):
        return subprocess.run(
            command, cwd=root, env={**plain, **variables}, capture_output=True, text=True, check=False
        )

    skipped = run()
    assert skipped.returncode == 0, skipped.stdout + skipped.stderr
    assert re.search(r"SKIPPED .*: (no Docker engine answers|there is no Chromium on the PATH)", skipped.stdout)
    required = run(**{f"REQUIRE_{marker.upper()}": "1"})
    assert required.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"REQUIRE_{marker.upper()}=1, but " in required.stdout + required.stderr


def test_what_is_not_to_be_counted_as_covered_is_counted_neither_here_nor_in_its_processes(tmp_path):
    files = {
        "here.py": "def marked():\n    return 1\n\n\ndef plain():\n    return 2\n",
        "test_it.py": (
            "import subprocess, sys\n\nimport here\nimport pytest\n\n\n"
            "@pytest.mark.untraced\ndef test_marked():\n    here.marked()\n"
            "    subprocess.run([sys.executable, '-c', 'import apart'], check=True)\n\n\n"
            "def test_plain():\n    here.plain()\n"
            "    subprocess.run([sys.executable, '-c', 'import besides'], check=True)\n"
        ),
        "apart.py": "made = 1\n",
        "besides.py": "made = 2\n",
        ".coveragerc": "[run]\nparallel = true\npatch = subprocess\nsource = .\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    root = Path(__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "REQUIRE_"))}
    environment |= {"PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"}

    def run(*arguments):
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    ran = run("coverage", "run", "-m", "pytest", "-q", "-c", str(root / "pyproject.toml"), "--rootdir", ".", "-p",
              "tests.conftest", "-p", "no:cacheprovider", ".")  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    run("coverage", "combine")
    missed = dict(re.findall(r"(?m)^(\w+)\.py .*% *(.*)$", run("coverage", "report", "-m").stdout))
    assert (missed["here"], missed["apart"], missed["besides"]) == ("2", "1", "")
