"""The model opens a test of its own, with a reason, or reads why not."""

import pytest

from agent.tools import Unseal

FILES = {"tests/test_a.py": "def test(): ..."}


def test_an_opened_file_is_an_effect_with_its_reason_on_one_line(desk):
    at = desk(FILES)
    outcome = at.outcome("unseal", path="./tests/test_a.py", reason=" it asserts\nthe\x1b wrong sum ")

    assert outcome.effect == Unseal(path="tests/test_a.py", reason="it asserts the\\u{1b} wrong sum")
    assert not outcome.result.is_error
    assert outcome.tree == at.hands.start


def test_a_refusal_is_told(desk):
    at = desk(FILES)
    at.hands.closed = "it is the user's test"

    assert at.fail("unseal", path="tests/test_a.py", reason="wrong") == (
        "`tests/test_a.py` stays as it is: it is the user's test"
    )


@pytest.mark.parametrize(("path", "reason"), [("tests/test_a.py", "  "), ("tests/test_b.py", "wrong")])
def test_a_reason_and_a_file_are_needed(desk, path, reason):
    assert desk(FILES).fail("unseal", path=path, reason=reason)
