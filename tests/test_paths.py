"""The path policy: what a model may name, and what a command may leave behind."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.paths import Move, always_ignored, dot_git, fold, reason, refusals, shape
from sandbox import Refusal

FILE = "100644"


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "//x", "~/x", "~root/x", "a/", "a//b", "./a", "a/./b", "a\\b"],
)
def test_what_leads_out_or_nowhere_is_refused_even_if_it_is_there(path):
    assert shape(path)
    assert refusals([Move(path=path)], {path: FILE})


@pytest.mark.parametrize(
    "component",
    [
        ".git", ".GIT", ".Git", "GIT~1", "git~2", ".git ", ".git.", ".git. .", ".git::$INDEX_ALLOCATION", ".git:x",
        ".gi\u200ct", "\u200d.git", ".g\ufeffit", ".git\u202e",
    ],
)  # fmt: skip
@pytest.mark.parametrize("template", ["{}", "{}/config", "a/{}/hooks/pre-commit"])
def test_no_spelling_of_the_git_directory_passes(component, template):
    assert dot_git(component)
    assert shape(template.format(component))


@pytest.mark.parametrize("path", [".gitignore", "git", "a.git", ".github/x", "digit/.gitkeep", "legit~1", "git~x"])
def test_names_that_only_resemble_the_git_directory_pass(path):
    assert reason(path) is None


@pytest.mark.parametrize(
    "path", ["a\0b", "a\nb", "a\x1b[31m", "a\u202eb", "a\ud800b", "a\x7f", "a\x9b", "a\u2028b", "a\u200bb"]
)
def test_characters_that_deceive_or_cannot_be_encoded_are_refused(path):
    assert shape(path) == "contains control, format or undecodable characters"


@pytest.mark.parametrize(
    "path",
    [
        "con",
        "a/CON",
        "aux.txt",
        "NUL.tar.gz",
        "com1",
        "LPT9.x",
        "com¹",
        "x:ads",
        "trail. ",
        "trail.",
        "a /b",
        "what?",
        "a*",
    ],
)
def test_what_other_systems_cannot_hold_is_refused_only_if_it_is_not_there_yet(path):
    assert reason(path)
    assert refusals([Move(path=path)], {path: FILE}) == ()


@pytest.mark.parametrize("path", ["a" * 256, "é" * 128, "/".join(["a" * 100] * 41)])
def test_lengths_that_file_systems_refuse_are_refused(path):
    assert reason(path) == "is too long"


@pytest.mark.parametrize(
    "path", ["a" * 255, "é" * 127, "src/naïve.py", "日本/語.txt", "-rf", "--help", "a b", "console"]
)
def test_unusual_but_portable_paths_pass(path):
    assert reason(path) is None


@pytest.mark.parametrize(
    ("existing", "made"),
    [("README", "readme"), ("Src/a.py", "src/b.py"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")],
)
def test_a_twin_of_what_is_there_is_refused(existing, made):
    (refusal,) = refusals([Move(path=made)], {existing: FILE})
    assert "only in case or normalisation" in refusal.reason


def test_twins_within_one_batch_are_refused():
    assert refusals([Move(path="a/x"), Move(path="A/y")], {}) == (
        Refusal(path="A/y", reason="differs from `a` only in case or normalisation"),
    )


def test_a_file_may_change_its_case_if_the_old_one_goes():
    assert refusals([Move(path="README", gone=True), Move(path="readme")], {"README": FILE}) == ()


@pytest.mark.parametrize(
    ("moves", "modes", "clause"),
    [
        ([Move(path="a"), Move(path="a/b")], {}, "is a directory"),
        ([Move(path="a")], {"a/b": FILE}, "is a directory"),
        ([Move(path="a/b")], {"a": FILE}, "lies under `a`, which is a file"),
        ([Move(path="a"), Move(path="a")], {}, "occurs twice"),
        ([Move(path="a", gone=True)], {}, "does not exist"),
        ([Move(path="l")], {"l": "120000"}, "is a symbolic link"),
        ([Move(path="l", gone=True)], {"l": "120000"}, "is a symbolic link"),
        ([Move(path="l/x/y")], {"l": "120000"}, "leads through the symbolic link `l`"),
        ([Move(path="s")], {"s": "160000"}, "is a submodule"),
        ([Move(path="s/x")], {"s": "160000"}, "lies in the submodule `s`"),
    ],
)
def test_what_does_not_fit_the_tree_is_refused(moves, modes, clause):
    assert clause in [one.reason for one in refusals(moves, modes)]


def test_a_directory_can_give_way_to_a_file_and_the_reverse():
    assert refusals([Move(path="a/b", gone=True), Move(path="a")], {"a/b": FILE}) == ()
    assert refusals([Move(path="a", gone=True), Move(path="a/b")], {"a": FILE}) == ()


@pytest.mark.parametrize(
    "path",
    ["a/__pycache__/x.py", "x.pyc", ".venv/bin/python", "p.egg-info/PKG-INFO", ".coverage.host.1", "node_modules/a"],
)
def test_caches_are_always_ignored(path):
    assert always_ignored(path)


@pytest.mark.parametrize("path", ["venv.py", "coverage/a.py", "src/cache.py", "pyc", ".coveragerc"])
def test_what_is_no_cache_is_not(path):
    assert not always_ignored(path)


@given(st.text(max_size=60))
def test_what_passes_is_relative_visible_and_inside(path):
    if reason(path) is None:
        assert not path.startswith(("/", "~"))
        assert not {"", ".", "..", ".git"} & {part.casefold() for part in path.split("/")}
        assert path.encode().decode() == path
        assert not {"Cc", "Cf", "Cs"} & {unicodedata.category(c) for c in path}


@given(st.text(min_size=1, max_size=30))
def test_folding_knows_no_case_and_no_normalisation(text):
    spellings = {text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}
    assert len({fold(spelling) for spelling in spellings}) == 1
    assert fold(fold(text)) == fold(text)


_NAMES = st.text(alphabet="aAbBé\u0301/.", min_size=1, max_size=6)


@given(st.lists(_NAMES, max_size=6, unique=True), st.lists(_NAMES, max_size=6))
def test_a_batch_that_passes_leaves_a_tree_that_every_file_system_can_hold(existing, made):
    modes = {path: FILE for path in existing if reason(path) is None and not refusals([Move(path=path)], {})}
    modes = {path: mode for path, mode in modes.items() if not any(other.startswith(f"{path}/") for other in modes)}
    folded = {fold(path) for path in modes}
    if len(folded) < len(modes):
        return
    if refusals([Move(path=path) for path in made], modes):
        return
    final = {*modes, *made}
    parents = {path[:at] for path in final for at in range(len(path)) if path[at] == "/"}
    assert not parents & final
    new = {*made} - {*modes}
    assert all(fold(path) not in {fold(other) for other in final - {path}} for path in new)
