"""Which requests are let through: the key, the model, what the gateway takes, what the model takes, what fits."""

from collections.abc import Collection, Mapping
from typing import Any

from agent.models.billing import cap_of
from agent.models.gateway import ERROR_TYPES, Gateway, error_body, field_refusal
from agent.models.httpd import Answer
from agent.models.script import Script
from agent.models.strictness import problem_of_body
from agent.models.tokens import prompt_units

__all__ = ["refusal", "refuse_with", "unauthorised"]

Body = Mapping[str, Any]
CAPS = frozenset({"max_tokens", "max_completion_tokens"})


def refusal(
    headers: Mapping[str, str], body: Body, *, script: Script, gateway: Gateway, reasoned: Collection[int]
) -> Answer | None:
    """The answer to a request that is refused before any work, or None if it is let through.

    Args:
        headers: names in lower case.
        body: the decoded body, of any shape.
        script: which model there is, and how much it takes.
        gateway: what is in the way.
        reasoned: which replies of the conversation, counted from 0, were given with reasoning.
    """
    if answer := unauthorised(headers, gateway):
        return answer
    if body.get("model") != script.model:
        return refuse_with(404, f"Not found the model {body.get('model')} or Permission denied")
    if answer := _refused_field(body, script.model, gateway):
        return answer
    problem = problem_of_body(
        body,
        reasoned=None if gateway.reasoning == "always" else reasoned,
        thinking_only=gateway.thinking == "always",
    )
    if problem is None:
        problem = _overflow(body, script.context, gateway)
    return None if problem is None else refuse_with(400, f"Invalid request: {problem}")


def unauthorised(headers: Mapping[str, str], gateway: Gateway) -> Answer | None:
    """The answer to a request without the right key, or None if it has that."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme == "Bearer" and key and gateway.key in (None, key):
        return None
    return refuse_with(401, "Invalid Authentication")


def refuse_with(status: int, message: str) -> Answer:
    """An error in Moonshot's shape."""
    text = error_body("moonshot", message=message, kind=ERROR_TYPES.get(status, "server_error"))
    return Answer(status=status, pieces=(text.encode(),))


def _refused_field(body: Body, model: str, gateway: Gateway) -> Answer | None:
    name = next((name for name in gateway.refuse if name in body), None)
    if name is None and "tools" in gateway.refuse and _tells_of_tools(body.get("messages")):
        name = "tools"
    if name is None:
        return None
    refused = field_refusal(name, body.get(name), model=model, wording=gateway.wording)
    return Answer(status=refused.status, pieces=(refused.body.encode(),))


def _tells_of_tools(messages: object) -> bool:
    found = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    return any(message.get("tool_calls") or message.get("role") == "tool" for message in found)


def _overflow(body: Body, context: int, gateway: Gateway) -> str | None:
    cap = cap_of(body) if body.keys() & CAPS else 0
    asked = cap + sum(tokens for _, tokens in prompt_units(body, gateway.tokenizer))
    if asked <= context:
        return None
    return f"Your request exceeded model token limit: {context} (requested: {asked})"
