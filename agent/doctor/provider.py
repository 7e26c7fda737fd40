"""The key, and the server that it opens."""

from difflib import get_close_matches

from agent.config import KEY_VARIABLES, Settings
from agent.doctor import Context, Finding, ok, problem, skipped, warning
from agent.errors import ModelProblem, ProviderRefused, UsageProblem
from agent.models import ModelError
from agent.models.endpoint import Endpoint
from agent.models.memory import ENDPOINTS, Memory
from agent.models.openai import OpenAIModel
from agent.models.probe import Finding as Probed
from agent.models.probe import probe_all
from sandbox.engines import cache_directory

__all__ = ["check_abilities", "check_endpoint", "check_key", "of_error", "of_models", "of_probes"]

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
IDLE, TOTAL = 15.0, 30.0
"""Seconds without a byte, and for the whole answer."""
MODELS_SHOWN = 12


def check_key(context: Context) -> Finding:
    """Whether there is a key, and where it was found; never the key itself."""
    key = context.key()
    settings = context.usable_settings()
    if key is not None:
        return ok(f"present, from {key.source}")
    if settings is not None and settings.keyless:
        return ok(f"none, and none is needed for {settings.base_url}")
    return problem(
        "there is none", f"set the environment variable `{KEY_VARIABLES[0]}` to your API key", UsageProblem.exit_code
    )


def check_endpoint(context: Context) -> Finding:
    """Whether the server answers, takes the key and serves the model; costs nothing."""
    settings = _askable(context)
    if isinstance(settings, Finding):
        return settings
    context.say(f"asking {settings.base_url} for its models")
    try:
        with OpenAIModel(_endpoint(settings)) as model:
            served = model.available()
    except ModelError as error:
        return of_error(error, settings, _proxy(context, settings))
    return of_models(served, settings)


def check_abilities(context: Context) -> Finding:
    """What the model takes and does, found out by a few tiny requests, which cost next to nothing, and remembered."""
    settings = _askable(context)
    if isinstance(settings, Finding):
        return settings
    context.say(f"trying {settings.model} with a few tiny requests")
    memory = Memory(cache_directory(context.environ) / ENDPOINTS)
    try:
        with OpenAIModel(_endpoint(settings)) as model:
            if settings.model not in model.available():
                return skipped("the model is not served")
            return of_probes(tuple(probe_all(model, memory)))
    except ModelError as error:
        return of_error(error, settings, _proxy(context, settings))


def of_probes(findings: tuple[Probed, ...]) -> Finding:
    """What to think of a model of which this was found: whatever it lacks a run does without."""
    words = "; ".join(
        f"{each.name} {each.verdict}" if each.verdict == "works" else f"{each.found}: {each.follows}"
        for each in findings
    )
    details = {each.name: f"{each.verdict}: {each.found}; {each.follows}" for each in findings}
    lacking = [each.name for each in findings if each.verdict in ("refused", "ignored")]
    if lacking:
        hint = "a run does without; what was found is remembered for a week"
        return warning(words, hint, details=details)
    return ok(words, details=details)


def _askable(context: Context) -> Settings | Finding:
    """The settings to ask a server with; if it cannot be asked, why."""
    if context.offline:
        return skipped("not asked: `--offline`")
    settings = context.usable_settings()
    if settings is None:
        return skipped("the settings cannot be used")
    try:
        key = context.key()
    except UsageProblem:
        return skipped("the key cannot be used")
    if key is None and not settings.keyless:
        return skipped("there is no key to ask with")
    return settings


def _endpoint(settings: Settings) -> Endpoint:
    key = settings.key.secret.reveal() if settings.key else ""
    return Endpoint(base_url=settings.base_url, model=settings.model, key=key, idle=IDLE, total=TOTAL)


def of_models(served: tuple[str, ...], settings: Settings) -> Finding:
    """What to think of a server that serves these models."""
    where, model = settings.base_url, settings.model
    key = ", takes the key" if settings.key else ""
    if model in served:
        return ok(f"{where} answers{key}, and serves {model}")
    if not served:
        return warning(f"{where} answers, but lists no models", f"see in its documentation whether it has `{model}`")
    close = get_close_matches(model, served, n=1)
    shown = ", ".join(served[:MODELS_SHOWN]) + (", ..." if len(served) > MODELS_SHOWN else "")
    return problem(
        f"{where} does not serve `{model}`; it serves {shown}",
        f"name one of them with `--model` or the setting `model`{f', such as `{close[0]}`' if close else ''}",
        UsageProblem.exit_code,
    )


def of_error(error: ModelError, settings: Settings, proxy: str = "") -> Finding:
    """What to think of a server that does not say what it serves; `proxy` is the variable that names one."""
    found, hint = error.message, error.hint
    if proxy:
        found += f" (through the proxy that `{proxy}` names)"
    if error.kind in ("auth", "quota", "filtered"):
        return problem(found, hint, ProviderRefused.exit_code)
    if error.kind == "refused":
        hint = f"is {settings.base_url} the whole base URL? Most servers answer below /v1"
        return problem(found, hint, UsageProblem.exit_code)
    return problem(found, hint or "try again later, and check the base URL", ModelProblem.exit_code)


def _proxy(context: Context, settings: Settings) -> str:
    """The variable that names a proxy on the way to the server; empty without one."""
    if _endpoint(settings).loopback:
        return ""
    return next((name for name in PROXIES if context.environ.get(name)), "")
