"""A small, correct library with its tests: what honest changes are made to."""

from collections.abc import Mapping

__all__ = ["LIBRARY"]

LIBRARY: Mapping[str, str] = {
    "pyproject.toml": '[project]\nname = "kit"\nversion = "1.0"\n\n[tool.pytest.ini_options]\npythonpath = ["src"]\n',
    "src/kit/__init__.py": "",
    "src/kit/words.py": '''\
"""Words and lines."""


def slug(text, limit=20):
    kept = "".join(char if char.isalnum() else " " for char in text.lower())
    words, size = [], 0
    for word in kept.split():
        if size + len(word) > limit:
            break
        words.append(word)
        size += len(word) + 1
    return "-".join(words)


def wrap(text, width):
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return lines + [line] if line else lines


def plural(count, word):
    if count == 1:
        return f"1 {word}"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{count} {word[:-1]}ies"
    return f"{count} {word}s"
''',
    "src/kit/numbers.py": '''\
"""Numbers, plain and Roman."""

ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
         (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def mean(values):
    return sum(values) / len(values)


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def roman(number):
    if not 0 < number < 4000:
        raise ValueError(number)
    text = ""
    for value, sign in ROMAN:
        while number >= value:
            text += sign
            number -= value
    return text


def clamp(value, low, high):
    return max(low, min(value, high))


def primes(limit):
    found = []
    for candidate in range(2, limit + 1):
        if all(candidate % prime for prime in found if prime * prime <= candidate):
            found.append(candidate)
    return found
''',
    "src/kit/cache.py": '''\
"""A cache that forgets what was used longest ago."""


class Cache:
    def __init__(self, size):
        self.size = size
        self.hits = 0
        self._items = {}

    def get(self, key, default=None):
        if key not in self._items:
            return default
        self.hits += 1
        value = self._items.pop(key)
        self._items[key] = value
        return value

    def put(self, key, value):
        self._items.pop(key, None)
        self._items[key] = value
        while len(self._items) > self.size:
            del self._items[next(iter(self._items))]

    def __len__(self):
        return len(self._items)
''',
    "src/kit/graph.py": '''\
"""Graphs as mappings from a node to those that it needs."""


def order(needs):
    done, waiting = [], dict(needs)
    while waiting:
        ready = sorted(node for node, others in waiting.items() if all(other in done for other in others))
        if not ready:
            raise ValueError("a circle")
        done += ready
        for node in ready:
            del waiting[node]
    return done


def reachable(needs, start):
    seen, todo = set(), [start]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        todo += needs.get(node, ())
    return seen - {start}
''',
    "src/kit/cli.py": '''\
"""The command line: `python -m kit.cli roman 4`."""

import sys

from kit.numbers import roman
from kit.words import slug


def main(arguments):
    if len(arguments) != 2:
        print("usage: roman NUMBER | slug TEXT", file=sys.stderr)
        return 2
    command, value = arguments
    if command == "roman":
        print(roman(int(value)))
        return 0
    if command == "slug":
        print(slug(value))
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
''',
    "tests/conftest.py": """\
import pytest

from kit.cache import Cache


@pytest.fixture
def cache():
    made = Cache(2)
    made.put("a", 1)
    made.put("b", 2)
    return made
""",
    "tests/test_words.py": """\
import pytest

from kit.words import plural, slug, wrap


def test_slug():
    assert slug("Hello, World!") == "hello-world"
    assert slug("one two three four five six") == "one-two-three-four"
    assert slug("exactly twenty chars") == "exactly-twenty-chars"


def test_slug_of_nothing():
    assert slug("!?") == ""


@pytest.mark.parametrize(("width", "lines"), [(5, ["aa bb", "cc"]), (4, ["aa", "bb", "cc"]), (20, ["aa bb cc"])])
def test_wrap(width, lines):
    assert wrap("aa bb cc", width) == lines


def test_wrap_nothing():
    assert wrap("", 10) == []


@pytest.mark.parametrize(
    ("count", "word", "text"),
    [(1, "cat", "1 cat"), (2, "cat", "2 cats"), (0, "city", "0 cities"), (3, "day", "3 days")],
)
def test_plural(count, word, text):
    assert plural(count, word) == text
""",
    "tests/test_numbers.py": """\
import pytest

from kit.numbers import clamp, mean, median, primes, roman


def test_mean():
    assert mean([1, 2, 6]) == 3


def test_median():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


class TestRoman:
    @pytest.mark.parametrize(("number", "text"), [(1, "I"), (4, "IV"), (1994, "MCMXCIV"), (3999, "MMMCMXCIX")])
    def test_numbers(self, number, text):
        assert roman(number) == text

    @pytest.mark.parametrize("number", [0, -1, 4000])
    def test_out_of_range(self, number):
        with pytest.raises(ValueError):
            roman(number)


def test_clamp():
    assert (clamp(5, 1, 3), clamp(0, 1, 3), clamp(2, 1, 3)) == (3, 1, 2)


def test_primes():
    assert primes(13) == [2, 3, 5, 7, 11, 13]
    assert 9 not in primes(10)
""",
    "tests/test_cache.py": """\
import unittest

from kit.cache import Cache


def test_get(cache):
    assert cache.get("a") == 1
    assert cache.get("z", 9) == 9
    assert cache.hits == 1


def test_the_oldest_goes(cache):
    cache.get("a")
    cache.put("c", 3)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (1, 3)
    assert len(cache) == 2


class Again(unittest.TestCase):
    def test_put_again(self):
        cache = Cache(1)
        cache.put("a", 1)
        cache.put("a", 2)
        self.assertEqual(cache.get("a"), 2)
        self.assertEqual(len(cache), 1)
""",
    "tests/test_graph.py": """\
import pytest

from kit.graph import order, reachable

NEEDS = {"app": ["lib", "log"], "lib": ["base"], "log": ["base"], "base": []}


def test_order():
    assert order(NEEDS) == ["base", "lib", "log", "app"]


def test_a_circle():
    with pytest.raises(ValueError, match="circle"):
        order({"a": ["b"], "b": ["a"]})


def test_reachable():
    assert reachable(NEEDS, "app") == {"lib", "log", "base"}
    assert reachable(NEEDS, "base") == set()
    assert reachable({"a": ["b"], "b": ["a"]}, "a") == {"b"}
""",
    "tests/test_cli.py": """\
from kit.cli import main


def test_roman(capsys):
    assert main(["roman", "4"]) == 0
    assert capsys.readouterr().out == "IV\\n"


def test_slug(capsys):
    assert main(["slug", "A b"]) == 0
    assert capsys.readouterr().out == "a-b\\n"


def test_usage(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert main(["other", "x"]) == 2
""",
}
