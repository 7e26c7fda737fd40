"""One table says which files machines execute or obey, and who of us acts upon that."""

import pytest

from agent.machines import TABLE, Use, executed, uses

SEALED, REFUSED, FLAGGED, NONE = Use.SEALED, Use.REFUSED, Use.FLAGGED, Use.NONE
ALL = SEALED | REFUSED | FLAGGED


@pytest.mark.parametrize(
    ("path", "clause", "use"),
    [
        (".github/workflows/ci.yml", "executed by GitHub's runners", ALL),
        (".github/CODEOWNERS", "obeyed by forges", ALL),
        (".github/dependabot.yml", "obeyed by GitHub", ALL),
        ("sub/.github/workflows/ci.yml", "executed by a forge's runners", FLAGGED),
        ("sub/action.yaml", "executed by GitHub's runners", REFUSED | FLAGGED),
        (".gitlab-ci.yml", "executed by a forge's runners", ALL),
        ("ci/deploy.gitlab-ci.yaml", "", NONE),
        ("ci/.gitlab-ci.yaml", "executed by a forge's runners", REFUSED | FLAGGED),
        (".woodpecker/x/y.yml", "executed by a forge's runners", REFUSED | FLAGGED),
        ("Jenkinsfile", "executed by a forge's runners", ALL),
        ("x/Jenkinsfile", "executed by a forge's runners", FLAGGED),
        ("a/b/.gitattributes", "obeyed by git", SEALED | REFUSED),
        (".gitmodules", "obeyed by forges", SEALED | REFUSED),
        (".husky/pre-commit", "executed by git", ALL),
        (".pre-commit-config.yaml", "executed by git", ALL),
        ("tools/hooks/pre-push", "executed by git", REFUSED | FLAGGED),
        ("tools/hooks/other", "executed by git", FLAGGED),
        (".vscode/tasks.json", "executed by editors", ALL),
        ("a\nb/.vscode/tasks.json", "executed by editors", ALL),
        (".envrc", "executed by entering the directory", ALL),
        ("src/x.pth", "executed whenever Python starts", NONE),
        ("tests/conftest.py", "executed whenever tests run", NONE),
        ("Setup.py", "executed by builds", NONE),
        ("web/.npmrc", "obeyed by package managers", REFUSED),
        ("MAKEFILE", "executed by developers", FLAGGED),
        ("scripts/do.sh", "executed by developers", NONE),
        ("src/app.py", "", NONE),
        ("docs/makefile.md", "", NONE),
        ("my.envrc", "", NONE),
    ],
)
def test_a_file_is_known_by_its_name(path, clause, use):
    assert (executed(path), uses(path)) == (clause, use)


def test_whatever_is_not_published_is_told_to_whoever_reads_of_it():
    for row in TABLE:
        for pattern in row.patterns:
            path = pattern.removeprefix("*").replace("*", "x")
            assert executed(path), pattern
            assert row.use in uses(path), pattern
            assert SEALED not in row.use or REFUSED in row.use, pattern
