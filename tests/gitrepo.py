"""Real repositories for tests, made by the git command as a user would."""

import io
import os
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def git(where: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
    result = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=where,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if check and result.returncode:
        raise AssertionError(f"git {arguments}: {result.stderr.decode()}")
    return os.fsdecode(result.stdout).removesuffix("\n")


def put(root: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


def repository(root: Path, files: dict[str, str | bytes] | None = None, *options: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main", *options)
    put(root, files if files is not None else {"app.py": "x = 1\n", "tests/test_app.py": "def test(): pass\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first", "--allow-empty")
    return root


def state(root: Path) -> dict[str, bytes]:
    """Every file of the repository, git directory included, but for objects and what is greenward's own."""
    found = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in {"objects", "greenward"}]
        for name in files:
            if name == "greenward":  # the ref of the notes, and its log
                continue
            path = Path(directory) / name
            found[str(path.relative_to(root))] = (
                os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            )
    return found


def contents(workspace, tree):
    return {entry.path: workspace.read(tree, entry.path) for entry in workspace.files(tree)}


def found_by(workspace):
    return contents(workspace, workspace.snapshot(at=AT).tree)


def unpacked(delta):
    with tarfile.open(fileobj=io.BytesIO(b"".join(delta.archive))) as archive:
        return [
            (one.name, one.mode, one.linkname if one.issym() else archive.extractfile(one).read()) for one in archive
        ]


def repository_without(path: Path) -> None:
    """A repository that has no commit."""
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
