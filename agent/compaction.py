"""Makes room in a conversation: bulky parts, the oldest first, give way to pointers by which they can be read again.

What a run rests on stays as it is: everything that was said by the user, the plan, the newest turns, and the last test
result. No call is parted from its answer, and none loses its reasoning field.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.events import Compacted, Shortened
from agent.messages import Message, ToolCall
from agent.state import RunState

__all__ = ["Compactor"]

FULL = 0.85
"""Share of the context from which on room is made (kimi.md, 3: what the vendor's own client does)."""
REPLY = 4_096
"""Tokens that a reply should have in any case, in a small context too."""
ROOM = 0.5
"""Share of the context that is aimed at, so that the cache of the provider is broken seldom."""
BULKY = 600
"""Characters from which on a text is worth putting aside."""
KEPT_TURNS = 2
"""Replies at the end of the conversation that stay whole, with their answers."""
WORTH = 0.95
"""To save less than a twentieth is not worth breaking the provider's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compactor:
    """Finds what can be put aside."""

    keep: Callable[[bytes], str]
    """Stores a text, and returns the id by which `read_output` brings it back."""
    measure: Callable[[tuple[Message, ...]], int]
    """Estimates the tokens of a request with these messages."""

    def due(self, state: RunState) -> bool:
        """Whether the next request would fill too much of the context."""
        return self._tokens(state, state.messages) > min(FULL * state.context, state.context - REPLY)

    def compact(self, state: RunState) -> Compacted | None:
        """What puts enough aside, or as much as there is; None if that would change next to nothing."""
        before = self._tokens(state, state.messages)
        target = min(ROOM * state.context, ROOM * before if state.overflowed else before)
        messages, changed = list(state.messages), dict[int, Message]()
        for index, shorter in self._candidates(state):
            if self._tokens(state, messages) <= target:
                break
            messages[index] = changed[index] = shorter(messages[index])
        after = self._tokens(state, messages)
        if not changed or after > WORTH * before:
            return None
        shortened = tuple(Shortened(index=index, message=changed[index]) for index in sorted(changed))
        return Compacted(shortened=shortened, before=before, after=after)

    def _tokens(self, state: RunState, messages: Sequence[Message]) -> int:
        """The estimate, put right by what the provider counted last."""
        return int(self.measure(tuple(messages)) * state.density)

    def _candidates(self, state: RunState) -> Iterator[tuple[int, Callable[[Message], Message]]]:
        """Places in the conversation and what can be done there, in the order in which it is to be done."""
        replies = [index for index, message in enumerate(state.messages) if message.role == "assistant"]
        end = replies[-KEPT_TURNS] if len(replies) > KEPT_TURNS else 0
        tests = _last_answer(state.messages, "run_tests")
        for index, message in enumerate(state.messages[:end]):
            if message.role == "tool" and len(message.content) > BULKY and index != tests:
                yield index, self._without_output
            if any(len(call.arguments) > BULKY and call.name != "submit_plan" for call in message.tool_calls):
                yield index, self._without_arguments
        for index, message in enumerate(state.messages[:end]):
            if message.reasoning and len(message.reasoning) > BULKY:
                yield index, _without_reasoning

    def _without_output(self, message: Message) -> Message:
        return replace(message, content=self._pointer(message.content))

    def _without_arguments(self, message: Message) -> Message:
        return replace(message, tool_calls=tuple(self._shorter(call) for call in message.tool_calls))

    def _shorter(self, call: ToolCall) -> ToolCall:
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            arguments = None
        if call.name == "submit_plan" or not isinstance(arguments, dict):
            return call
        return replace(call, arguments=json.dumps(self._put_aside(arguments), ensure_ascii=False))

    def _put_aside(self, value: object) -> object:
        if isinstance(value, str):
            return self._pointer(value) if len(value) > BULKY else value
        if isinstance(value, dict):
            return {name: self._put_aside(each) for name, each in value.items()}
        return [self._put_aside(each) for each in value] if isinstance(value, list) else value

    def _pointer(self, text: str) -> str:
        artifact = self.keep(text.encode("utf-8", "surrogatepass"))
        first = text[: BULKY // 6].partition("\n")[0]
        return f"{first} [… {len(text):,} characters put aside to save room: read_output with id={artifact}]"


def _without_reasoning(message: Message) -> Message:
    """An empty text keeps the field, on which the vendor insists beside tool calls."""
    return replace(message, reasoning="")


def _last_answer(messages: tuple[Message, ...], name: str) -> int:
    """The place of the last answer of the tool `name`; -1 if there is none."""
    calls = {call.id for message in messages for call in message.tool_calls if call.name == name}
    return next((n for n in reversed(range(len(messages))) if messages[n].tool_call_id in calls), -1)
