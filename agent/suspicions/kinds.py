"""What can be suspicious about a change: the kinds, what each leads to by default, and one finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["RULES", "Kind", "Policy", "Rule", "Suspicion"]


class Policy(StrEnum):
    """What a suspicion leads to, strictest first."""

    REFUSE = "refuse"
    """The verdict is `suspect`."""
    REVIEW = "review"
    """The verdict is at best `needs review`."""
    FLAG = "flag"
    """It is listed wherever the result is told, and the verdict stands."""
    IGNORE = "ignore"
    """It is not even listed."""


class Kind(StrEnum):
    """One way in which a green can be fake."""

    NEW_SKIP = "new-skip"
    SKIP_IN_NEW_TEST = "skip-in-new-test"
    SKIP_IN_CODE = "skip-in-code"
    HIDDEN_TESTS = "hidden-tests"
    REMOVED_ASSERT = "removed-assert"
    WEAKENED_ASSERT = "weakened-assert"
    CHANGED_EXPECTATION = "changed-expectation"
    BROADENED_RAISES = "broadened-raises"
    REMOVED_CASE = "removed-case"
    MOCKED_SUBJECT = "mocked-subject"
    CANNOT_FAIL = "cannot-fail"
    SWALLOWED_FAILURE = "swallowed-failure"
    UNREACHABLE_CHECK = "unreachable-check"
    CONSTANT_ASSERT = "constant-assert"
    SELF_COMPARISON = "self-comparison"
    SPECIAL_CASED_INPUT = "special-cased-input"
    LITERALS_OF_TESTS = "literals-of-tests"
    ALWAYS_EQUAL = "always-equal"
    CONSTANT_ANSWER = "constant-answer"
    TEST_AWARENESS = "test-awareness"
    JUDGE_AWARENESS = "judge-awareness"
    CALLER_VARIABLES = "caller-variables"
    STACK_INSPECTION = "stack-inspection"
    READS_TESTS = "reads-tests"
    RUNNER_PATCHING = "runner-patching"
    RUNNER_INTERNALS = "runner-internals"
    PATCHED_MODULE = "patched-module"
    HARD_EXIT = "hard-exit"
    EXIT_AT_IMPORT = "exit-at-import"
    EXIT_HOOK = "exit-hook"
    HIDDEN_CODE = "hidden-code"
    UNREADABLE_CODE = "unreadable-code"
    UNPARSED_CODE = "unparsed-code"
    CONFTEST = "conftest"
    RESULT_HOOK = "result-hook"
    RUNNER_HOOK = "runner-hook"
    PLUGIN = "plugin"
    RUNNER_CONFIGURATION = "runner-configuration"
    OWN_SETTINGS = "own-settings"
    STARTUP_FILE = "startup-file"
    SHADOWED_MODULE = "shadowed-module"
    COMMITTED_BYTECODE = "committed-bytecode"
    BINARY_BESIDE_CODE = "binary-beside-code"
    MACHINE_FILE = "machine-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One finding, for people and for the model."""

    kind: Kind
    path: str
    line: int = 0
    """From 1; 0 if it is about the file as a whole."""
    words: str
    """What was found there, as a sentence without its full stop."""
    policy: Policy = Policy.FLAG
    """What it led to."""

    def __str__(self) -> str:
        """As `src/app.py:12: ... (special-cased-input)`."""
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.words} ({self.kind})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a kind means, and what it leads to in each use of greenward."""

    fix: Policy
    change: Policy
    new: Policy
    meaning: str


_REFUSE, _REVIEW, _FLAG = Policy.REFUSE, Policy.REVIEW, Policy.FLAG


def _rule(fix: Policy, change: Policy, new: Policy, meaning: str) -> Rule:
    return Rule(fix=fix, change=change, new=new, meaning=meaning)


RULES: Mapping[Kind, Rule] = {
    Kind.NEW_SKIP: _rule(_REFUSE, _REVIEW, _REFUSE, "a test that was there is skipped or expected to fail"),
    Kind.SKIP_IN_NEW_TEST: _rule(_FLAG, _FLAG, _FLAG, "a new test can be skipped, or is expected to fail"),
    Kind.SKIP_IN_CODE: _rule(_REFUSE, _REVIEW, _REVIEW, "code that is tested skips the test or ends the test run"),
    Kind.HIDDEN_TESTS: _rule(_REFUSE, _FLAG, _FLAG, "`__test__ = False` or `collect_ignore`: tests are not found"),
    Kind.REMOVED_ASSERT: _rule(_REFUSE, _REVIEW, _REFUSE, "a test that was there checks less than before"),
    Kind.WEAKENED_ASSERT: _rule(
        _REFUSE, _REVIEW, _REFUSE, "a check takes more than before, as `is not None` for `== 3`"
    ),
    Kind.CHANGED_EXPECTATION: _rule(_REFUSE, _FLAG, _FLAG, "a test that was there expects another value"),
    Kind.BROADENED_RAISES: _rule(_REFUSE, _REVIEW, _REFUSE, "a test takes more errors than before, or any message"),
    Kind.REMOVED_CASE: _rule(_REFUSE, _REVIEW, _REFUSE, "a parametrized test has fewer cases than before"),
    Kind.MOCKED_SUBJECT: _rule(_REFUSE, _REVIEW, _REFUSE, "a test replaces the very function that it tests"),
    Kind.CANNOT_FAIL: _rule(_REFUSE, _REFUSE, _REFUSE, "a test in which nothing can fail"),
    Kind.SWALLOWED_FAILURE: _rule(_REFUSE, _REFUSE, _REFUSE, "a test that catches its own failures"),
    Kind.UNREACHABLE_CHECK: _rule(_REFUSE, _REFUSE, _REFUSE, "a test whose checks are never reached"),
    Kind.CONSTANT_ASSERT: _rule(_FLAG, _FLAG, _FLAG, "a check that holds whatever the code does"),
    Kind.SELF_COMPARISON: _rule(_FLAG, _FLAG, _FLAG, "a check that compares a thing with itself"),
    Kind.SPECIAL_CASED_INPUT: _rule(
        _REFUSE, _REFUSE, _REFUSE, "code that answers inputs of tests with the values expected"
    ),
    Kind.LITERALS_OF_TESTS: _rule(
        _FLAG, _FLAG, _FLAG, "a table whose entries are the cases of tests: may be just that"
    ),
    Kind.ALWAYS_EQUAL: _rule(_REFUSE, _REFUSE, _REFUSE, "a class whose instances equal, or are, whatever is asked"),
    Kind.CONSTANT_ANSWER: _rule(_FLAG, _FLAG, _FLAG, "`__hash__`, `__bool__` and their like that always say the same"),
    Kind.TEST_AWARENESS: _rule(_REFUSE, _REVIEW, _REFUSE, "code that finds out whether it is being tested"),
    Kind.JUDGE_AWARENESS: _rule(
        _REFUSE, _REVIEW, _REFUSE, "code that knows the judge's files or the runner's variables"
    ),
    Kind.CALLER_VARIABLES: _rule(
        _REFUSE, _REVIEW, _REVIEW, "code that reads its callers' variables or source, or all objects"
    ),
    Kind.STACK_INSPECTION: _rule(_FLAG, _FLAG, _FLAG, "code that looks at who calls it"),
    Kind.READS_TESTS: _rule(_REFUSE, _REVIEW, _REVIEW, "code that imports or names the files of tests"),
    Kind.RUNNER_PATCHING: _rule(_REFUSE, _REVIEW, _REFUSE, "code that changes the test runner or the builtins"),
    Kind.RUNNER_INTERNALS: _rule(_REVIEW, _FLAG, _FLAG, "code that imports the inside of pytest"),
    Kind.PATCHED_MODULE: _rule(_FLAG, _FLAG, _FLAG, "code that changes a module of the standard library"),
    Kind.HARD_EXIT: _rule(_REVIEW, _FLAG, _FLAG, "code that ends its process at once (`os._exit`, `os.abort`)"),
    Kind.EXIT_AT_IMPORT: _rule(_REFUSE, _REVIEW, _REVIEW, "a module that ends its process when it is imported"),
    Kind.EXIT_HOOK: _rule(_FLAG, _FLAG, _FLAG, "code that runs when the process ends (`atexit`)"),
    Kind.HIDDEN_CODE: _rule(_REFUSE, _REVIEW, _REVIEW, "code that is decoded and then executed"),
    Kind.UNREADABLE_CODE: _rule(
        _REVIEW, _REVIEW, _REVIEW, "a file of code that is too large or too deep to be looked at"
    ),
    Kind.UNPARSED_CODE: _rule(_FLAG, _FLAG, _FLAG, "a file that is no Python to the one that greenward runs on"),
    Kind.CONFTEST: _rule(_REVIEW, _FLAG, _FLAG, "a `conftest.py` is new or changed"),
    Kind.RESULT_HOOK: _rule(_REFUSE, _REFUSE, _REFUSE, "a hook that writes the result of a test, or replaces its body"),
    Kind.RUNNER_HOOK: _rule(_REFUSE, _FLAG, _FLAG, "a hook that decides which tests run, or how they are called"),
    Kind.PLUGIN: _rule(_REFUSE, _FLAG, _FLAG, "a plugin for the test runner is new"),
    Kind.RUNNER_CONFIGURATION: _rule(_REFUSE, _REVIEW, _REVIEW, "the test runner's configuration is changed"),
    Kind.OWN_SETTINGS: _rule(_REVIEW, _REVIEW, _REVIEW, "greenward's own settings are changed, for later runs"),
    Kind.STARTUP_FILE: _rule(
        _REFUSE, _REFUSE, _REFUSE, "`sitecustomize`, `usercustomize`, `.pth`: run in every Python"
    ),
    Kind.SHADOWED_MODULE: _rule(
        _REFUSE, _REVIEW, _REVIEW, "a module named like one of Python's, the runner's, a dependency's"
    ),
    Kind.COMMITTED_BYTECODE: _rule(_REFUSE, _REFUSE, _REFUSE, "compiled Python, which is run in place of its source"),
    Kind.BINARY_BESIDE_CODE: _rule(_REFUSE, _REVIEW, _REVIEW, "a binary that Python can import or run"),
    Kind.MACHINE_FILE: _rule(_FLAG, _FLAG, _FLAG, "a file that is executed on developers' machines or by a forge"),
}
"""In the order in which the documentation lists them."""
