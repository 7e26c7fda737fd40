"""Files of a change that are executed outside of any sandbox, once somebody has them. Pure."""

import re

__all__ = ["executed"]

_BY = (
    (re.compile(r"\.github/workflows/.*|(?:.*/)?action\.ya?ml"), "by GitHub's runners"),
    (
        re.compile(
            r"(?:.*/)?\.gitlab-ci\.ya?ml|\.gitlab/.*|\.circleci/.*|(?:.*/)?(?:\.travis\.yml|azure-pipelines\.ya?ml|jenkinsfile)"
        ),
        "by a forge's runners",
    ),
    (re.compile(r"(?:.*/)?(?:\.githooks|hooks|\.husky)/.*|(?:.*/)?(?:\.pre-commit-config|lefthook)\.ya?ml"), "by git"),
    (re.compile(r"(?:.*/)?(?:\.vscode|\.idea|\.devcontainer)/.*"), "by editors"),
    (re.compile(r"(?:.*/)?(?:\.envrc|\.bashrc|\.profile|\.gitconfig|\.gitattributes)"), "by entering the directory"),
    (re.compile(r"(?:.*/)?(?:sitecustomize|usercustomize)\.py|.*\.pth"), "whenever Python starts"),
    (re.compile(r"(?:.*/)?conftest\.py"), "whenever tests run"),
    (re.compile(r"(?:.*/)?(?:(?:setup|noxfile|toxfile|tasks|dodo)\.py|pyproject\.toml|setup\.cfg)"), "by builds"),
    (
        re.compile(
            r"(?:.*/)?(?:(?:gnu)?makefile|justfile|taskfile\.ya?ml|package\.json|vagrantfile"
            r"|(?:docker|container)file(?:\..*)?|(?:docker-)?compose\.ya?ml)|.*\.(?:sh|bash|ps1|bat|cmd)"
        ),
        "by developers",
    ),
)  # fmt: skip


def executed(path: str) -> str:
    """Who executes the file at `path`, as `by git`; empty if nobody does by its name alone."""
    return next((by for pattern, by in _BY if pattern.fullmatch(path.casefold())), "")
