"""Why an engine cannot be talked to, and what to do about it."""

import socket
import ssl
from urllib.parse import urlsplit

from sandbox.contained import container_mark
from sandbox.endpoint import Endpoint

__all__ = ["advice", "cause_of"]

WANTS_TLS = "HTTP request to an HTTPS server"


def cause_of(error: BaseException) -> str:
    """What went wrong at the bottom of `error`, which the SDK and HTTP wrap up once each."""
    return str(_innermost(error)).strip() or str(error).strip()


def advice(endpoint: Endpoint, error: BaseException) -> str:
    """What to do where talking to the engine at `endpoint` ended with `error`."""
    found = _innermost(error)
    if isinstance(found, ssl.SSLError):
        return _about_certificates(endpoint, found)
    if WANTS_TLS in str(error):
        return "it wants TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with its certificates"
    if isinstance(found, socket.gaierror):
        name = urlsplit(endpoint.url).hostname
        return f"nothing is called `{name}` here: is the service running, and is that its alias?"
    if isinstance(found, ConnectionRefusedError) and not endpoint.url.startswith("unix:"):
        return (
            f"nobody listens at {endpoint.url}: read the log of the engine's service, which may have to be privileged"
        )
    if "://" not in endpoint.url:
        return "DOCKER_HOST is like tcp://docker:2376 or unix:///var/run/docker.sock"
    asked = f"is the engine running, and may you use {endpoint.url}? see `docker info`"
    if isinstance(found, FileNotFoundError) and container_mark():
        return f"{asked}; this is a container: give it the engine's socket, or a `dind` service and DOCKER_HOST"
    return asked


def _about_certificates(endpoint: Endpoint, error: ssl.SSLError) -> str:
    place = endpoint.directory
    files = {"ca.pem": endpoint.ca, "cert.pem": endpoint.certificate, "key.pem": endpoint.key}
    missing = [name for name, path in files.items() if path is None]
    if "WRONG_VERSION_NUMBER" in str(error):
        return "it does not speak TLS: unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or take its other port"
    if missing:
        return (
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in {place}: DOCKER_CERT_PATH names the"
            " directory in which the engine's service leaves ca.pem, cert.pem and key.pem"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {endpoint.url} is not one for that name by {place}/ca.pem: are both of one service?"
    return f"{place} has to hold the ca.pem of this very engine, and cert.pem with its key.pem that it knows"


def _innermost(error: BaseException) -> BaseException:
    """What `error` came of; HTTP keeps it as an argument where it did not raise it itself."""
    found = error
    while True:
        held = next((each for each in found.args if isinstance(each, BaseException)), None)
        below = found.__cause__ or found.__context__ or held
        if below is None:
            return found
        found = below
