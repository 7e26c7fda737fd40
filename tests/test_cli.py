"""The command line as a user meets it: as a process, with its exit codes, hints, signals and what it never prints."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli import app
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.gitrepo import git, repository

ROOT = Path(__file__).parents[1]
KEY = "sk-secret-0123456789abcdef"
COMMANDS = sorted(
    [each.name or each.callback.__name__ for each in app.registered_commands]
    + ["config", "config path", "config show", "image", "image import"]
)
FILES = {
    "app.py": "def add(a, b):\n    return a - b\n",
    "test_app.py": "from app import add\n\n\ndef test_sum():\n    assert add(1, 2) == 3\n",
}
PLAN = call(
    "submit_plan",
    summary="Mend the sum",
    steps=["mend it"],
    files=[{"path": "app.py", "purpose": "the sum"}],
    criteria=[{"behaviour": "it adds", "command": "python -c 'import app; print(app.add(1, 2))'", "output": "3"}],
)
MEND = call("write_file", path="app.py", content="def add(a, b):\n    return a + b\n")
REPLIES = (
    say("A sign is wrong.", PLAN),
    say("I mend it.", MEND, call("run_tests")),
    say("Done.", call("finish", status="done")),
)
LINK = (
    'site=$(echo "$VIRTUAL_ENV"/lib/python*/site-packages); '
    f"echo '{next(Path(sys.prefix).glob('lib/python*/site-packages'))}' > \"$site/here.pth\""
)
"""A setup without a network: the environment sees what the test's own Python has."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where local environments are kept, for all tests of one process."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def start(tmp_path, cache):
    """Starts `greenward ...` in the directory of the test."""
    running = []

    def started(*arguments, cwd=tmp_path, **variables):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(cache),
            "RUNAPI_KEY": KEY,
            **variables,
        }
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "agent", *map(str, arguments)], cwd=cwd, env=environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def greenward(start):
    """Runs it to its end: exit code, standard output, standard error."""

    def ran(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    return ran


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path / "repo", dict(FILES))


@pytest.fixture
def serve():
    """Starts a model that says `replies`, and gives the options that lead to it and to a sandbox without an engine."""
    servers = []

    def served(*replies, project=True):
        servers.append(ScriptedServer(Script(replies=replies or REPLIES)).__enter__())
        options = ["--base-url", servers[-1].base_url, "--sandbox", "local"]
        return [*options, "--prices", "1,1,1", "--setup", LINK] if project else options

    yield served
    for server in servers:
        server.__exit__(None, None, None)


# Help


def test_the_commands_are_those_that_are_expected():
    assert COMMANDS == [
        "accept", "change", "config", "config path", "config show", "demo", "diff", "doctor", "fix", "fork", "image",
        "image import", "new", "plan", "publish", "replay", "resume", "runs", "show", "undo", "verify",
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example_of_itself_and_imports_nothing_heavy(command):
    script = f"""
import sys
sys.argv = ["greenward", *{command.split()!r}, "--help"]
from agent.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
slow = {{"openai", "docker", "git", "jinja2", "httpx", "httpx2"}}
print("heavy:", sorted({{name.partition(".")[0] for name in sys.modules}} & slow))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"Example: greenward {command}" in done.stdout
    assert done.stdout.endswith("heavy: []\n"), done.stdout


def test_the_version_is_printed(greenward):
    assert greenward("--version") == (0, "greenward 0.1.0\n", "")


# Exit codes


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["fix", "--nonsense"],
        ["change"],
        ["fix", "--max-cost", "much"],
        ["runs", "--repo", "/"],
        ["new", "/proc/x/y", "a tool"],
        ["change", "  "],
        ["fix", "--prices", "1,2"],
        ["fix", "--prices", "1,2,-3"],
        ["fix", "--sandbox", "vm"],
        ["fix", "--model", "other", "--base-url", "https://example.org/v1"],
        ["fix", "--context", "1000", "--max-output", "2000"],
        ["resume", "ff"],
        ["diff"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_as_typed_is_2_with_a_reason(greenward, repo, arguments):
    code, out, err = greenward(*arguments, cwd=repo)

    assert (code, out) == (2, "")
    assert "rror" in err
    assert "hint: " in err or " -h' for help" in err, "it says what to do"


def test_without_a_key_nothing_is_begun(greenward, repo):
    code, _, err = greenward("fix", cwd=repo, RUNAPI_KEY="")

    assert code == 2
    assert "RUNAPI_KEY" in err
    assert not (repo / ".git" / "greenward").exists()


def test_without_an_engine_it_is_4_and_nothing_is_begun(greenward, repo, tmp_path):
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    code, _, err = greenward("fix", cwd=repo, **nowhere)
    scaffold, _, _ = greenward("new", tmp_path / "x", "a tool", **nowhere)

    assert (code, scaffold) == (4, 4)
    assert "hint: is the engine running" in err
    assert greenward("runs", cwd=repo) == (0, "no runs yet\n", "")
    assert not (tmp_path / "x").exists()


def test_a_setup_that_fails_is_4_with_the_end_of_its_log(greenward, repo, serve):
    code, _, err = greenward("fix", *serve(), "--setup", "echo no such package; exit 9", cwd=repo)

    assert code == 4
    assert "the setup ended with exit code 9\nno such package" in err


@pytest.mark.parametrize(("status", "code"), [(401, 7), (400, 2)])
def test_a_provider_that_refuses_is_told_without_the_key(greenward, repo, serve, status, code):
    body = f'{{"error": {{"message": "wrong key: {KEY}", "type": "x"}}}}'
    refusing = ScriptedReply(status=status, body=body, once=False)
    ended, out, err = greenward("fix", *serve(refusing), cwd=repo)

    assert ended == code
    assert KEY not in out + err
    assert "wrong key: " in err
    assert KEY not in journal(repo)


def test_a_damaged_run_is_6_and_is_named_in_the_list(greenward, repo):
    directory = repo / ".git" / "greenward" / "runs" / "ab12"
    directory.mkdir(parents=True)
    (directory / "journal.jsonl").write_text("{}\n")
    code, _, err = greenward("diff", "ab", cwd=repo)

    assert code == 6
    assert "line 1 is damaged" in err
    assert greenward("runs", cwd=repo)[1:] == (
        "no runs yet\n",
        f"damaged: {directory}/journal.jsonl: line 1 is damaged\n",
    )


def test_a_suite_that_passes_takes_no_model_and_proves_nothing_where_nothing_isolates_it(greenward, repo, serve):
    (repo / "app.py").write_text("def add(a, b):\n    return a + b\n")
    code, out, err = greenward("fix", *serve(), cwd=repo)

    assert code == 8, err
    assert "unproven: the suite passes already" in out
    assert "run " in err


def test_what_a_local_sandbox_shows_is_8_unless_that_is_allowed(greenward, repo, serve):
    options = serve()
    code, out, err = greenward("fix", *options, cwd=repo)
    allowed, _, _ = greenward("fix", *options, "--allow-unproven", cwd=repo)

    assert (code, allowed) == (8, 0), err
    assert "unproven: the tests passed, but nothing isolated them" in out
    assert "tests:   1 failed -> 1 passed" in out
    assert git(repo, "status", "--porcelain") == ""


# Taking up, looking at, accepting


def test_a_run_out_of_budget_is_3_and_goes_on_with_a_larger_one(greenward, repo, serve):
    options = serve()
    code, out, err = greenward("fix", *options, "--max-iterations", "8", "--max-calls", "1", cwd=repo)
    assert code == 3, err
    assert "--max-calls 2 goes on" in out

    again, out, err = greenward("resume", *options[:4], cwd=repo)
    assert again == 3
    assert "has ended already" in err

    code, out, err = greenward("resume", *options[:4], "--max-calls", "9", cwd=repo)
    assert code == 8, err
    assert "limits: at most $1.00, 8 iterations, 9 calls" in err
    assert "1 failed -> 1 passed" in out

    code, out, _ = greenward("accept", cwd=repo)
    assert code == 0
    assert "the result is not proven" in out
    assert (repo / "app.py").read_text().endswith("a + b\n")
    assert greenward("undo", cwd=repo)[0] == 0
    assert (repo / "app.py").read_text() == FILES["app.py"]


def test_a_run_is_not_taken_up_in_another_sandbox_than_its_own(greenward, repo, serve):
    options = serve()
    greenward("fix", *options, "--max-calls", "1", cwd=repo)
    code, _, err = greenward("resume", *options[:2], "--max-calls", "9", cwd=repo)

    assert code == 2
    assert "hint: resume it with `--sandbox local`" in err


def test_a_patch_is_printed_byte_for_byte(greenward, repo, serve):
    url = call("write_file", path="u.txt", content="http://me:word@host/ é\n")
    options = serve(say("", PLAN), say("", MEND, url, call("run_tests")), REPLIES[2])
    greenward("fix", *options, cwd=repo)
    code, patch, _ = greenward("diff", cwd=repo)
    (repo / "patch").write_text(patch)
    git(repo, "apply", "patch")

    assert code == 0
    assert (repo / "u.txt").read_text() == "http://me:word@host/ é\n"


# Interruptions


def interrupted(process, signal_):
    """Send a signal once; what came of it."""
    process.send_signal(signal_)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(process, seen):
    """Wait until `seen()`; the process must not end before."""
    while not seen():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def journal(repo) -> str:
    return "".join(path.read_text() for path in repo.glob(".git/greenward/runs/*/journal.jsonl"))


PHASES = {
    "set-up": (["--setup", "touch {mark}; sleep 60"], {}),
    "baseline": (["--test", "touch {mark}; sleep 60; python -m pytest"], {}),
    "model": ([], {"stall": True}),
}


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("phase", PHASES)
def test_an_interruption_is_130_with_a_hint_and_the_run_can_be_taken_up(
    start, greenward, repo, serve, tmp_path, phase, signal_
):
    mark = tmp_path / "reached"
    extra, reply = PHASES[phase]
    options = serve(ScriptedReply(say="I will", **reply)) if reply else serve()
    process = start("fix", *options, *(each.format(mark=mark) for each in extra), cwd=repo)
    wait_for(process, lambda: mark.exists() or (phase == "model" and '"call_reserved"' in journal(repo)))
    code, out, err = interrupted(process, signal_)

    assert (code, out) == (130, "")
    assert "error: interrupted\n\nhint: in the repository, `greenward resume` goes on from here" in err
    assert "Traceback" not in err
    assert "unfinished" in greenward("runs", cwd=repo)[1]


def test_an_interrupted_run_is_taken_up_and_ends(start, greenward, repo, serve):
    stalled = serve(ScriptedReply(say="I will", stall=True))
    process = start("fix", *stalled, cwd=repo)
    wait_for(process, lambda: '"call_reserved"' in journal(repo))
    assert interrupted(process, signal.SIGINT)[0] == 130

    code, out, err = greenward("resume", *serve(project=False), cwd=repo)
    assert code == 8, err
    assert "1 failed -> 1 passed" in out


def test_a_second_interruption_ends_it_at_once():
    script = """
import os, signal
from agent.cli.application import _interrupt
signal.signal(signal.SIGINT, _interrupt)
signal.signal(signal.SIGTERM, _interrupt)
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("first", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("never")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "first\n")


def test_a_closed_output_is_no_error_of_ours(start, repo, serve, greenward):
    greenward("fix", *serve(), cwd=repo)
    process = start("runs", cwd=repo)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)

    assert process.returncode in (0, 141)
    assert "Traceback" not in err
