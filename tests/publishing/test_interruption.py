"""Whoever stops `publish` is told what was sent by then, and may give the same command again."""

import signal
import threading

import pytest

from tests.e2e.harness import ended, start, variables
from tests.publishing.forge import PROJECT, Forge, Hiccup, bare_of, serving
from tests.publishing.proposals import CANARY, propose, target_of


@pytest.mark.parametrize(
    ("method", "acts", "number", "told"),
    [
        ("GET", False, signal.SIGTERM, "hint: nothing was sent; the same command"),
        (
            "POST",
            True,
            signal.SIGINT,
            "hint: sent by now: the branch {branch}; on its way, and perhaps there: the request;",
        ),
    ],
)
def test_an_interruption_is_130_and_the_same_command_goes_on(tmp_path, method, acts, number, told):
    root, goes_on = target_of(tmp_path / "target"), threading.Event()
    propose(root, tmp_path / "out")
    with serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as forge:

        def publish():
            return start(
                "publish", tmp_path / "out", "--repo", root, "--to", "github", "--project", PROJECT, "--target", "main",
                "--remote", f"{forge.url}/git/remote.git", "--api-url", f"{forge.url}/api/v3",
                environment=variables(key=None, GITHUB_TOKEN=CANARY),
            )  # fmt: skip

        forge.hiccups.append(Hiccup(method=method, acts=acts, lasts=goes_on))
        process = publish()
        assert forge.waiting.wait(60)
        process.send_signal(number)
        ran = ended(process)
        goes_on.set()
        branches = [name.removeprefix("refs/heads/") for name in forge.branches() if "/greenward/" in name]
        assert (ran.code, ran.out) == (130, "")
        assert "error: interrupted\n\n" + told.format(branch=branches[0] if branches else "") in ran.err
        assert "resume" not in ran.err
        assert bool(branches) == (method == "POST")

        again = ended(publish())
        assert again.code == 0, again.said
        assert len(forge.requests) == 1
