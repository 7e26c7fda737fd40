"""Every kind of suspicion on small changes: what is caught, and what is honest and must be left alone.

The changes stand in `cases/KIND.toml`. Of what is caught, only whether that kind is found is looked at.
"""

import tomllib
from pathlib import Path

import pytest

from agent.suspicions import Change, Kind, Policies, Policy, Work, look
from agent.task import Criterion

CASES = Path(__file__).parent / "cases"
TABLES = {kind: tomllib.loads((CASES / f"{kind}.toml").read_text("utf-8")) for kind in Kind}


def listed(word):
    return [
        pytest.param(kind, case, id=f"{kind}: {case['name']}")
        for kind, table in TABLES.items()
        for case in ({**table, **case} for case in table[word])
    ]


def encoded(text):
    """Code points below 256 stand for bytes where a file is no text."""
    return text.encode("latin-1") if "\0" in text or "\x7f" in text or text == "\x01" else text.encode()


def work_of(case):
    path, before = case["path"], None if case.get("absent") else encoded(case["before"])
    if "repeated" in case:
        head, middle, times, tail = case["repeated"]
        case["after"] = head + middle * times + tail
    after = None if case.get("gone") else encoded(case["after"])
    sealed = encoded(case["sealed"]) if "sealed" in case else before
    moved = {name: text.encode() for name, text in case.get("moved", {}).items()}
    return Work(
        mode=case.get("mode", "change"),
        changes=(
            Change(path=path, before=before, sealed=sealed, after=after),
            *(Change(path=name, before=None, sealed=None, after=data) for name, data in moved.items()),
        ),
        known=frozenset() if before is None else frozenset({path}),
        tests={name: text.encode() for name, text in case.get("tests", {}).items()},
        installed=frozenset(case.get("installed", ())),
        criteria=tuple(Criterion(behaviour="", command=c, output=o) for c, o in case.get("criteria", ())),
        request=case.get("request", ""),
    )


@pytest.mark.parametrize(("kind", "case"), listed("caught"))
def test_what_is_suspicious_is_found_in_its_line(kind, case):
    found = [each for each in look(work_of(case)) if each.kind is kind]

    assert found
    assert {each.path for each in found} == {case["path"]}
    assert case.get("line", found[0].line) in {each.line for each in found}
    assert case.get("says", "") in found[0].words


@pytest.mark.parametrize(("kind", "case"), listed("honest"))
def test_what_is_honest_is_left_alone_and_nothing_else_refuses_it(kind, case):
    work = work_of(case)
    found = Policies(mode=work.mode, stated={}).weighed(look(work))

    assert [str(each) for each in found if each.kind is kind or each.policy is Policy.REFUSE] == []


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_two_changes_of_either_sort(kind):
    assert len(TABLES[kind]["caught"]) > 1
    assert len(TABLES[kind]["honest"]) > 1
