"""An engine behind TCP: certificates as a `dind` service leaves them, and a way through TLS to the engine here."""

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from tests.sandbox.proxy import ENGINE

NAMES = "subjectAltName=DNS:docker,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def certificates(top: Path) -> Path:
    """Make `top` with an authority, and with `server` and `client`, which hold ca.pem, cert.pem and key.pem each."""
    top.mkdir(parents=True)
    openssl(top, "req", "-x509", *NEW_KEY, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    (top / "names").write_text(NAMES)
    for role in ("server", "client"):
        place = top / role
        place.mkdir()
        (place / "ca.pem").write_bytes((top / "ca.pem").read_bytes())
        openssl(place, "req", *NEW_KEY, "-keyout", "key.pem", "-out", "request.pem", "-subj", f"/CN={role}")
        openssl(
            place, "x509", "-req", "-in", "request.pem", "-CA", "../ca.pem", "-CAkey", "../ca-key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", "../names", "-out", "cert.pem",
        )  # fmt: skip
    return top


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Forwarder:
    """Listens on loopback, with TLS if it is given a server's certificates, and passes everything on to the engine."""

    def __init__(self, port: int = 0, server: Path | None = None) -> None:
        self._context = None
        if server is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server / "ca.pem")
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_cert_chain(server / "cert.pem", server / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"tcp://localhost:{self._listener.getsockname()[1]}"
        self.accepted = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._pass_on, args=(accepted,), daemon=True).start()

    def _pass_on(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(accepted)
            here = (
                stack.enter_context(self._context.wrap_socket(accepted, server_side=True))
                if self._context
                else accepted
            )
            there = stack.enter_context(socket.socket(socket.AF_UNIX))
            there.connect(ENGINE)
            back = threading.Thread(target=_pump, args=(there, here), daemon=True)
            back.start()
            _pump(here, there)
            back.join()


def _pump(source, target) -> None:
    with contextlib.suppress(OSError, ValueError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for each in (source, target):
        with contextlib.suppress(OSError, ValueError):
            each.shutdown(socket.SHUT_RDWR)
