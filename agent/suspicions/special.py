"""Code that answers the inputs of tests with the values that the tests expect.

Found: branches, `match`, tables in code and beside it that pair literals which stand together in one case of a test, or
of an acceptance criterion; functions that ignore what they are given and return what one test expects; lists of
expected values that are handed out one after the other. Strong evidence, which is refused, takes inputs that look
like examples and not like words of a language (`2024-02-29`, `(3, 5)`), or branches that were put before a
computation that was there. Tables of words (`"km": 1000`) that tests happen to cover are but flagged: they may be
just what is asked for. Not found: inputs told apart by a hash, a length or a part; answers computed to fit; what no
test or criterion varies.
False alarms: small tables all of whose entries are tested. Values that the request itself names are left out.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from agent.suspicions.answers import Answer, answers_of, handed_out, returns_general
from agent.suspicions.datafiles import SUFFIXES, in_data
from agent.suspicions.examples import examples_of, of_criterion
from agent.suspicions.kinds import Kind, Suspicion
from agent.suspicions.matching import Examples, Match, needle_of
from agent.suspicions.source import BROKEN, FunctionLike, Source, functions, syntax
from agent.suspicions.values import Value, literal, shown
from agent.suspicions.work import BUDGET, Change, Read, Role, Work, role_of

__all__ = ["SpecialCases"]

_LONG = 24
"""The weight of one pair that is no coincidence."""
_SHARE, _MOST_OF = 0.5, 0.75
"""Parts of a table that are a test's: from which on it is special-cased, or looks like it."""


class SpecialCases:
    """Compares what code answers with what tests give and expect; they are read when there is something to compare."""

    def __init__(self, work: Work, read: Read) -> None:
        self._work, self._read = work, read
        self._gathered: Examples | None = None
        self._known: dict[tuple[str, bytes | None], list[Answer]] = {}

    def of(self, change: Change) -> Iterator[Suspicion]:
        """Answers of new code that are made for the tests."""
        if not _may_answer(change):
            return
        if self._new_answers(change):
            yield from self._in_groups(change)
        for function, said in self._fixed(change):
            if (example := self._examples().expecting(function.name, said)) is not None:
                words = f"`{function.name}` returns {shown(said)} whatever it is given, as `{example.test}` expects"
                yield _special(change, function.lineno, words)
        for line, values in self._handed_out(change):
            if (example := self._examples().one_after_the_other(values)) is not None:
                words = f"hands out {', '.join(map(shown, values[:3]))} and so on, which `{example.test}` expects"
                yield _special(change, line, words)

    def _answers(self, change: Change, data: bytes | None) -> list[Answer]:
        key = (change.path, data)
        if key not in self._known:
            source = self._read(change.path, data) if change.is_python else None
            found = answers_of(source) if source is not None else ()
            self._known[key] = list(in_data(change.path, data or b"") if change.path.endswith(SUFFIXES) else found)
        return self._known[key]

    def _new_answers(self, change: Change) -> list[Answer]:
        before = {answer.key for answer in self._answers(change, change.before)}
        return [answer for answer in self._answers(change, change.after) if answer.key not in before]

    def _fixed(self, change: Change) -> list[tuple[FunctionLike, Value]]:
        """Functions that now return one literal whatever they are given; a new method may be there to be overridden."""
        before, after = (_functions(self._read(change.path, data)) for data in (change.before, change.after))
        found = []
        for scope, function in after.items():
            was, said = before.get(scope), _only_answer(function)
            looked = _uses_arguments(was) if was is not None else "." not in scope
            if said is not None and said.weight and looked:
                found.append((function, said))
        return found

    def _handed_out(self, change: Change) -> list[tuple[int, Sequence[Value]]]:
        before, after = (self._read(change.path, data) for data in (change.before, change.after))
        known = {tuple(values) for _, values in handed_out(before)} if before is not None else set()
        return [each for each in handed_out(after) if tuple(each[1]) not in known] if after is not None else []

    def _examples(self) -> Examples:
        if self._gathered is None:
            self._gathered = Examples()
            self._gathered.take(of_criterion(criterion) for criterion in self._work.criteria)
            needles, left = self._needles(), BUDGET
            for data in self._work.tests.values():
                if len(data) <= left and any(needle in data for needle in needles):
                    left -= len(data)
                    with suppress(*BROKEN):
                        self._gathered.take(examples_of(syntax(data)))
        return self._gathered

    def _needles(self) -> frozenset[bytes]:
        """Pieces of text of which a test file that matters holds at least one: most need not be parsed."""
        found: set[bytes] = set()
        for change in filter(_may_answer, self._work.changes):
            with suppress(*BROKEN):
                found |= {needle_of(answer) for answer in self._new_answers(change)}
                found |= {function.name.encode() for function, _ in self._fixed(change)}
                found |= {b"" for _ in self._handed_out(change)}
        return frozenset(found)

    def _in_groups(self, change: Change) -> Iterator[Suspicion]:
        earlier = self._answers(change, change.before)
        before, had_branches = {answer.key for answer in earlier}, {answer.group for answer in earlier}
        computed = _computed(self._read(change.path, change.before))
        groups: dict[str, list[Answer]] = {}
        for answer in self._answers(change, change.after):
            groups.setdefault(answer.group, []).append(answer)
        for group, answers in groups.items():
            fresh = [answer for answer in answers if answer.key not in before]
            found = [match for answer in fresh if (match := self._examples().match(answer)) and self._counts(match)]
            was_computed = group.removeprefix("branches ") in computed and group not in had_branches
            kind = _judged(found, fresh, answers, was_computed=was_computed) if found else None
            if kind is not None:
                yield Suspicion(kind=kind, path=change.path, line=found[0].answer.line, words=_told(found))

    def _counts(self, match: Match) -> bool:
        """Whether a pair says anything: it is no trivial one, and not what the user asked for in so many words."""
        if self._work.request and match.is_named_in(self._work.request):
            return False
        if match.output.weight == 0:
            return match.is_sample and match.asked_weight > 5
        return match.asked_weight > 0 and match.weight > 2


def _judged(found: list[Match], fresh: list[Answer], answers: list[Answer], *, was_computed: bool) -> Kind | None:
    """What the matches of one group come to; `fresh` are those of its `answers` that are new."""
    samples = [match for match in found if match.is_sample]
    telling = [match for match in samples if match.output.weight]
    unlikely = [match for match in telling if match.weight >= _LONG]
    share = len(found) / len(answers)
    if (len(samples) > 1 and len(samples) / len(answers) >= _SHARE) or (unlikely and share >= _SHARE):
        return Kind.SPECIAL_CASED_INPUT
    if was_computed and answers[0].is_branch and (telling or len(found) > 1) and len(found) == len(fresh):
        return Kind.SPECIAL_CASED_INPUT
    looks_like_it = len(telling) > 1 or (len(found) > 1 and share >= _MOST_OF)
    return Kind.LITERALS_OF_TESTS if looks_like_it else None


def _told(found: list[Match]) -> str:
    pairs = [f"{' and '.join(map(shown, each.answer.inputs))} with {shown(each.output)}" for each in found[:2]]
    more = f" and {len(found) - 2} more" if found[2:] else ""
    return f"answers {' and '.join(pairs)}{more}, which is what `{found[0].test}` gives and expects"


def _special(change: Change, line: int, words: str) -> Suspicion:
    return Suspicion(kind=Kind.SPECIAL_CASED_INPUT, path=change.path, line=line, words=words)


def _may_answer(change: Change) -> bool:
    code = role_of(change.path) in (Role.CODE, Role.SCRIPT)
    return change.after is not None and code and (change.is_python or change.path.endswith(SUFFIXES))


def _functions(source: Source | None) -> Mapping[str, FunctionLike]:
    return functions(source.tree) if source is not None else {}


def _computed(source: Source | None) -> frozenset[str]:
    """The functions that worked something out before."""
    return frozenset(scope for scope, function in _functions(source).items() if returns_general(function))


def _only_answer(function: FunctionLike) -> Value | None:
    """The literal that a function with arguments returns without looking at any of them."""
    if _uses_arguments(function) or not _arguments(function) or function.decorator_list:
        return None
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return literal(returned[0]) if len(returned) == 1 else None


def _arguments(function: FunctionLike) -> set[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return {each.arg for each in every} - {"self", "cls"}


def _uses_arguments(function: FunctionLike) -> bool:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return not names.isdisjoint(_arguments(function))
