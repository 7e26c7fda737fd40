"""What of the host's network settings goes into the setup of an environment, and never into a run."""

import configparser
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["HostSettings", "host_settings"]

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
PIP = (
    "index-url",
    "extra-index-url",
    "find-links",
    "trusted-host",
    "default-timeout",
    "timeout",
    "retries",
    "no-index",
)
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
KNOWN_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What a setup needs to reach the network as the host does."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """Proxies, and where pip finds its packages."""
    authorities: bytes = b""
    """The certificate authorities that the host trusts, as PEM; empty: what the image has."""

    def exports(self) -> str:
        """Shell that sets the variables."""
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.variables.items())

    def redacted(self, text: str) -> str:
        """`text` without the credentials that stand in the URLs of the variables."""
        for value in self.variables.values():
            for credentials in USERINFO.findall(value):
                text = text.replace(credentials, "***")
                for part in credentials.split(":"):
                    text = text.replace(part, "***") if len(part) >= 6 else text
        return text


def host_settings(host: Mapping[str, str]) -> HostSettings:
    """The settings that `host` (the variables of a process) and the pip configuration that it leads to state.

    Paths and `file:` addresses are left out: the host's files are not in a container.
    """
    variables = {}
    for name in PROXIES:
        value = host.get(name) or host.get(name.upper())
        if value:
            variables[name] = variables[name.upper()] = value
    configured = _configured(host)
    for option in PIP:
        key = "PIP_" + option.upper().replace("-", "_")
        value = " ".join(word for word in (host.get(key) or configured.get(option, "")).split() if not _local(word))
        if value:
            variables[key] = value
    return HostSettings(variables=variables, authorities=_authorities(host, configured))


def _local(word: str) -> bool:
    return word.startswith(("file:", "/", ".", "~")) or bool(re.match(r"[A-Za-z]:\\", word))


def _configured(host: Mapping[str, str]) -> dict[str, str]:
    """Pip's own configuration files, the later ones over the earlier ones, as pip reads them."""
    if host.get("PIP_CONFIG_FILE") == "/dev/null":
        return {}
    values: dict[str, str] = {}
    for path in _files(host):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(errors="replace"))
        except (OSError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= {key.replace("_", "-"): value for key, value in parser[section].items()}
    return values


def _files(host: Mapping[str, str]) -> Iterable[Path]:
    yield Path("/etc/pip.conf")
    yield from (Path(at) / "pip/pip.conf" for at in host.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if at)
    if home := host.get("HOME"):
        yield Path(home) / ".pip/pip.conf"
        yield Path(host.get("XDG_CONFIG_HOME") or f"{home}/.config") / "pip/pip.conf"
    if prefix := host.get("VIRTUAL_ENV"):
        yield Path(prefix) / "pip.conf"
    if named := host.get("PIP_CONFIG_FILE"):
        yield Path(named)


def _authorities(host: Mapping[str, str], configured: Mapping[str, str]) -> bytes:
    named = [host.get("PIP_CERT", ""), configured.get("cert", ""), *(host.get(name, "") for name in BUNDLES)]
    for path in filter(None, [*named, *KNOWN_BUNDLES]):
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return b""
