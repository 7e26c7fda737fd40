"""What shells are handed while a command line is typed, by their own protocol; and that none of it acts on them."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from agent.journal import Journal
from tests.e2e.harness import ROOT, variables
from tests.gitrepo import repository
from tests.kits import started

HEAVY = "openai docker git jinja2 httpx2 rich"


@pytest.fixture
def bin_directory(tmp_path):
    """A directory with the program under the name that shells complete; it tells on standard error what it imported."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "greenward"
    program.write_text(f"""#!{sys.executable}
import atexit, sys
sys.argv[0] = "greenward"
loaded = lambda: print("heavy:", *sorted({{*{HEAVY.split()!r}}} & set(sys.modules)), file=sys.stderr)
atexit.register(loaded)
from agent.cli import main
main()
""")
    program.chmod(0o755)
    return directory


@pytest.fixture
def complete(bin_directory):
    """Completes the last of `words` as a shell asks for it; returns the lines that the shell is handed."""

    def completed(*words, shell="bash", cwd=ROOT, heavy=""):
        line = " ".join(("greenward", *words))
        asked = {
            "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words))},
            "zsh": {"_TYPER_COMPLETE_ARGS": line},
            "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        }[shell]
        environment = variables(_GREENWARD_COMPLETE=f"complete_{shell}", PATH=path(bin_directory), **asked)
        done = subprocess.run(["greenward"], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, f"heavy: {heavy}".strip())
        return [line for line in done.stdout.splitlines() if line]

    return completed


def path(directory):
    return f"{directory}:{os.environ['PATH']}"


def run(repo, run_id, *, request="Make it work.", mode="fix"):
    """A run of `repo` that has just begun."""
    directory = repo / ".git" / "greenward" / "runs" / run_id
    directory.mkdir(parents=True)
    with Journal(directory / "journal.jsonl") as journal:
        journal.append(replace(started(mode), run_id=run_id, task=replace(started(mode).task, request=request)))
    return directory / "journal.jsonl"


@pytest.fixture
def repo(tmp_path):
    made = repository(tmp_path / "repo")
    for number, run_id in enumerate(("3f2a0000", "3f2b0000", "99990000")):
        os.utime(run(made, run_id, request=f"Request {number}"), (number, number))
    return made


def test_commands_and_options_are_offered(complete):
    assert {"new", "fix", "change", "resume", "doctor", "config"} <= set(complete(""))
    assert complete("do") == ["doctor"]
    assert complete("config", "s") == ["show"]
    assert complete("fix", "--max-i") == ["--max-iterations"]


def test_ids_of_runs_are_offered_the_newest_first(complete, repo):
    for command in ("resume", "diff", "accept", "undo"):
        assert complete(command, '""', cwd=repo) == ["99990000", "3f2b0000", "3f2a0000"]
    assert complete("diff", "3f2", cwd=repo) == ["3f2b0000", "3f2a0000"]
    assert complete("diff", "77", cwd=repo) == []


def test_the_repository_that_was_named_is_looked_at(complete, repo):
    assert complete("diff", "--repo", str(repo), "9") == ["99990000"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_run_is_described_where_a_shell_shows_it(complete, repo, shell):
    handed = "\n".join(complete("diff", "99", shell=shell, cwd=repo, heavy="rich"))
    assert "99990000" in handed
    assert "fix unfinished Request 2" in handed


def test_kinds_of_sandbox_are_offered(complete):
    assert complete("fix", "--sandbox", '""') == ["docker", "local"]
    assert complete("fix", "--sandbox", "l") == ["local"]


def test_where_nothing_can_be_read_nothing_is_offered(complete, repo, tmp_path):
    assert complete("diff", '""', cwd=tmp_path) == []
    (repo / ".git" / "HEAD").unlink()
    assert complete("diff", '""', cwd=repo) == []


def test_damaged_runs_are_offered_as_such_and_hide_no_other(complete, repo):
    runs = repo / ".git" / "greenward" / "runs"
    broken = {
        "aa01": b"{}\n",
        "aa02": b"",
        "aa03": b"\xff\xfe\n" * 9,
        "aa04": (runs / "3f2a0000" / "journal.jsonl").read_bytes()[:40],
    }
    for name, data in broken.items():
        (runs / name).mkdir()
        (runs / name / "journal.jsonl").write_bytes(data)
    (runs / "aa05").mkdir()
    (runs / "aa05" / "journal.jsonl").mkdir()
    (runs / "aa06").mkdir()
    (runs / "aa06" / "journal.jsonl").symlink_to("/nowhere")
    offered = complete("diff", '""', cwd=repo)
    assert set(broken) <= set(offered)
    assert {"99990000", "3f2b0000", "3f2a0000"} <= set(offered)
    assert "aa01\tdamaged" in complete("diff", "aa01", shell="fish", cwd=repo, heavy="rich")


EVIL = (
    "$(touch PWNED) `touch PWNED` \\$(touch PWNED) \\\\`touch PWNED` '; touch PWNED; ' \" ; touch PWNED ;"
    " [/foo] ) } \x1b]0;x\x07"
)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_run_was_asked_for_cannot_act_on_a_shell(bin_directory, repo, tmp_path, shell):
    """A journal may come from anywhere; zsh evaluates what it is handed as code, twice."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    run(repo, "eeee0000", request=EVIL)
    odd = repo / ".git" / "greenward" / "runs" / "e$(touch PWNED)"
    odd.mkdir()
    (odd / "journal.jsonl").write_text("{}\n")
    scripts = {
        "bash": 'eval "$(_GREENWARD_COMPLETE=source_bash greenward)"\n'
        "COMP_WORDS=(greenward diff e) COMP_CWORD=2\n_greenward_completion greenward\n"
        'printf "%s\\n" "${COMPREPLY[@]}"',
        # What zsh's own `_arguments` does with such an action: it evaluates what stands in the brackets.
        "zsh": '_arguments() { local a=${1#*: :}; eval ws\\=\\( "${a[3,-3]}" \\); print -l -- $ws }\n'
        "words=(greenward diff e); CURRENT=3\n"
        'eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _GREENWARD_COMPLETE=complete_zsh greenward)',
        "fish": "_GREENWARD_COMPLETE=source_fish greenward | source\ncomplete -C 'greenward diff e'",
    }
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    environment = variables(PATH=path(bin_directory))
    done = subprocess.run(
        [program, *options, "-c", scripts[shell]],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "eeee0000" in done.stdout, done.stderr
    assert not (repo / "PWNED").exists(), done.stdout
    assert "\x1b" not in done.stdout
    assert "e$(" not in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown_and_installed(bin_directory, private_home, shell):
    environment = variables(PATH=path(bin_directory))
    shown = subprocess.run(
        ["greenward"],
        env={**environment, "_GREENWARD_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_GREENWARD_COMPLETE=complete_{shell}" in shown.stdout
    for option in ("--show-completion", "--install-completion"):
        program = shutil.which(shell)
        if program is None:
            pytest.skip(f"there is no {shell}")
        done = subprocess.run(
            [program, "-c", f"greenward {option}; true"],
            env={**environment, "SHELL": program},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        if option == "--show-completion":
            assert f"complete_{shell}" in done.stdout, done.stderr
    installed = [each for each in private_home.rglob("*") if each.is_file() and "complete_" in each.read_text()]
    assert installed, "the script was written below the home"
