"""A provider that keeps its own bill: it charges for what it did, whether or not that arrived."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from agent.messages import Message, ToolCall, Usage
from agent.models import Completion, ModelError, Request
from agent.task import Prices

Told = Literal["as it is", "missing", "inflated", "belittled"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply that arrives, and what is told of its usage."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: str = ""
    told: Told = "as it is"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call that brings no reply: whether the provider charges for it is the provider's to say."""

    kind: str
    retryable: bool = True
    billed: bool = False
    usage_told: bool = False


@dataclass
class Provider:
    """Answers as it is told to, and bills."""

    prices: Prices
    tokens_per_byte: float
    """As many as a tokenizer makes at most: one."""
    answering: Callable[[Request], Reply | Failure]
    """What to answer; whoever raises has hung up, and is charged for the whole answer."""
    name: str = "scripted"
    requests: int = 0
    billed: Usage = field(default_factory=Usage)

    def complete(self, request: Request) -> Completion:
        self.requests += 1
        assert_answered(request)
        prompt = int(self.tokens_per_byte * _bytes(request))
        whole = Usage(prompt=prompt, cached=prompt // 2, completion=request.max_tokens)
        try:
            answer = self.answering(request)
        except BaseException:
            self.billed += whole
            raise
        if isinstance(answer, Failure):
            return self._fail(answer, whole)
        message = Message(role="assistant", content=answer.text, tool_calls=answer.calls)
        used = replace(whole, completion=min(request.max_tokens, 20 + message.size))
        self.billed += used
        stop = answer.stop or ("tool_calls" if answer.calls else "stop")
        return Completion(message=message, usage=_told(used, answer.told), stop_reason=stop)

    def _fail(self, failure: Failure, whole: Usage) -> Completion:
        if failure.billed:
            self.billed += whole
        raise ModelError(
            failure.kind,
            f"no reply: {failure.kind}",
            retryable=failure.retryable,
            billed=failure.billed,
            usage=whole if failure.usage_told else None,
        )


def _told(used: Usage, told: Told) -> Usage | None:
    """What a reply says that it took; nobody has to believe it."""
    match told:
        case "missing":
            return None
        case "inflated":
            return Usage(prompt=8 * used.prompt + 5_000, completion=9 * used.completion + 5_000)
        case "belittled":
            return Usage(prompt=1, completion=1)
        case "as it is":
            return used


def _bytes(request: Request) -> int:
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in request.tools
    ]
    return sum(message.size for message in request.messages) + len(json.dumps(tools))


def assert_answered(request: Request) -> None:
    """Each call is answered once, next to it, before anything else is said: providers refuse anything else."""
    waiting: list[str | None] = []
    for message in request.messages:
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
            continue
        assert waiting == []
        waiting = [call.id for call in message.tool_calls]
    assert waiting == []
