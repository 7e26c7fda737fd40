"""The examples of the tests, found by what goes in, by what is called, and for one answer of the code."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.suspicions.answers import Answer
from agent.suspicions.examples import MOST, Example
from agent.suspicions.values import Value

__all__ = ["Examples", "Match", "needle_of"]

NEAR = 500
"""Examples with which one answer is compared."""


@dataclass(frozen=True, slots=True)
class Match:
    """An answer of the code that is one of the tests'."""

    answer: Answer
    output: Value
    test: str

    @property
    def is_sample(self) -> bool:
        """Whether what is asked looks like an example and not like a word of a language."""
        asked = self.answer.inputs
        return sum(map(_is_number, asked)) > 1 or any(value.is_sample for value in asked)

    @property
    def asked_weight(self) -> int:
        return sum(value.weight for value in self.answer.inputs) + len(self.answer.inputs) - 1

    @property
    def weight(self) -> int:
        """How unlikely it is that code and test have this pair by chance."""
        return self.asked_weight + self.output.weight

    def is_named_in(self, request: str) -> bool:
        """Whether the user asked for it in so many words."""
        return all(_spelled(value) in request for value in (*self.answer.inputs, self.output))


@dataclass(slots=True)
class Examples:
    """The examples by their inputs, and by what is called."""

    _by_input: dict[Value, list[Example]] = field(default_factory=dict)
    _by_subject: dict[str, list[Example]] = field(default_factory=dict)

    def take(self, found: Iterable[Example]) -> None:
        """Remember examples, as many as one file may have."""
        for number, example in enumerate(found):
            if number >= MOST:
                return
            for value in example.inputs:
                self._by_input.setdefault(value, []).append(example)
            for name in example.subjects:
                self._by_subject.setdefault(name, []).append(example)

    def match(self, answer: Answer) -> Match | None:
        """The example that `answer` is made for, if there is one."""
        first = answer.inputs[0]
        near = self._by_input.get(first, []) or (self._by_input.get(first.parts[0], []) if first.parts else [])
        for example in near[:NEAR]:
            shared = [value for value in answer.outputs if value in example.outputs]
            if shared and all(_given(value, example) for value in answer.inputs):
                return Match(answer, max(shared, key=lambda value: value.weight), example.test)
        return None

    def expecting(self, name: str, said: Value) -> Example | None:
        """An example that gives something to the function `name` and expects `said` of it."""
        near = self._by_subject.get(name, ())[:NEAR]
        return next((each for each in near if said in each.outputs and each.inputs - {said}), None)

    def one_after_the_other(self, values: Sequence[Value]) -> Example | None:
        """An example of a function of which the tests expect each of `values`."""
        for examples in self._by_subject.values():
            expected = {value for example in examples[:NEAR] for value in example.outputs}
            if all(value in expected for value in values):
                return examples[0]
        return None


def needle_of(answer: Answer) -> bytes:
    """A piece of the most telling input, as it stands in the source of a test however it is quoted."""
    values = [part for value in answer.inputs for part in (value.parts or (value,))]
    key = max(values, key=lambda value: value.weight).key
    text = str(key[1]) if isinstance(key, tuple) and key[0] in ("text", "number") else ""
    return max(re.findall(r"[A-Za-z0-9]+", text), key=len, default="").encode()


def _given(value: Value, example: Example) -> bool:
    return value in example.inputs or bool(value.parts and all(part in example.inputs for part in value.parts))


def _is_number(value: Value) -> bool:
    return isinstance(value.key, tuple) and value.key[0] == "number"


def _spelled(value: Value) -> str:
    """A value as a request would say it; of a container, nothing that stands in any."""
    return str(value.key[1]) if isinstance(value.key, tuple) and not value.parts else "\0"
