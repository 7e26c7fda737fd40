"""Where a model is served, and under which name, key and limits."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from agent.errors import UsageProblem
from agent.models.capabilities import CapField

__all__ = ["Endpoint", "Protocol"]

Protocol = Literal["auto", "tools", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible endpoint and one of its models.

    Raises:
        UsageProblem: the URL is not safe to send a key to, or there is no usable key for a host elsewhere.
    """

    base_url: str
    """As `https://host/v1`; plain `http` for loopback alone."""
    model: str
    key: str = field(default="", repr=False)
    """May be empty on loopback."""
    context: int = 262_144
    """Tokens of prompt and output together."""
    cap_field: CapField = "max_completion_tokens"
    """The field for the output cap: `max_completion_tokens` or `max_tokens`."""
    thinking: Mapping[str, str] | None = None
    """The body field `thinking`, as `{"type": "disabled"}`; None sends none."""
    protocol: Protocol = "auto"
    """How tools are called: natively (`tools`), in `text`, or in text where the endpoint refuses them (`auto`)."""
    prompt_cache_key: str | None = None
    idle: float = 180.0
    """Seconds without a byte after which a call is given up."""
    total: float = 900.0
    """Seconds that a call may take from the first byte sent; a silent stream may overrun it by `idle`."""
    trust_env: bool = True
    """Whether the operator's proxy and certificate variables hold; never a proxy to loopback."""

    def __post_init__(self) -> None:
        url = _split(self.base_url)
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment:
            raise UsageProblem(f"not a base URL: {self.base_url}", hint="give one like https://host/v1")
        if url.username or url.password:
            raise UsageProblem("the base URL holds credentials", hint="give the key by itself")
        if url.scheme == "http" and not self.loopback:
            raise UsageProblem(f"{self.base_url} is not encrypted", hint="use https://; http:// is for loopback alone")
        if not self.key and not self.loopback:
            raise UsageProblem(f"no API key for {url.hostname}", hint="set RUNAPI_KEY")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise UsageProblem("the API key holds characters that no key has", hint="copy the key again")
        if self.cap_field not in ("max_completion_tokens", "max_tokens"):
            raise UsageProblem(f"unknown field for the output cap: {self.cap_field}", hint="max_completion_tokens")

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken to it; to this machine it need not be."""
        return _split(self.base_url).scheme == "https"

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine."""
        host = _split(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UsageProblem(f"not a base URL: {error}", hint="give one like https://host/v1") from None
