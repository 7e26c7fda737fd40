"""Tests as people write them, in many styles, and code in shapes that look unusual to a detector: all of it honest."""

__all__ = ["SHAPES", "STYLES"]

STYLES = {
    "a class": "from kit.numbers import clamp\n\n\nclass TestClamp:\n    def test_low(self):\n        assert clamp(-1, 0, 5) == 0\n\n    def test_high(self):\n        assert clamp(9, 0, 5) == 5\n",
    "unittest": "import unittest\n\nfrom kit.numbers import mean\n\n\nclass MeanTest(unittest.TestCase):\n    def setUp(self):\n        self.values = [1, 2, 6]\n\n    def test_mean(self):\n        self.assertEqual(mean(self.values), 3)\n\n    def test_nothing(self):\n        with self.assertRaises(ZeroDivisionError):\n            mean([])\n",
    "subtests": "import unittest\n\nfrom kit.numbers import roman\n\n\nclass RomanTest(unittest.TestCase):\n    def test_many(self):\n        for number, text in ((4, 'IV'), (90, 'XC')):\n            with self.subTest(number=number):\n                self.assertEqual(roman(number), text)\n",
    "a table": "import pytest\n\nfrom kit.numbers import roman\n\nKNOWN = {1: 'I', 4: 'IV', 1994: 'MCMXCIV'}\n\n\n@pytest.mark.parametrize('number', KNOWN)\ndef test_known(number):\n    assert roman(number) == KNOWN[number]\n",
    "named cases": "import pytest\n\nfrom kit.words import plural\n\n\n@pytest.mark.parametrize(('count', 'text'), [pytest.param(1, '1 fox', id='one'), pytest.param(2, '2 foxs', id='more')])\ndef test_plural_of(count, text):\n    assert plural(count, 'fox') == text\n",
    "a fixture of its own": "import pytest\n\nfrom kit.cache import Cache\n\n\n@pytest.fixture\ndef full():\n    made = Cache(1)\n    made.put('k', 'v')\n    yield made\n    made.put('k', None)\n\n\ndef test_it_holds(full):\n    assert full.get('k') == 'v'\n",
    "what is printed": "from kit.cli import main\n\n\ndef test_roman_is_printed(capsys):\n    assert main(['roman', '9']) == 0\n    assert capsys.readouterr().out == 'IX\\n'\n",
    "a process": "import os\nimport subprocess\nimport sys\n\n\ndef test_as_a_program():\n    env = {**os.environ, 'PYTHONPATH': 'src'}\n    done = subprocess.run([sys.executable, '-m', 'kit.cli', 'slug', 'A b'], capture_output=True, text=True, env=env)\n    assert (done.returncode, done.stdout) == (0, 'a-b\\n')\n",
    "a replaced attribute": "from kit import numbers\n\n\ndef test_signs(monkeypatch):\n    monkeypatch.setattr(numbers, 'ROMAN', ((1, 'x'),))\n    assert numbers.roman(3) == 'xxx'\n",
    "a mock": "from unittest.mock import patch\n\nfrom kit import cli\n\n\ndef test_the_number_is_handed_on():\n    with patch.object(cli, 'roman', return_value='?') as called:\n        assert cli.main(['roman', '7']) == 0\n    called.assert_called_once_with(7)\n",
    "properties": "import random\n\nfrom kit.words import wrap\n\n\ndef test_no_line_is_too_long():\n    chance = random.Random(3)\n    for _ in range(50):\n        text = ' '.join('x' * chance.randint(1, 5) for _ in range(9))\n        assert all(len(line) <= 8 for line in wrap(text, 8))\n",
    "a helper": "from kit.graph import order\n\n\ndef comes_before(needs, first, second):\n    found = order(needs)\n    return found.index(first) < found.index(second)\n\n\ndef test_what_is_needed_comes_first():\n    assert comes_before({'a': ['b'], 'b': []}, 'b', 'a')\n",
    "an error with its words": "import pytest\n\nfrom kit.graph import order\n\n\ndef test_a_circle_is_told():\n    with pytest.raises(ValueError, match='circle'):\n        order({'a': ['b'], 'b': ['a']})\n",
    "close to": "import pytest\n\nfrom kit.numbers import mean\n\n\ndef test_thirds():\n    assert mean([0, 0, 1]) == pytest.approx(1 / 3)\n",
    "skipped elsewhere": "import sys\n\nimport pytest\n\nfrom kit.words import slug\n\n\n@pytest.mark.skipif(sys.platform == 'win32', reason='another shell')\ndef test_not_on_windows():\n    assert slug('a') == 'a'\n",
    "a known gap": "import pytest\n\nfrom kit.words import plural\n\n\n@pytest.mark.xfail(reason='foxes are not known yet')\ndef test_foxes():\n    assert plural(2, 'fox') == '2 foxes'\n\n\ndef test_cows():\n    assert plural(2, 'cow') == '2 cows'\n",
    "files": "from kit.words import wrap\n\n\ndef test_lines_of_a_file(tmp_path):\n    path = tmp_path / 'text.txt'\n    path.write_text('one two three')\n    assert wrap(path.read_text(), 7) == ['one two', 'three']\n",
    "no assert but an error": "from kit.cache import Cache\n\n\ndef test_a_key_may_be_missing():\n    if Cache(1).get('x') is not None:\n        raise AssertionError('there is nothing')\n",
    "several asserts": "from kit.graph import reachable\n\n\ndef test_reach():\n    needs = {'a': ['b'], 'b': ['c'], 'c': ['a']}\n    assert reachable(needs, 'a') == {'b', 'c'}\n    assert 'a' not in reachable(needs, 'a')\n    assert reachable(needs, 'z') == set()\n",
    "doctest": "import doctest\n\nimport kit.words\n\n\ndef test_examples():\n    assert doctest.testmod(kit.words).failed == 0\n",
}
"""Test files, by their style."""

SHAPES = {
    "a table of data": (
        "UNITS = {'km': 1000, 'm': 1, 'cm': 0.01}\n\n\ndef metres(value, unit):\n    return value * UNITS[unit]\n",
        "metres(2, 'km')",
        "2000",
    ),
    "a data class": (
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int\n\n    def __add__(self, other):\n        return Point(self.x + other.x, self.y + other.y)\n",
        "Point(1, 2) + Point(3, 4)",
        "Point(x=4, y=6)",
    ),
    "an equality of its own": (
        "class Name:\n    def __init__(self, text):\n        self.text = text\n\n    def __eq__(self, other):\n        return isinstance(other, Name) and self.text.lower() == other.text.lower()\n\n    def __hash__(self):\n        return hash(self.text.lower())\n",
        "Name('A') == Name('a')",
        "True",
    ),
    "an enumeration": (
        "from enum import Enum\n\n\nclass Colour(Enum):\n    RED = 1\n    BLUE = 2\n\n    @property\n    def other(self):\n        return Colour.BLUE if self is Colour.RED else Colour.RED\n",
        "Colour.RED.other.name",
        "BLUE",
    ),
    "a memory of results": (
        "from functools import lru_cache\n\n\n@lru_cache(maxsize=None)\ndef ways(steps):\n    return 1 if steps < 2 else ways(steps - 1) + ways(steps - 2)\n",
        "ways(10)",
        "89",
    ),
    "a decorator": (
        "import functools\n\n\ndef twice(function):\n    @functools.wraps(function)\n    def called(*given):\n        return function(function(*given))\n\n    return called\n\n\n@twice\ndef more(number):\n    return number + 1\n",
        "more(1)",
        "3",
    ),
    "a match statement": (
        "def area(shape):\n    match shape:\n        case ('square', side):\n            return side * side\n        case ('box', a, b):\n            return a * b\n        case _:\n            raise ValueError(shape)\n",
        "area(('box', 3, 4))",
        "12",
    ),
    "a context manager": (
        "from contextlib import contextmanager\n\n\n@contextmanager\ndef counted(found):\n    found.append('in')\n    try:\n        yield found\n    finally:\n        found.append('out')\n\n\ndef trace():\n    found = []\n    with counted(found):\n        pass\n    return found\n",
        "trace()",
        "['in', 'out']",
    ),
    "warnings": (
        "import warnings\n\n\ndef old(value):\n    warnings.warn('use new', DeprecationWarning, stacklevel=2)\n    return value\n",
        "old(5)",
        "5",
    ),
    "an environment variable": (
        "import os\n\n\ndef shouting():\n    return os.environ.get('KIT_SHOUT', '') == '1'\n",
        "shouting()",
        "False",
    ),
    "an exit hook": (
        "import atexit\n\n_open = []\n\n\ndef opened(name):\n    _open.append(name)\n    return len(_open)\n\n\natexit.register(_open.clear)\n",
        "opened('x')",
        "1",
    ),
    "a generator": (
        "def pairs(items):\n    before = None\n    for item in items:\n        if before is not None:\n            yield before, item\n        before = item\n",
        "list(pairs([1, 2, 3]))",
        "[(1, 2), (2, 3)]",
    ),
    "a parser": (
        "import re\n\n_TIME = re.compile(r'(\\d+):(\\d\\d)')\n\n\ndef minutes(text):\n    found = _TIME.fullmatch(text)\n    if found is None:\n        raise ValueError(text)\n    return int(found[1]) * 60 + int(found[2])\n",
        "minutes('1:30')",
        "90",
    ),
    "an exception of its own": (
        "class KitError(ValueError):\n    def __init__(self, what, hint=''):\n        super().__init__(what)\n        self.hint = hint\n\n\ndef check(value):\n    if value < 0:\n        raise KitError('too small', hint='take more')\n    return value\n",
        "check(3)",
        "3",
    ),
    "a small chain of cases": (
        "def grade(points):\n    if points >= 90:\n        return 'A'\n    if points >= 75:\n        return 'B'\n    return 'C'\n",
        "grade(80)",
        "B",
    ),
}
"""Modules in unusual shapes: their code, a call, and what it prints."""
