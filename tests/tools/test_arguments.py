"""Arguments are taken strictly, and what is wrong with them is told in a few words."""

import json
import re
from contextlib import suppress
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from agent.tools.arguments import MAX_CHARACTERS, BadArguments, params, parse, schema
from agent.tools.toolbox import TOOLS


@params
class Item:
    name: str


@params
class Example:
    path: Annotated[str, Field(description="Where.")]
    count: Annotated[int, Field(ge=1)] = 1
    items: tuple[Item, ...] = ()


def complaint(text: str) -> str:
    with pytest.raises(BadArguments) as caught:
        parse(Example, text)
    assert len(str(caught.value)) <= 500
    return str(caught.value)


def test_arguments_become_a_value():
    text = '{"path": "a\nraw\tcontrol", "count": 2, "items": [{"name": "x"}]}'

    assert parse(Example, text) == Example(path="a\nraw\tcontrol", count=2, items=(Item(name="x"),))


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_blank_text_stands_for_no_arguments(text):
    assert complaint(text) == "`path`: Field required"


BAD = {
    "two values for a key": ('{"path": "ok", "path": "../b"}', "the key `path` occurs twice"),
    "two values deep inside": ('{"path": "a", "items": [{"name": "a", "name": "b"}]}', "the key `name` occurs twice"),
    "deep nesting": ("[" * 100_000, "the arguments are nested too deeply"),
    "deep objects": ('{"a":' * 100_000, "the arguments are nested too deeply"),
    "a huge integer": ('{"path": "a", "count": ' + "9" * 5_000 + "}", "a number has 5000 digits"),
    "a huge float": ('{"path": "a", "count": 1e999}', "a number is too large"),
    "NaN": ('{"path": "a", "count": NaN}', "NaN is no number of JSON"),
    "Infinity": ('{"path": "a", "count": -Infinity}', "-Infinity is no number of JSON"),
    "two objects": ('{"path": "a"}{"path": "b"}', "the arguments are no JSON: Extra data"),
    "trailing text": ('{"path": "a"} done', "the arguments are no JSON: Extra data"),
    "a missing brace": ('{"path": "a"', "the arguments are no JSON: Expecting"),
    "a list": ('["a"]', "the arguments must be a JSON object, not a list"),
    "a string": ('"a"', "the arguments must be a JSON object, not a string"),
    "a number": ("1", "the arguments must be a JSON object, not a number"),
    "null": ("null", "the arguments must be a JSON object, not null"),
    "half a surrogate pair": (r'{"path": "\ud800"}', "a text holds half of a surrogate pair"),
    "half a pair in a key": (r'{"\udcff": "a"}', "a text holds half of a surrogate pair"),
    "too much": ('{"path": "' + "x" * MAX_CHARACTERS + '"}', "the arguments have 4,000,012 characters"),
    "an unknown field": ('{"path": "a", "pth": "b"}', "`pth`: Unexpected keyword argument"),
    "a wrong type": ('{"path": 3}', "`path`: Input should be a valid string"),
    "a number out of range": ('{"path": "a", "count": 0}', "`count`: Input should be greater than or equal to 1"),
    "a wrong item": ('{"path": "a", "items": [{}]}', "`items.0.name`: Field required"),
    "a hostile field": ('{"path": "a", "' + "\x1b" * 900 + '": 1}', r"`\u{1b}\u{1b}"),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD)
def test_bad_arguments_are_told_in_a_few_words(text, reason):
    assert complaint(text).startswith(reason)


def test_many_faults_are_counted():
    assert complaint(json.dumps({"path": "a"} | {f"x{n}": 1 for n in range(50)})).endswith("and 46 more")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_no_text_breaks_the_parser(text):
    for start in ("", '{"path": "', '{"path": '):
        with suppress(BadArguments):
            assert isinstance(parse(Example, start + text), Example)


def test_numbers_with_a_fraction_are_numbers():
    assert complaint('{"path": "a", "count": 1.5}').startswith("`count`: Input should be a valid integer")


REFUSED = {"allOf", "oneOf", "not", "if", "const", "pattern", "format", "exclusiveMinimum", "exclusiveMaximum"}
REFUSED |= {"multipleOf", "uniqueItems", "prefixItems", "contains", "patternProperties", "propertyNames", "$schema"}
REFUSED |= {"minProperties", "maxProperties", "$comment", "examples", "anyOf", "$ref", "$defs", "title"}


def nodes(node):
    yield node
    for child in [*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])]:
        yield from nodes(child)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_each_tool_is_described_in_what_the_provider_takes(tool):
    spec = tool.spec

    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9-_]{2,63}", spec.name)
    assert spec.description.endswith(".")
    assert spec.parameters["type"] == "object"
    for node in nodes(spec.parameters):
        assert isinstance(node["type"], str)
        assert not REFUSED & set(node)
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert set(node.get("required", ())) <= set(node["properties"])
            assert all(len(child.get("description", "")) > 10 for child in node["properties"].values())


def test_references_are_written_out():
    assert schema(Example) == {
        "additionalProperties": False,
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": {"description": "Where.", "type": "string"},
            "count": {"default": 1, "minimum": 1, "type": "integer"},
            "items": {
                "default": [],
                "type": "array",
                "items": {
                    "additionalProperties": False,
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}},
                },
            },
        },
    }
