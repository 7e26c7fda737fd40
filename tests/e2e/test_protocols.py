"""A run in both protocols: tools of the API, and tools in text where the server refuses them."""

from dataclasses import replace
from itertools import pairwise

import pytest

from agent.events import CallFailed, CallReserved, ModelReplied
from agent.folding import fold
from agent.models.capabilities import Capabilities
from agent.models.memory import Memory
from agent.models.script import Script, ScriptedReply, say
from agent.session import ENDPOINTS
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    RED,
    RIGHT,
    billed,
    branch,
    entries,
    events,
    greenward,
    mending,
    subjects,
    told,
    trailers,
    variables,
)
from tests.gitrepo import git, repository
from tests.models.fakes import TextServer

pytestmark = pytest.mark.untraced

PROTOCOLS = {
    "tools": ((), "auto"),
    "tools forced": ((), "tools"),
    "text": (("tools",), "auto"),
    "text forced": ((), "text"),
}


def fix(root, server, tmp_path, protocol="auto", *options):
    """A run whose memory of servers is its own."""
    own = variables(server, XDG_CACHE_HOME=str(tmp_path / "cache"), GREENWARD_PROTOCOL=protocol)
    return greenward("fix", root, *LOCAL, "--allow-unproven", *options, environment=own)


def came_to(root):
    """What a run left: tree, subjects, trailers that do not differ between any two runs, and what was called."""
    tip, base = branch(root), entries(root)[0].event.task.base_commit
    commits = git(root, "log", "--reverse", "--format=%H", f"{base}..{tip}").split()
    kept = [
        {k: v for k, v in trailers(root, each).items() if k not in ("Greenward-Run", "Cost-USD")} for each in commits
    ]
    calls = [[(made.id, made.name) for made in event.message.tool_calls] for event in events(root, ModelReplied)]
    return git(root, "rev-parse", f"{tip}^{{tree}}"), subjects(root, f"{base}..{tip}"), kept, calls


def test_a_run_comes_to_the_same_in_each_protocol(tmp_path):
    left = {}
    for name, (refuse, protocol) in PROTOCOLS.items():
        root = repository(tmp_path / name.replace(" ", "-"), RED)
        with TextServer(mending(), refuse=refuse) as server:
            ran = fix(root, server, tmp_path / name, protocol)
            assert ran.code == 0, ran.said
            assert billed(server, root) <= told(root)
            bodies = [request.body for request in server.requests]
        spoken = bodies[1:] if name == "text" else bodies
        assert {"tools" in body for body in spoken} == {name.startswith("tools")}
        for shorter, longer in pairwise([body["messages"] for body in spoken]):
            assert longer[: len(shorter)] == shorter, "a request begins with the one before it"
            assert len(longer) > len(shorter)
        left[name] = came_to(root)
    assert len(set(map(repr, left.values()))) == 1


def test_a_refusal_is_told_counted_and_remembered(tmp_path):
    with TextServer(mending(), refuse=("tools",)) as server:
        for number, asked in enumerate((5, 4)):
            root = repository(tmp_path / f"red-{number}", RED)
            before = len(server.requests)
            ran = fix(root, server, tmp_path)
            assert ran.code == 0, ran.said
            assert len(server.requests) - before == asked
            assert len(events(root, CallReserved)) == fold(entries(root)).spent.calls == asked
            refused = [(event.error, event.billed, event.wait) for event in events(root, CallFailed)]
            assert refused == [("refused", False, 0.0)] * (asked - 4)
            assert {event.form.split(", ")[0] for event in events(root, ModelReplied)} == {"text"}
            assert ran.err.count("they are called in text") == 1, ran.said


def test_a_server_that_ceases_to_take_tools_does_not_end_the_run(red, tmp_path):
    server = TextServer(mending())
    server.refuse_after = 2
    with server:
        ran = fix(red, server, tmp_path)
        assert ran.code == 0, ran.said
        assert billed(server, red) <= told(red)
        assert ["tools" in request.body for request in server.requests] == [True, True, True, False, False]
    forms = [event.form.split(", ")[0] for event in events(red, ModelReplied)]
    assert forms == ["tools", "tools", "text", "text"]
    reserved = [event.tokens - event.max_tokens for event in events(red, CallReserved)]
    assert reserved[3] > reserved[2], "what was billed with tools bounds nothing of the text"


BROKEN = '```tool\n{"name": "write_file", "arguments": {"path": "sums.py", "content": "def add(a, b):\n'
EXAMPLE = f'The file could be written so:\n\n````\n{BROKEN}"}}}}\n```\n````\n'


def test_what_is_broken_cut_or_only_quoted_changes_nothing(red, tmp_path):
    plan, _, right, done = mending().replies
    replies = (
        plan,
        say(f"First.\n{BROKEN}\n```", expect=("The plan is accepted",)),
        ScriptedReply(
            say=f"Again.\n{BROKEN}", finish_reason="length", once=False, expect=("bad arguments for `write_file`",)
        ),
        say(EXAMPLE, expect=("cut",)),
        replace(right, expect=()),
        done,
    )
    with TextServer(Script(replies=replies), refuse=("tools",)) as server:
        ran = fix(red, server, tmp_path)
    assert ran.code == 0, ran.said
    assert git(red, "show", f"{branch(red)}:sums.py").startswith(RIGHT)
    cut = events(red, ModelReplied)[2]
    assert (cut.stop_reason, cut.message.tool_calls) == ("length", ())
    assert "1 tool call dropped" in cut.note
    assert events(red, ModelReplied)[3].message.content == EXAMPLE


def test_a_cache_key_that_is_known_to_be_accepted_is_the_runs_own_also_when_it_is_resumed(red, tmp_path):
    known = Capabilities(accepted=frozenset({"prompt_cache_key"}))
    with TextServer(mending()) as server:
        memory = Memory(tmp_path / "cache" / "greenward" / ENDPOINTS)
        memory.remember(server.base_url, "kimi-k2.6", known)
        own = variables(server, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert greenward("fix", red, *LOCAL, "--max-calls", 2, environment=own).code == 3
        more = ("--max-calls", 9, "--allow-unproven")
        ran = greenward("resume", *LOCALLY, "--repo", red, *more, environment=own)
        assert ran.code == 0, ran.said
        keys = [request.body.get("prompt_cache_key") for request in server.requests]
    assert keys == [entries(red)[0].event.run_id] * 4


def test_a_cache_key_is_not_sent_on_the_off_chance(red, tmp_path):
    with TextServer(mending()) as server:
        assert fix(red, server, tmp_path).code == 0
        assert not any("prompt_cache_key" in request.body for request in server.requests)
