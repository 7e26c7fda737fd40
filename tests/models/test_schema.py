"""Tool schemas in the subset that Moonshot accepts."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from agent.models import ToolSpec
from agent.models.schema import normalise, tools_to_wire
from agent.models.strictness import problem_of_schema


def of(**properties):
    return {"type": "object", "properties": properties}


def rewritten(schema):
    return normalise(of(x=schema))["properties"]["x"]


TABLE = {
    "a type is filled in": ({"description": "d"}, {"type": "string", "description": "d"}),
    "an object is seen by its properties": (
        {"properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}},
    ),
    "an array is seen by its items": ({"items": {}}, {"type": "array", "items": {"type": "string"}}),
    "an enum tells the type": ({"enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
    "a constant is an enum of one": ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    "a mixed enum is dropped": ({"enum": ["a", 1]}, {"type": "string"}),
    "refused keywords are dropped": (
        {"type": "string", "pattern": "x", "format": "uri", "examples": ["a"], "$comment": "c", "minLength": 1},
        {"type": "string", "minLength": 1},
    ),
    "bounds of another type are dropped": (
        {"type": "boolean", "minLength": 1, "minimum": 0, "maxItems": 2},
        {"type": "boolean"},
    ),
    "bounds of the type stay": (
        {"type": "array", "items": {"type": "number", "maximum": 1.5, "minLength": 1}, "minItems": 1, "maximum": 9},
        {"type": "array", "items": {"type": "number", "maximum": 1.5}, "minItems": 1},
    ),
    "an enum that is too long is dropped": ({"enum": list(range(501))}, {"type": "integer"}),
    "references to other properties are inlined": (
        {"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/x/properties/a", "description": "d"}}},
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "description": "d"}}},
    ),
    "exclusive bounds of integers are closed": (
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
        {"type": "integer", "minimum": 1, "maximum": 8},
    ),
    "null beside one other branch is dropped": (
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "description": "d"},
        {"type": "integer", "description": "d"},
    ),
    "a list of types is a choice": (
        {"type": ["string", "integer"]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    "one of is any of, with no type beside it": (
        {"type": "string", "oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    "all of is merged": (
        {"allOf": [of(a={"type": "string"}) | {"required": ["a"]}, of(b={"type": "integer"})]},
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a"],
        },
    ),
    "only defined properties are required": (
        of(a={"type": "string"}) | {"required": ["a", "b"]},
        of(a={"type": "string"}) | {"required": ["a"]},
    ),
    "other properties keep their schema": (
        {"type": "object", "additionalProperties": {"type": "string", "format": "date"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ),
}


@pytest.mark.parametrize(("schema", "expected"), TABLE.values(), ids=TABLE)
def test_schemas_are_rewritten(schema, expected):
    assert rewritten(schema) == expected
    assert problem_of_schema(normalise(of(x=schema))) is None


def test_properties_named_like_keywords_stay():
    schema = of(title={"type": "string"}, pattern={"type": "string"}, format={"type": "string"})
    assert normalise(schema) == schema


class Range(BaseModel):
    start: Annotated[int, Field(gt=0)]
    end: int | None = None


class Arguments(BaseModel):
    """What a tool takes."""

    path: Annotated[str, Field(pattern="^[a-z]+$", description="relative")]
    mode: Literal["read", "write"] = "read"
    ranges: list[Range] = []
    first: Range | None = None
    labels: dict[str, int] = {}
    pair: tuple[int, str] | None = None


def test_schemas_of_pydantic_come_out_as_moonshot_takes_them():
    original = Arguments.model_json_schema()
    assert problem_of_schema(original) is not None
    schema = normalise(original)
    assert problem_of_schema(schema) is None
    assert schema["properties"]["ranges"]["items"]["properties"]["start"] == {"type": "integer", "minimum": 1}
    assert "$defs" not in schema
    assert "strict" not in str(schema)


def test_a_recursive_or_unknown_reference_is_refused():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    with pytest.raises(ValueError, match="recursive"):
        normalise(of(x={"$ref": "#/$defs/Node"}) | {"$defs": {"Node": node}})
    with pytest.raises(ValueError, match="unknown reference"):
        normalise(of(x={"$ref": "#/$defs/Missing"}))
    with pytest.raises(ValueError, match="unknown reference"):
        normalise(of(x={"$ref": "file:///etc/passwd"}))


def test_the_root_must_be_an_object():
    with pytest.raises(ValueError, match="object"):
        normalise({"type": "array"})


def tool(name):
    return ToolSpec(name=name, description="d", parameters={"type": "object"})


def test_tools_are_written_without_strictness():
    assert tools_to_wire([tool("run_tests")]) == [
        {
            "type": "function",
            "function": {
                "name": "run_tests",
                "description": "d",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]


@pytest.mark.parametrize("name", ["ls", "1st", "run tests", "run.tests", "ü_run", "x" * 65, "run_tests\n", ""])
def test_names_that_the_api_refuses_are_refused_here(name):
    with pytest.raises(ValueError, match="tool names"):
        tools_to_wire([tool(name)])


def test_names_occur_once_and_tools_are_not_too_many():
    with pytest.raises(ValueError, match="once"):
        tools_to_wire([tool("run_tests"), tool("run_tests")])
    with pytest.raises(ValueError, match="128"):
        tools_to_wire([tool(f"tool_{n}") for n in range(129)])
