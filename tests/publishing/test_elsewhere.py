"""A remote or a forge that leads elsewhere gets no further: nobody but the host that was named is sent anything."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.harness import greenward, variables
from tests.publishing.forge import PROJECT, Forge, bare_of, serving
from tests.publishing.proposals import CANARY, propose, target_of


@contextmanager
def leading(to):
    """A server that answers whatever it is asked by sending the client to another one."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(307)
            self.send_header("Location", f"{to}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _any  # noqa: N815 - the names are of http.server

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("leads", "told"), [("remote", "the remote repository: "), ("api", "came to 307")])
def test_who_is_led_elsewhere_does_not_follow(tmp_path, leads, told):
    root = target_of(tmp_path / "target")
    propose(root, tmp_path / "out")
    with (
        serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as named,
        serving(Forge(remote=named.remote, token=CANARY)) as elsewhere,
        leading(elsewhere.url) as led,
    ):
        hosts = {"remote": named.url, "api": named.url} | {leads: led}
        remote = f"{hosts['remote']}/git/remote.git"
        ran = greenward(
            "publish", tmp_path / "out", "--repo", root, "--to", "github", "--remote", remote,
            environment=variables(
                key=None, GITHUB_TOKEN=CANARY, GITHUB_REPOSITORY=PROJECT, GITHUB_API_URL=f"{hosts['api']}/api/v3",
                GITHUB_REF_NAME="main", GITHUB_REF_TYPE="branch",
            ),
        )  # fmt: skip
        assert elsewhere.heads == []
    assert ran.code == 11, ran.said
    assert told in ran.err
    assert not [name for name in named.branches() if "greenward" in name]
