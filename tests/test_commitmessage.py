"""What a model writes into a commit's message starts, stops, closes and notifies nothing at a forge."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.commitmessage import compose, obeyed

TRAILERS = (("Greenward-Run", "r1"), ("Assisted-by", "greenward:@cf/some/model"))
PIECES = st.sampled_from([
    "@", "ada", "#", "12", "Closes ", "fixes: ", "o/r", "GH-", "[", "]", "skip ci", "skip", "ci", " ", "\n", "\u200b",
    "***", "NO_CI", "skip-checks: true", "Signed-off-by: x", "https://forge.example/o/r", "/issues/",
    "/-/merge_requests/", "\r",
])  # fmt: skip


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Thanks @ada and @org/team", "Thanks (at)ada and (at)org/team"),
        ("As #12 says", "As no. 12 says"),
        ("Closes o/r#12, #13", "Closes o/r no. 12, no. 13"),
        ("Fixes GH-7", "Fixes GH no. 7"),
        ("Closes https://forge.example/o/r/issues/12", "Closes https://forge.example/o/r/issues no. 12"),
        (
            "see https://forge.example/o/r/-/merge_requests/3#note",
            "see https://forge.example/o/r/-/merge_requests no. 3#note",
        ),
        ("[skip\nci]", "(skip ci)"),
        ("@\u200bada", "(at)ada"),
        ("***NO_CI***", "(NO_CI)"),
        ("Use C# 12, a @ b, and #anchor", "Use C# 12, a @ b, and #anchor"),
    ],
)
def test_a_subject_reads_alike_and_does_nothing(said, written):
    assert compose(said, "", TRAILERS).partition("\n")[0] == written


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map("".join))
@example("[skip\nci]", "@\u200bada")
@example("[skip ci", "]")
@example("#skip-checks: true", "")
def test_whatever_is_written_a_forge_acts_upon_nothing_of_it(subject, body):
    assert obeyed(compose(subject, body, TRAILERS)) == ""


@pytest.mark.parametrize(
    "said", ["@ada", "a #1 b", "GH-1", "x/issues/1", "[no ci]", "Co-authored-by: Ada", "skip-checks:true", "a\u202eb"]
)
def test_what_a_forge_acts_upon_is_known(said):
    assert obeyed(f"Mend it\n\n{said}\n")
