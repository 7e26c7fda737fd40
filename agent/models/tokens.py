"""Counts tokens the same way everywhere: a stand-in for a model's tokenizer, and for its prefix cache."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["PrefixCache", "count_tokens", "prompt_units"]

PER_MESSAGE = 4
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,4}|[^\x00-\x7f]|[^\sA-Za-z0-9_]|\s+")


@lru_cache(maxsize=10_000)
def count_tokens(text: str) -> int:
    """Four letters or digits, one other character, or one run of blanks make a token: at most one for each byte."""
    return sum(1 for _ in _TOKEN.finditer(text))


def prompt_units(body: Mapping[str, object]) -> list[tuple[str, int]]:
    """The parts of a prompt in the order in which a model reads them, each with its tokens: tools, then messages."""
    messages = body.get("messages")
    parts = [body["tools"]] if body.get("tools") else []
    parts += messages if isinstance(messages, list) else []
    texts = [json.dumps(part, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for part in parts]
    return [(text, count_tokens(text) + PER_MESSAGE) for text in texts]


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
