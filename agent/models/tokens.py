"""Counts tokens the same way everywhere: stand-ins for a model's tokenizer, and for its prefix cache."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

__all__ = ["PrefixCache", "Tokenizer", "count_tokens", "first_tokens", "prompt_units"]

PER_MESSAGE = 4
Tokenizer = Literal["quarter", "bytes"]
"""`quarter`: four letters or digits, one other character, or one run of blanks make a token. `bytes`: each byte does,
the most that any tokenizer can make of a text."""
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,4}|[^\x00-\x7f]|[^\sA-Za-z0-9_]|\s+")


@lru_cache(maxsize=10_000)
def count_tokens(text: str, tokenizer: Tokenizer = "quarter") -> int:
    """The tokens of `text`: at most one for each of its bytes."""
    if tokenizer == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return sum(1 for _ in _TOKEN.finditer(text))


def first_tokens(text: str, limit: int, tokenizer: Tokenizer = "quarter") -> str:
    """The beginning of `text`, as many whole characters of it as `limit` tokens hold."""
    if tokenizer == "bytes":
        return text.encode("utf-8", "surrogatepass")[: max(0, limit)].decode("utf-8", "ignore")
    return "".join(match[0] for match in islice(_TOKEN.finditer(text), max(0, limit)))


def prompt_units(body: Mapping[str, object], tokenizer: Tokenizer = "quarter") -> list[tuple[str, int]]:
    """The parts of a prompt in the order in which a model reads them, each with its tokens: tools, then messages."""
    messages = body.get("messages")
    parts = [body["tools"]] if body.get("tools") else []
    parts += messages if isinstance(messages, list) else []
    texts = [json.dumps(part, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for part in parts]
    if tokenizer == "quarter":
        return [(text, count_tokens(text) + PER_MESSAGE) for text in texts]
    return [(text, _bytes_read(part) + PER_MESSAGE) for text, part in zip(texts, parts, strict=True)]


class PrefixCache:
    """Remembers prompts, and tells how much of another one begins like one of them."""

    def __init__(self) -> None:
        self._seen: list[list[str]] = []

    def cached(self, units: list[tuple[str, int]]) -> int:
        """Tokens of the longest run of leading parts that `units` shares with an earlier prompt; then remember it."""
        texts = [text for text, _ in units]
        shared = max((_shared(texts, seen) for seen in self._seen), default=0)
        self._seen.append(texts)
        return sum(tokens for _, tokens in units[:shared])


def _shared(ours: list[str], theirs: list[str]) -> int:
    pairs = zip(ours, theirs, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))


def _bytes_read(part: object) -> int:
    """The bytes that a chat template would put before the model: of a message its texts, of tools their JSON."""
    if isinstance(part, dict):
        return sum(count_tokens(text, "bytes") for text in _texts(part))
    return count_tokens(json.dumps(part, ensure_ascii=False, separators=(",", ":")), "bytes")


def _texts(message: dict[str, Any]) -> Iterator[str]:
    for name, value in message.items():
        if name == "tool_calls":
            for call in value or ():
                function = call.get("function", {})
                yield from (str(call.get("id", "")), str(function.get("name")), str(function.get("arguments")))
        elif isinstance(value, list):
            yield from (str(part.get("text", "")) for part in value)
        else:
            yield str(value)
