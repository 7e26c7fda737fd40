"""A package's tests in an ordinary container, by `docker run` and a dozen lines of shell: what the judge is held to.

Nothing of greenward's runs there but the requirements of its recipe: the package is installed by pip, and the tests
are run by an ordinary user.
"""

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from agent.junit import parse
from agent.recipe import Recipe
from agent.testreport import TestReport
from sandbox.engine import Client
from sandbox.host import host_settings
from sandbox.images import base_image

__all__ = ["SECONDS", "Files", "downloaded", "packed", "plain_run", "say"]

Files = Mapping[str, tuple[bytes, bool]]
"""Contents by path, and whether they are executable."""

SECONDS = 600.0
"""For one run of a suite."""
SCRIPT = """
set -e
tar -xf - -C /run/room
. /run/room/settings.sh
python3 -m venv /venv
PATH=/venv/bin:$PATH
cp -r /run/room/tree /work
cd /work
python -m pip install -q --no-cache-dir -r /run/room/build.txt
[ ! -s /run/room/requirements.txt ] || python -m pip install -q --no-cache-dir -c /run/room/constraints.txt \\
    -r /run/room/requirements.txt
python -m pip install -q --no-cache-dir --no-deps --no-build-isolation -e .
useradd --no-create-home someone
chown -R someone /work
code=0
began=$(date +%s.%N)
env -i PATH="$PATH" HOME=/tmp LANG=C.UTF-8 setpriv --reuid someone --clear-groups \\
    sh -c '{test} --junitxml=/tmp/junit.xml -o junit_family=xunit1' >&2 || code=$?
echo "$code $began $(date +%s.%N)"
cat /tmp/junit.xml
"""


def downloaded(name: str, version: str, directory: Path) -> Files:
    """The source distribution, unpacked in memory."""
    say(f"{name}: downloading {version}")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, f"{name}=={version}"]
    target = directory / name
    subprocess.run([*command, "-d", str(target)], check=True, capture_output=True)
    files = {}
    with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content:
                files[member.name.partition("/")[2]] = (content.read(), bool(member.mode & 0o100))
    return files


def plain_run(client: Client, recipe: Recipe, files: Files, cache: Path) -> TestReport:
    """What the tests show in an ordinary container, and the seconds that they alone took."""
    image = base_image(client, None, host=os.environ, cache=cache, say=say).id
    settings = host_settings(os.environ)
    exports = settings.exports() + ("export PIP_CERT=/run/room/authorities.pem\n" if settings.authorities else "")
    room = {f"tree/{path}": content for path, content in files.items()}
    lists = {path: data for path, data in recipe.setup.files.items() if path.endswith(".txt")}
    room |= {path.rpartition("/")[2]: (data, False) for path, data in lists.items()}
    room |= {"settings.sh": (exports.encode(), False), "authorities.pem": (settings.authorities, False)}
    command = ["docker", "run", "--rm", "-i", "--init", "--tmpfs", "/run/room:exec", image, "sh", "-c"]
    script = SCRIPT.replace("{test}", recipe.test)
    done = subprocess.run([*command, script], input=packed(room), capture_output=True, timeout=SECONDS, check=False)
    first, _, xml = done.stdout.partition(b"\n")
    if not first:
        return TestReport(problem=done.stderr.decode(errors="replace")[-3000:])
    code, began, ended = first.split()
    return parse(xml or None, exit_code=int(code), output=done.stderr, seconds=float(ended) - float(began))


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, (data, executable) in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), 0o755 if executable else 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
