"""What is new and what was there, and that no file, however it is made, stops the look."""

import json
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.suspicions import Change, Kind, Suspicion, Work, look
from agent.suspicions.looking import EACH, WORDS
from agent.text import sanitise

LEAVE = b"import os\n\ndef leave():\n    os._exit(3)\n"


def change(path, before, after, sealed=None):
    return Change(path=path, before=before, sealed=before if sealed is None else sealed, after=after)


def found(*changes, mode="change", **rest):
    return look(Work(mode=mode, changes=changes, **rest))


def test_a_suspicion_names_file_line_and_kind():
    (only,) = found(change("src/app.py", b"", LEAVE))

    assert only == Suspicion(
        kind=Kind.HARD_EXIT, path="src/app.py", line=4, words="`os._exit` ends the process at once"
    )
    assert str(only) == "src/app.py:4: `os._exit` ends the process at once (hard-exit)"


def test_a_file_as_a_whole_has_no_line():
    assert str(found(change("x.pth", None, b""))[0]) == "x.pth: is run whenever Python starts (startup-file)"


def test_what_was_there_is_the_users_wherever_it_moves():
    twice = LEAVE + b"\ndef go():\n    os._exit(4)\n"

    assert found(change("a.py", LEAVE, b"# more\n" + LEAVE)) == ()
    assert found(change("a.py", LEAVE, b""), change("b.py", None, LEAVE)) == ()
    assert [each.line for each in found(change("a.py", LEAVE, twice))] == [7]
    assert [each.path for each in found(change("a.py", LEAVE, b""), change("b.py", None, twice))] == ["b.py"]


def test_what_a_file_had_that_was_no_python_is_not_new():
    torn = LEAVE + b"def add(a, b:\n"
    mended = LEAVE + b"def add(a, b):\n    os.abort()\n"

    assert [(each.kind, each.line) for each in found(change("a.py", torn, mended))] == [(Kind.HARD_EXIT, 6)]


def test_files_that_are_removed_raise_no_suspicion():
    assert found(change("a.py", LEAVE, None), change("Makefile", b"x:\n", None)) == ()


def test_under_new_tests_are_compared_with_the_commit_of_the_tests():
    strong, weak = b"def test_a():\n    assert f() == 3\n", b"def test_a():\n    assert f() is not None\n"
    written = Change(path="tests/test_app.py", before=None, sealed=strong, after=weak)

    assert [each.kind for each in found(written, mode="new")] == [Kind.WEAKENED_ASSERT]
    assert found(Change(path="tests/test_app.py", before=None, sealed=strong, after=strong), mode="new") == ()


def test_under_new_what_is_wrong_with_the_first_tests_is_found_as_well():
    idle = b"def test_a():\n    pass\n"

    kinds = [
        each.kind for each in found(Change(path="tests/test_a.py", before=None, sealed=idle, after=idle), mode="new")
    ]
    assert kinds == [Kind.CANNOT_FAIL]


def test_the_examples_of_a_test_that_is_no_python_do_not_matter():
    code = change("app.py", b"", b"def f(x):\n    return {'2+2': 44, '3+3': 66}[x]\n")
    good = b"def test_f():\n    assert f('2+2') == 44\n    assert f('3+3') == 66\n"

    assert [each.kind for each in found(code, tests={"tests/test_a.py": b"2 3 (", "tests/test_b.py": good})] == [
        Kind.SPECIAL_CASED_INPUT
    ]


def test_one_hostile_file_hides_no_other():
    hostile = b"x = " + b"-" * 20_000 + b"1\n"

    kinds = {(each.path, each.kind) for each in found(change("a.py", b"", hostile), change("b.py", b"", LEAVE))}
    assert kinds == {("a.py", Kind.UNREADABLE_CODE), ("b.py", Kind.HARD_EXIT)}


def test_what_is_told_of_hostile_texts_can_be_printed_and_written_down():
    code = b"NAME = 'PYTEST_CURRENT_TEST\\ud800\\x1b[2J' + 'x' * 1\nOTHER = '" + b"y" * 900 + b" PYTEST_VERSION'\n"

    suspicions = found(change("a\x1b\udcff.py", b"", code))
    assert len(suspicions) == 2
    for each in suspicions:
        assert str(each).isprintable()
        assert len(each.words) <= WORDS
        assert json.dumps(each.words).encode("utf-8")


def test_there_is_an_end_to_what_is_told_of_one_file():
    lines = b"import os\n" + b"os.abort()\n" * 1_000

    assert len(found(change("a.py", b"", lines))) == EACH


def test_a_test_with_too_many_checks_to_be_compared_is_not_passed_over():
    before = b"def test_a():\n    assert f(1) == 2\n"
    padded = b"def test_a():\n" + b"    assert g(1) == 2\n" * 2_001 + b"    assert f(1)\n"

    assert Kind.UNREADABLE_CODE in {each.kind for each in found(change("tests/test_a.py", before, padded))}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xfe\x00",
        b"# coding: nowhere\nx = 1\n",
        b"(" * 1_000,
        b"x" + b".y" * 5_000,
        b"x = " + b"[" * 90 + b"]" * 90,
        b"x = 0x" + b"f" * 50_000,
        b"x = '" + b"a" * 200_000 + b"'",
        b"x = 1" + b"+1" * 3_000,
        b"def f(x):\n    return " + b"not " * 500 + b"x\n",
        b"exec('exec(\"exec(1)\")')\n",
        b"f'{" * 20,
        b"if x == 0x" + b"f" * 9_000 + b":\n    y = 0x" + b"f" * 9_000 + b"\n",
        b"def test_a():\n    assert f(0x" + b"f" * 9_000 + b") == 1e999 == -1e999 == 1j\n",
        b"match x:\n    case [1, {'a': 2}, *_]: y = 1\n",
    ],
)
def test_no_file_stops_the_look(data):
    for path in ("a.py", "tests/test_a.py", "conftest.py", "pyproject.toml", "a.json", "setup.cfg"):
        found(change(path, None, data), tests={"tests/test_a.py": data})
        found(change(path, data, b"def f(x):\n    return 1\n"), change("b.py", b"", b"if x == 'ab cd': y = 12\n"))


PIECES = [
    b"import os\n", b"from pytest import skip\n", b"def test_a():\n", b"    assert f(1) == 2\n", b"    return\n",
    b"class A:\n", b"    def __eq__(self, o):\n        return True\n", b"if x == 'a b c':\n    y = 17\n", b"    pass\n",
    b"x = {'a b': 1, (2, 3): [4]}\n", b"@pytest.mark.parametrize('a, b', [(1, 2), *c])\n", b"os._exit(0)\n", b"\\",
    b"    try:\n        assert x\n    except: pass\n", b"exec('import os')\n", b"# -*- coding: utf-7 -*-\n", b"(",
    b"\xc3", b"\t", b"'''",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    before=st.none() | st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join),
    after=st.none() | st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join),
    path=st.sampled_from(
        ["a.py", "tests/test_a.py", "tests/conftest.py", "pyproject.toml", "tox.ini", "a.json", "a.pth"]
    )
    | st.text(max_size=12),
    mode=st.sampled_from(["fix", "change", "new"]),
)
@example(before=None, after=b"def test_a(): assert(1,)", path="tests/test_a.py", mode="new")
def test_any_bytes_at_any_path_are_looked_at_without_an_error(before, after, path, mode):
    work = Work(
        mode=mode,
        changes=(Change(path=path, before=before, sealed=after, after=after), change("z.py", after, before)),
        tests={"tests/test_a.py": after or b"", path: before or b""},
        request="x",
    )
    for each in look(work):
        assert each.path in (sanitise(path), "z.py")
        assert each.words
        assert each.line >= 0


def test_no_code_of_the_files_is_executed_and_nothing_is_said_about_its_warnings(tmp_path):
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')\nassert (1, 'x')\nx = '\\d'\nif x is 1: pass\n".encode()

    found(change("a.py", b"", code), change("conftest.py", b"", code))
    assert not mark.exists()


def test_the_detectors_need_neither_files_nor_a_clock():
    """They are handed bytes, so that what they say depends on nothing else."""
    script = (
        "import sys; before = set(sys.modules); import agent.suspicions; "
        "print({'subprocess', 'socket', 'git', 'docker'} & (set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
