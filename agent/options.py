"""From the options of the command line to settings, by their names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.errors import UsageProblem

if TYPE_CHECKING:
    from agent.state import RunState

__all__ = ["Options", "limits_of", "settings_as_in", "settings_of"]

Options = Mapping[str, object]
"""Values by the names of options, or of settings where these have a dot; None where one was not given."""

LIMIT_OF = {
    "max_cost": "dollars",
    "max_tokens": "tokens",
    "max_calls": "calls",
    "max_iterations": "iterations",
    "max_minutes": "seconds",
    "max_sandbox_minutes": "sandbox_seconds",
}
PLAIN = ("model", "base_url", "context", "max_output", "image", "sandbox")
PRICES = ("prices.input", "prices.cached", "prices.output")


def settings_of(options: Options) -> dict[str, object]:
    """The settings that `options` speak of.

    Raises:
        UsageProblem: the prices are not three numbers.
    """
    settings = {name: value for name, value in options.items() if name in PLAIN or "." in name}
    if isinstance(prices := options.get("prices"), str):
        settings |= _prices(prices)
    return settings | {f"limits.{name}": value for name, value in limits_of(options).items()}


def limits_of(options: Options) -> dict[str, Any]:
    """The limits that were given, by the names of their fields."""
    given = {name: value for name, value in options.items() if name in LIMIT_OF and value is not None}
    return {
        LIMIT_OF[name]: value * 60.0 if name.endswith("_minutes") and isinstance(value, int | float) else value
        for name, value in given.items()
    }


def settings_as_in(state: "RunState") -> dict[str, object]:
    """What a run was started with, as options: its model is asked, whatever is set by then."""
    started = state.started
    prices = {name: getattr(started.prices, name.removeprefix("prices.")) for name in PRICES}
    return {"model": started.model, "context": started.context, "max_output": started.max_output, **prices}


def _prices(text: str) -> dict[str, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(PRICES):
        raise UsageProblem(
            f"`--prices` is {text!r}", hint="give three numbers, as `--prices 0.48,0.08,2`: input, cached input, output"
        )
    return dict(zip(PRICES, numbers, strict=True))
