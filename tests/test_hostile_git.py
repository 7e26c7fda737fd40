"""Repositories and settings that try to run commands, to hide files or to lead elsewhere."""

import io
import os
import re
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

import agent.git
from agent.errors import DamagedRun, GreenwardError, UsageProblem
from agent.git import FLAGS, VARIABLES, Git
from agent.gitfailed import GitFailed
from agent.seal import Seal
from agent.snapshot import LeftOut
from agent.trees import Blob, Edit
from agent.workspace import Workspace
from sandbox import Candidate, Change
from tests.gitrepo import AT, git, put, repository, state

FREE = Seal(policy="free")
ALL_CHANGED = r"printf '\0/'"
HOOKS = ["pre-commit", "commit-msg", "post-commit", "post-index-change", "reference-transaction", "post-checkout"]


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "MARK"


@pytest.fixture
def root(tmp_path):
    return repository(tmp_path / "project")


def script(path: Path, mark: Path, then: str = "cat") -> Path:
    put(path.parent, {path.name: f"#!/bin/sh\necho {path.name} >> {mark}\n{then}\n"})
    path.chmod(0o755)
    return path


def payloads(directory: Path, mark: Path) -> str:
    """A configuration that runs a command wherever git lets one be named."""
    command = script(directory / "payload", mark)
    monitor = script(directory / "fsmonitor", mark, then=ALL_CHANGED)
    hooks = directory / "hooks"
    for name in HOOKS:
        script(hooks / name, mark, then="true")
    put(directory, {"included.cfg": f"[core]\n\teditor = {command}\n[diff]\n\texternal = {command}\n"})
    return f"""
[core]
\tfsmonitor = {monitor}
\thooksPath = {hooks}
\tpager = {command}
\tsshCommand = {command}
\taskPass = {command}
[filter "x"]
\tclean = {command}
\tsmudge = {command}
\trequired = true
[filter "y"]
\tprocess = {command}
[diff "x"]
\ttextconv = {command}
[diff "y"]
\tcommand = {command}
[commit]
\tgpgSign = true
[gpg]
\tprogram = {command}
[credential]
\thelper = {command}
[alias]
\tcommit-tree = !{command}
[include]
\tpath = {directory / "included.cfg"}
"""


def everything(root: Path) -> None:
    """All that a run does with a repository, through every door of the workspace."""
    with Workspace.open(root, environment=dict(os.environ)) as workspace:
        snapshot = workspace.snapshot(at=AT)
        tree = workspace.edit(snapshot.tree, [Edit(path="app.py", data=b"x = 9\n"), Edit(path="n", data=b"")], FREE)
        workspace.checkpoint("r1", tree)
        commit = workspace.commit(tree, snapshot.commit, "message\n", at=AT)
        workspace.advance("greenward/x-r1", commit, None)
        workspace.annotate(commit, "note")
        workspace.diff(snapshot.commit, commit)
        workspace.search(tree, "x")
        sent = workspace.tree(tree, seal=FREE, ignore_base=snapshot.tree)
        b"".join(sent.since(None).archive)
        sent.select([Candidate(path="new.py", kind="file")])
        sent.absorb([Change(path="new.py", data=b"1")])
        workspace.violations(snapshot.tree, tree, FREE)


@pytest.mark.parametrize("level", ["repository", "user", "nested"])
def test_nothing_that_git_is_told_to_run_is_run(root, mark, tmp_path, private_home, level):
    put(root, {".gitattributes": "*.py filter=x diff=x\n*.txt filter=y diff=y\n", "a.txt": "a"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "attributes")
    repository(root / "nested")
    put(root, {".gitmodules": '[submodule "nested"]\n\tpath = nested\n\turl = ../nested\n\tignore = none\n'})
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{git(root / 'nested', 'rev-parse', 'HEAD')},nested")
    put(root, {"app.py": "x = 5\n", "a.txt": "b", "nested/app.py": "x = 5\n"})
    config = payloads(tmp_path / "payloads", mark)
    where = {
        "repository": root / ".git/config",
        "user": private_home / ".gitconfig",
        "nested": root / "nested/.git/config",
    }
    with where[level].open("a") as file:
        file.write(config)
    if level == "repository":
        for name in HOOKS:
            script(root / ".git/hooks" / name, mark, then="true")
    everything(root)
    assert not mark.exists(), mark.read_text()
    git(root, "-c", "protocol.file.allow=always", "status", check=False)
    git(root, "diff", check=False)
    git(root, "add", "-A", check=False)
    assert mark.exists()


def test_a_process_is_given_nothing_of_the_host_and_stands_outside_of_the_repository(root, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    real = shutil.which("git")
    seen = tmp_path / "seen"
    put(tmp_path / "bin", {"git": f'#!/bin/sh\n{{ env; pwd; echo; }} >> {seen}\nexec {real} "$@"\n'})
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    everything(root)
    text = seen.read_text()
    assert "canary" not in text
    names = set(re.findall(r"^([A-Z_a-z]+)=", text, re.MULTILINE))
    kept = {"PATH", "HOME", "XDG_CONFIG_HOME", "PWD", "SHLVL", "_", "OLDPWD"}
    assert names <= kept | {*VARIABLES} | {name for name in names if name.startswith("GIT_")}
    assert "GIT_EXTERNAL_DIFF" not in names
    assert str(root) not in {line for line in text.splitlines() if line.startswith("/")}


def test_settings_of_the_user_and_the_system_are_not_in_force(root, private_home):
    put(private_home, {".gitconfig": "[user]\n\tname = X\n"})
    with Git(root / ".git", environment=dict(os.environ)) as plumbing:
        scopes = plumbing.text("config", "--list", "--show-scope", variables={"HOME": str(private_home)})
        assert {line.split("\t")[0] for line in scopes.splitlines()} == {"local", "command"}


def without(monkeypatch, *names: str) -> None:
    monkeypatch.setattr(agent.git, "FLAGS", {key: value for key, value in FLAGS.items() if key not in names})
    monkeypatch.setattr(agent.git, "VARIABLES", {key: value for key, value in VARIABLES.items() if key not in names})


def guarded(monkeypatch, names, probe) -> None:
    """`probe` is false under all guards, and true without the guards `names`: so they are what keeps it off."""
    assert not probe()
    with monkeypatch.context() as patch:
        without(patch, *names)
        assert probe()


def test_the_hooks_path_keeps_hooks_off(root, mark, monkeypatch):
    for name in HOOKS:
        script(root / ".git/hooks" / name, mark, then="true")
    guarded(monkeypatch, ["core.hooksPath"], lambda: (everything(root), mark.exists())[1])


def test_the_file_system_monitor_is_off(root, mark, monkeypatch):
    git(root, "config", "core.fsmonitor", str(script(root.parent / "monitor", mark, then=ALL_CHANGED)))
    guarded(monkeypatch, ["core.fsmonitor"], lambda: (everything(root), mark.exists())[1])


def test_replaced_objects_are_not_believed(root, monkeypatch):
    other = git(root, "hash-object", "-w", "--stdin", stdin=b"replaced")
    git(root, "replace", git(root, "rev-parse", "HEAD:app.py"), other)

    def replaced():
        with Workspace.open(root) as workspace:
            return workspace.read(workspace.head_tree(), "app.py") == b"replaced"

    guarded(monkeypatch, ["GIT_NO_REPLACE_OBJECTS"], replaced)


def test_grafts_are_not_believed(root, monkeypatch):
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    put(root, {".git/info/grafts": git(root, "rev-parse", "HEAD") + "\n"})
    with Git(root / ".git", environment=dict(os.environ)) as plumbing:
        guarded(monkeypatch, ["GIT_GRAFT_FILE"], lambda: plumbing.text("rev-list", "--count", "HEAD") == "1")


@pytest.mark.parametrize(
    ("flag", "path"), [("core.protectHFS", ".gi\u200ct/config"), ("core.protectNTFS", "git~1/config")]
)
def test_git_itself_refuses_its_own_directory_by_any_name(root, monkeypatch, flag, path):
    git(root, "config", flag, "false")

    def written():
        with Workspace.open(root) as workspace:
            try:
                workspace.trees.build(workspace.head_tree(), {path: Blob(mode="100644", data=b"")})
            except GitFailed:
                return False
            return True

    guarded(monkeypatch, [flag], written)


def test_a_missing_object_is_not_fetched(root, tmp_path, mark, monkeypatch):
    git(root, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{root}", "part")
    git(tmp_path / "part", "config", "remote.origin.uploadpack", str(script(tmp_path / "upload", mark, then="exit 1")))

    def fetched():
        with pytest.raises(GreenwardError), Workspace.open(tmp_path / "part") as workspace:
            workspace.read(workspace.head_tree(), "app.py")
        with Git(tmp_path / "part/.git", environment=dict(os.environ)) as plumbing, pytest.raises(DamagedRun):
            plumbing.object(git(root, "rev-parse", "HEAD:app.py"))
        return mark.exists()

    guarded(monkeypatch, ["protocol.allow", "GIT_ALLOW_PROTOCOL", "GIT_NO_LAZY_FETCH"], fetched)


def test_objects_and_refs_are_on_disk_before_they_are_reported(root, tmp_path, monkeypatch):
    trace = tmp_path / "trace"

    def forgotten():
        trace.unlink(missing_ok=True)
        with Git(root / ".git", environment=dict(os.environ)) as plumbing:
            variables = {"GIT_TRACE2_EVENT": str(trace)}
            new = os.urandom(8)
            plumbing.run("hash-object", "-w", "--no-filters", "--stdin", stdin=new, variables=variables)
            plumbing.run(
                "update-ref", f"refs/greenward/{new.hex()}", plumbing.text("rev-parse", "HEAD"), variables=variables
            )
        return len(re.findall(r'"fsync","key":"fsync/hardware-flush|"key":"hardware-flush', trace.read_text())) < 2

    guarded(monkeypatch, ["core.fsync"], forgotten)


def test_commits_are_utf_8_whatever_is_configured(root, monkeypatch):
    git(root, "config", "i18n.commitEncoding", "ISO-8859-1")

    def marked():
        with Workspace.open(root) as workspace:
            commit = workspace.commit(workspace.head_tree(), None, "é\n", at=AT)
        return "encoding" in git(root, "cat-file", "-p", commit)

    guarded(monkeypatch, ["i18n.commitEncoding"], marked)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("grep.column", "true"), ("grep.fullName", "true"), ("color.ui", "always"), ("grep.lineNumber", "true")],
)
def test_a_search_is_understood_whatever_is_configured(root, flag, value):
    git(root, "config", flag, value)
    with Workspace.open(root) as workspace:
        (hit,) = workspace.search(workspace.head_tree(), "x = ").hits
        assert (hit.path, hit.line, hit.text) == ("app.py", 1, "x = 1")


def test_attributes_of_the_configuration_hide_no_difference(root, tmp_path, monkeypatch):
    put(tmp_path, {"attributes": "* -diff\n"})
    git(root, "config", "core.attributesFile", str(tmp_path / "attributes"))

    def hidden():
        with Workspace.open(root) as workspace:
            tree = workspace.head_tree()
            return "x = 9" not in workspace.diff(
                tree, workspace.edit(tree, [Edit(path="app.py", data=b"x = 9\n")], FREE)
            )

    guarded(monkeypatch, ["core.attributesFile"], hidden)


def test_a_split_index_leaves_nothing_in_the_git_directory(root, monkeypatch):
    git(root, "config", "core.splitIndex", "true")

    def littered():
        everything(root)
        return any((root / ".git").glob("sharedindex*"))

    guarded(monkeypatch, ["core.splitIndex"], littered)


def test_paths_are_readable_in_diffs(root, monkeypatch):
    def unreadable():
        with Workspace.open(root) as workspace:
            tree = workspace.head_tree()
            return "b/é.py" not in workspace.diff(tree, workspace.edit(tree, [Edit(path="é.py", data=b"1\n")], FREE))

    guarded(monkeypatch, ["core.quotePath"], unreadable)


def test_a_work_tree_that_is_configured_elsewhere_is_not_read(root, tmp_path):
    put(tmp_path / "secret", {"password": "hunter2"})
    git(root, "config", "core.worktree", str(tmp_path / "secret"))
    with Workspace.open(root) as workspace:
        assert [entry.path for entry in workspace.files(workspace.snapshot(at=AT).tree)] == [
            "app.py",
            "tests/test_app.py",
        ]


def test_the_git_directory_is_settled_at_the_start(root, tmp_path):
    evil = repository(tmp_path / "evil", {"evil": "1"})
    with Workspace.open(root) as workspace:
        shutil.move(root / ".git", tmp_path / "moved")
        (root / ".git").write_text(f"gitdir: {evil / '.git'}\n")
        with pytest.raises(GreenwardError):
            workspace.snapshot(at=AT)


def test_attributes_change_no_byte_of_what_is_sent(root):
    put(root, {".gitattributes": "tests export-ignore\napp.py export-subst ident eol=crlf\n"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "attributes")
    with Workspace.open(root) as workspace:
        tree = workspace.head_tree()
        archive = b"".join(workspace.tree(tree, seal=FREE, ignore_base=tree).since(None).archive)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = {one.name: opened.extractfile(one).read() for one in opened}
    assert found["app.py"] == b"x = 1\n"
    assert found["tests/test_app.py"] == b"def test(): pass\n"


def test_a_link_gives_its_text_and_not_what_it_leads_to(root, tmp_path):
    put(tmp_path, {"credentials": "secret"})
    (root / "app.py").unlink()
    (root / "app.py").symlink_to(tmp_path / "credentials")
    with Workspace.open(root) as workspace:
        assert workspace.read(workspace.snapshot(at=AT).tree, "app.py") == os.fsencode(tmp_path / "credentials")


def test_text_is_never_an_option(root, tmp_path):
    with Workspace.open(root) as workspace:
        for call in (
            lambda: workspace.tree_of(f"--output={tmp_path / 'p'}"),
            lambda: workspace.diff(f"--output={tmp_path / 'p'}", "HEAD"),
            lambda: workspace.files(f"--output={tmp_path / 'p'}"),
            lambda: workspace.advance("--foo/../x", workspace.head(), None),
            lambda: workspace.advance(f"x --output={tmp_path / 'p'}", workspace.head(), None),
        ):
            with pytest.raises((UsageProblem, DamagedRun)):
                call()
        assert workspace.search(workspace.head_tree(), f"--output={tmp_path / 'p'}", glob="--output=x").hits == ()
    assert not (tmp_path / "p").exists()


def test_options_and_dashes_are_names_like_others(root):
    put(root, {"--help": "h", "-rf": "r", "a/--output=x": "o"})
    with Workspace.open(root) as workspace:
        tree = workspace.snapshot(at=AT).tree
        assert [workspace.read(tree, path) for path in ("--help", "-rf", "a/--output=x")] == [b"h", b"r", b"o"]
        assert workspace.search(tree, "h", paths=["--help"]).hits[0].path == "--help"


def test_an_embedded_repository_hides_no_code_silently(root):
    repository(root / "pkg", {"code.py": "1"})
    with Workspace.open(root) as workspace:
        assert workspace.snapshot(at=AT).left_out == (LeftOut(path="pkg/", reason="is a repository of its own"),)


def test_the_checkout_is_byte_for_byte_as_it_was(root):
    put(root, {"stashed.py": ""})
    git(root, "stash", "-u")
    put(root, {"app.py": "x = 2\n", "staged.py": "s"})
    git(root, "add", "staged.py")
    (root / "app.py").chmod(0o444)
    before, index = state(root), (root / ".git/index").stat()
    everything(root)
    after = state(root)
    assert {name: after[name] for name in before} == before
    assert {name for name in after if name not in before} == {
        ".git/refs/heads/greenward/x-r1",
        ".git/logs/refs/heads/greenward/x-r1",
        ".git/refs/notes/greenward",
        ".git/logs/refs/notes/greenward",
    } & set(after)
    assert (root / ".git/index").stat().st_mtime_ns == index.st_mtime_ns
    assert stat.S_IMODE((root / "app.py").stat().st_mode) == 0o444


def test_no_scratch_file_is_left_behind(root, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    everything(root)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_full_disk_is_an_error_that_says_so(root):
    import resource

    with Workspace.open(root) as workspace:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises((GreenwardError, OSError)):
                workspace.edit(workspace.head_tree(), [Edit(path="a", data=os.urandom(4096))], FREE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert git(root, "fsck") == ""


def test_git_is_imported_in_one_file_and_no_command_touches_a_work_tree():
    sources = {path.name: path.read_text() for path in Path(agent.git.__file__).parent.rglob("*.py")}
    assert [
        name for name, text in sources.items() if re.search(r"^\s*(import git\b|from git\b)", text, re.MULTILINE)
    ] == ["git.py"]
    words = "add|commit|checkout|reset|status|diff|merge|stash|clone|fetch|pull|push|apply|mktree|archive"
    porcelain = rf'\.(?:run|text)\(\s*"(?:{words})"'
    assert [name for name, text in sources.items() if re.search(porcelain, text)] == []
