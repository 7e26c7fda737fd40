"""Examples in docstrings that are run as tests: they are sealed, and the code that holds them is not."""

import pytest

from agent.doctests import examples, hold_examples
from agent.seal import Seal
from agent.verdict import VerdictKind
from tests.lab import QUICK, IsolatedEngine

MODULE = '''"""Adds.

>>> add(1, 2)
3
"""


def add(a, b):
    """Add two.

    >>> add(2, 2)
    4
    """
    return a - b
'''
MENDED = MODULE.replace("a - b", "a + b")
FILES = {
    "pytest.ini": "[pytest]\naddopts = --doctest-modules\n",
    "app/__init__.py": "",
    "app/sums.py": MODULE,
    "app/names.py": "NAME = 'sums'\n",
    "tests/test_names.py": "from app.names import NAME\n\n\ndef test_name():\n    assert NAME == 'sums'\n",
}


@pytest.fixture
def judged(lab):
    def made(files):
        at = lab(FILES, mode="fix", engine=IsolatedEngine(), test=f"PYTHONPATH=. {QUICK}")
        at.measured()
        at.planned()
        at.tested(at.put(files))
        return at.verdict()

    return made


def test_code_whose_examples_fail_can_be_mended(judged):
    verdict = judged({"app/sums.py": MENDED, "app/more.py": "MORE = 1\n"})

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons


def test_examples_that_are_run_as_tests_may_not_be_changed(judged):
    verdict = judged({"app/sums.py": MODULE.replace("\n3\n", "\n-1\n").replace("\n    4\n", "\n    0\n")})

    assert verdict.kind is VerdictKind.FAILED
    said = "`app/sums.py` may change, but not the examples in its docstrings, which are run as tests"
    assert verdict.reasons == (said,)


REFUSED = {
    "another value": MENDED.replace("\n    4\n", "\n    5\n"),
    "skipped": MENDED.replace("add(2, 2)", "add(2, 2)  # doctest: +SKIP"),
    "one less": MENDED.replace("    >>> add(2, 2)\n    4\n", ""),
    "another one before it": MENDED.replace("    >>> add(2, 2)", "    >>> add = lambda a, b: 4\n    >>> add(2, 2)"),
    "another name": MENDED.replace("def add", "def plus"),
    "no Python": MENDED.replace("return", "return return"),
    "no file": None,
}


@pytest.mark.parametrize("after", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("policy", ["locked", "additive"])
def test_what_changes_examples_is_refused(after, policy):
    seal = Seal.of(FILES, test_files=(), policy=policy, with_examples=("app/sums.py",))

    assert seal.refusal("app/sums.py", MODULE.encode(), after and after.encode())


def test_words_code_and_further_examples_may_change():
    after = MENDED.replace("Add two.", "Add two numbers.") + '\n\ndef one():\n    """\n    >>> one()\n    """\n'
    seal = Seal.of(FILES, test_files=(), policy="locked", with_examples=("app/sums.py",))

    assert seal.refusal("app/sums.py", MODULE.encode(), after.encode()) is None


def test_files_that_hold_anything_but_examples_are_not_among_them():
    ids = (
        "app/sums.py::app.sums", "app/sums.py::app.sums.add", "src/app/__init__.py::app", "app/mixed.py::app.mixed.a",
        "app/mixed.py::test_b", "test_app.py::test_app", "tests/helper.py::tests.helper.a", "check.py::check",
        "README.rst::README.rst", "app/broken.py",
    )  # fmt: skip
    assert hold_examples(ids) == {"app/sums.py", "src/app/__init__.py", "tests/helper.py"}


def test_examples_are_known_by_what_they_document():
    assert examples(MODULE.encode()) == {"": (("add(1, 2)\n", "3\n", None),), "add": (("add(2, 2)\n", "4\n", None),)}
    assert examples(b"def a(:") is None
