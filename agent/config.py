"""The settings: defaults < the user's file < the environment < the command line, each value with its source.

Nothing that a repository holds can set an endpoint, a key, an image or a budget: no layer here is read from one.
"""

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from agent.errors import UsageProblem
from agent.redact import Secret
from agent.sourced import Kind, Layer, Sourced, checked, close_to, flat, merge, read_toml
from agent.task import Limits, Prices

__all__ = [
    "KEY_VARIABLES", "PROJECT_SETTINGS", "SANDBOX_KINDS", "Key", "Protocol", "SandboxKind", "Settings", "Thinking",
    "config_file", "is_setting", "load_settings", "take_key",
]  # fmt: skip

SandboxKind = Literal["docker", "local"]
Thinking = Literal["default", "enabled", "disabled"]
Protocol = Literal["auto", "tools", "text"]
SANDBOX_KINDS: tuple[str, ...] = get_args(SandboxKind)

PROJECT_SETTINGS = ("test", "build", "setup", "sealed")
"""What belongs to a project, and is said on the command line or in the repository."""

KEY_VARIABLES = ("RUNAPI_KEY", "RUNAPI_API_KEY", "RUNAPI_TOKEN")
"""Where a key is looked for, in this order; the key of another provider is never fallen back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the provider, and the variable in which it was found."""

    secret: Secret
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a command may be told besides its task."""

    model: str
    base_url: str
    key: Key | None
    """None where none was found; see `require_key`."""
    prices: Prices
    limits: Limits
    thinking: Thinking
    """`default` sends nothing about it and leaves the choice to the provider."""
    protocol: Protocol
    """How the model calls tools: natively (`tools`), in `text`, or in text where the server refuses them (`auto`)."""
    context: int
    """Tokens that the prompt and the reply may have together."""
    max_output: int
    """Tokens that one reply may have, reasoning included."""
    sandbox: SandboxKind
    image: str | None
    """The base image; None: the engine's own default."""
    idle_timeout: float
    """Seconds that a reply may stand still."""
    call_timeout: float
    """Seconds that a whole reply may take."""
    tokens_per_minute: int | None
    """What the provider allows, of prompts and caps; None: it is not kept to."""
    test_timeout: float
    """Seconds that one run of the test suite may take."""
    sources: Mapping[str, str]
    """Where each value came from, by its dotted name as in the configuration file."""

    @property
    def keyless(self) -> bool:
        """Whether the server is on this machine, and takes requests without a key."""
        return _is_loopback(self.base_url)

    def require_key(self) -> Secret | None:
        """The key to be sent; None is given only for a server on this machine.

        Raises:
            UsageProblem: there is no key, and the server is not on this machine.
        """
        if self.key:
            return self.key.secret
        if self.keyless:
            return None
        raise UsageProblem(f"no API key for {self.base_url}", hint=f"set the environment variable `{KEY_VARIABLES[0]}`")

    def layer(self) -> Layer:
        """Every setting with its source; of the key only whether there is one."""
        key = Sourced("present", self.key.source) if self.key else Sourced("absent", "not set")
        values = {name: Sourced(self._value(name), source) for name, source in self.sources.items()}
        return merge(values, {"key": key})

    def _value(self, name: str) -> object:
        value: object = self
        for part in name.split("."):
            value = getattr(value, part)
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _choice(*words: str) -> Kind:
    return Kind(str, lambda value: value in words, "one of " + ", ".join(f'"{word}"' for word in words))


_TEXT = Kind(str, lambda v: isinstance(v, str) and v != "" and v.strip() == v and v.isprintable(), "a text in one line")
_WHOLE = Kind(int, lambda v: _is_number(v) and isinstance(v, int) and v > 0, "a whole number above 0")
_ABOVE_ZERO = Kind(float, lambda v: _is_number(v) and v > 0, "a number above 0")
_AMOUNT = Kind(float, lambda v: _is_number(v) and v >= 0, "a number, 0 or more")

_KINDS = {
    "model": _TEXT,
    "base_url": _TEXT,
    "thinking": _choice(*get_args(Thinking)),
    "protocol": _choice(*get_args(Protocol)),
    "context": _WHOLE,
    "max_output": _WHOLE,
    "prices.input": _AMOUNT,
    "prices.cached": _AMOUNT,
    "prices.output": _AMOUNT,
    "limits.dollars": _ABOVE_ZERO,
    "limits.tokens": _WHOLE,
    "limits.calls": _WHOLE,
    "limits.iterations": _WHOLE,
    "limits.seconds": _ABOVE_ZERO,
    "limits.sandbox_seconds": _ABOVE_ZERO,
    "sandbox": _choice(*SANDBOX_KINDS),
    "image": _TEXT,
    "idle_timeout": _ABOVE_ZERO,
    "call_timeout": _ABOVE_ZERO,
    "tokens_per_minute": _WHOLE,
    "test_timeout": _ABOVE_ZERO,
}

_DEFAULTS: dict[str, object] = {
    "model": "kimi-k2.6",
    "base_url": "https://runapi.ai/v1",
    "thinking": "default",
    "protocol": "auto",
    "context": 262_144,
    "max_output": 32_768,
    **{f"limits.{limit.name}": limit.default for limit in fields(Limits)},
    "sandbox": "docker",
    "image": None,
    "idle_timeout": 180.0,
    "call_timeout": 1200.0,
    "tokens_per_minute": None,
    "test_timeout": 600.0,
}

_KNOWN_PRICES = {("runapi.ai", "kimi-k2.6"): Prices(input=0.48, cached=0.08, output=2.00)}
"""A price belongs to a model at a provider: the same model costs something else elsewhere."""

_PREFIX = "GREENWARD_"
_NO_SETTINGS = ("GREENWARD_ENGINE_", "GREENWARD_PROC", "GREENWARD_OUT", "GREENWARD_BUILD")
"""Variables of the scripts around the program, and of the inside of a sandbox."""


def take_key(environ: MutableMapping[str, str]) -> Key | None:
    """The key in `environ`, which is left without any of the key variables, so that no child process inherits one.

    Raises:
        UsageProblem: it holds characters that no key has; the message doesn't show it.
    """
    found = [(name, environ.pop(name).strip()) for name in KEY_VARIABLES if name in environ]
    for name, value in found:
        if not value:
            continue
        if not value.isascii() or not value.isprintable() or " " in value:
            raise UsageProblem(f"{name} holds characters that no key has", hint="copy the key again, as one word")
        return Key(secret=Secret(value), source=name)
    return None


def config_file(environ: Mapping[str, str]) -> Path | None:
    """The user's configuration file, which need not exist; None without a home.

    A relative `XDG_CONFIG_HOME` counts as unset: it would point into the repository that the command is run in.
    """
    for name, below in (("XDG_CONFIG_HOME", ""), ("HOME", ".config")):
        directory = Path(environ.get(name, ""))
        if directory.is_absolute():
            return directory / below / "greenward" / "config.toml"
    return None


def load_settings(environ: Mapping[str, str], flags: Mapping[str, object], *, key: Key | None) -> Settings:
    """Build the settings. `flags` has dotted names as in the file; a flag that is None was not given.

    Raises:
        UsageProblem: an unknown name, a wrong value, an endpoint in the clear, or a model without a known price.
    """
    merged = merge(
        {name: Sourced(value, "default") for name, value in _DEFAULTS.items()},
        _from_file(config_file(environ)),
        _from_environment(environ),
        _layer({name: value for name, value in flags.items() if value is not None}, "command line"),
    )
    merged = merge(merged, {"base_url": _endpoint(merged["base_url"])})
    merged = merge(_prices(merged), merged)
    if merged["max_output"].value >= merged["context"].value:
        raise UsageProblem("`max_output` is not below `context`", hint="lower the one or raise the other")
    return _settings(merged, key)


def is_setting(name: str) -> bool:
    """Whether `name`, dotted as in the file, is a setting of the user's."""
    return name in _KINDS or any(known.startswith(f"{name}.") for known in _KINDS)


def _layer(values: Mapping[str, object], source: str) -> Layer:
    return checked(values, _KINDS, source=lambda _: source, refuse=_unknown)


def _unknown(name: str, source: str) -> UsageProblem:
    if name in PROJECT_SETTINGS:
        place = "put it into `[tool.greenward]` of the project's pyproject.toml, or give"
        return UsageProblem(f"`{name}` belongs to a project ({source})", hint=f"{place} it as an option")
    if "key" in name:
        advice = f"a key is only read from the environment: `{KEY_VARIABLES[0]}`"
    else:
        advice = close_to(name, _KINDS) or "the settings are: " + ", ".join(_KINDS)
    return UsageProblem(f"unknown setting `{name}` ({source})", hint=advice)


def _from_file(path: Path | None) -> Layer:
    try:
        if path is None or not path.exists():
            return {}
        data = path.read_bytes()
    except OSError as error:
        hint = "mend the file, or move it away"
        raise UsageProblem(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    return _layer(dict(flat(read_toml(data, str(path)))), str(path))


def _from_environment(environ: Mapping[str, str]) -> Layer:
    names = {_variable(name): name for name in _KINDS}
    values: dict[str, object] = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX) or variable.startswith(_NO_SETTINGS) or not text:
            continue
        if variable not in names:
            hint = close_to(variable, names) or f"unset it; `{_PREFIX}...` is for settings"
            raise UsageProblem(f"the environment variable `{variable}` is no setting", hint=hint)
        values[names[variable]] = _parsed(_KINDS[names[variable]], text)
    return checked(values, _KINDS, source=_variable, refuse=_unknown)


def _variable(name: str) -> str:
    return _PREFIX + name.replace(".", "_").upper()


def _parsed(kind: Kind, text: str) -> object:
    """`text` as a value; a text that can't be one stays as it is, and is refused with the rest."""
    try:
        return kind.parse(text)
    except ValueError:
        return text


def _endpoint(given: Sourced) -> Sourced:
    """The address without a trailing slash, if a key may be sent there."""
    url: str = given.value
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageProblem(f"`base_url` is no address: {error} ({given.source})", hint=_ENDPOINT_HINT) from error
    if "@" in parts.netloc or parts.query or parts.fragment or not host or parts.scheme not in {"http", "https"}:
        raise UsageProblem(f"`base_url` is no plain address ({given.source})", hint=_ENDPOINT_HINT)
    if parts.scheme == "http" and not _is_loopback(url):
        raise UsageProblem(
            f"`base_url` would send key and code in the clear to {host} ({given.source})",
            hint="use https://; http:// is for a server on this machine",
        )
    return Sourced(url.rstrip("/"), given.source)


_ENDPOINT_HINT = "it is like https://runapi.ai/v1, with no user, query or fragment in it"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _prices(merged: Layer) -> Layer:
    """The known prices of the model at its provider, as a layer below what was given."""
    model, url = merged["model"].value, merged["base_url"].value
    known = _KNOWN_PRICES.get((urlsplit(url).hostname or "", model))
    source = f"known price of {model}"
    if known is None and _is_loopback(url):
        known, source = Prices(input=0.0, cached=0.0, output=0.0), "a server on this machine"
    if known is None:
        missing = [name for name in _KINDS if name.startswith("prices.") and name not in merged]
        if missing:
            raise UsageProblem(
                f"no price is known for `{model}` at {url}, so no budget could be kept",
                hint=f"give its dollars per million tokens: {', '.join(f'`{name}`' for name in missing)} in the"
                f" configuration file, or `{_variable(missing[0])}` and so on in the environment",
            )
        return {}
    return {f"prices.{name}": Sourced(getattr(known, name), source) for name in ("input", "cached", "output")}


def _settings(merged: Layer, key: Key | None) -> Settings:
    values = {name: merged[name].value for name in _KINDS}
    return Settings(
        key=key,
        prices=Prices(**_below("prices.", values)),
        limits=Limits(**_below("limits.", values)),
        sources={name: merged[name].source for name in _KINDS},
        **{name: value for name, value in values.items() if "." not in name},
    )


def _below(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
