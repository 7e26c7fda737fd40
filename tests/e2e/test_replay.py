"""Recorded runs of every kind are gone through again: to the same commits, without a network, and nothing unnoticed."""

import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from agent import events as e
from agent.errors import DamagedRun, UsageProblem
from agent.events import Outcome
from agent.habits import EXECUTE
from agent.journal import read_entries
from agent.replay.rendering import as_json, as_text
from agent.runs import JOURNAL
from tests.e2e.harness import LOCAL, ROOT, ScriptedServer, greenward, mending, variables
from tests.e2e.recordings import at
from tests.gitrepo import git, state
from tests.recorded import KINDS

OFFLINE = """
import json, sys

def refuse(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname", "socket.__new__"):
        raise RuntimeError(f"the network is off: {event}")

sys.addaudithook(refuse)
from agent.cli import main

for repo, run in json.load(sys.stdin):
    sys.argv = ["greenward", "replay", run, "--repo", repo, "--json"]
    try:
        main()
    except SystemExit as end:
        print(f"\\0{end.code}\\0")
"""
"""Replays runs in a process that can reach nothing."""
LOOK_BACK = ("mended_after_a_failure", "with_files_of_every_kind", "asked_for_more")


def offline(runs):
    """What `greenward replay --json` said of each, with its exit code, where no network is."""
    apart = ["unshare", "-n"] if subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0 else []
    environment = variables(key=None, DOCKER_HOST="unix:///nowhere", PYTHONPATH=str(ROOT))
    command = [*apart, sys.executable, "-c", OFFLINE]
    done = subprocess.run(command, input=json.dumps(runs), env=environment, capture_output=True, text=True, check=False)
    *parts, rest = done.stdout.split("\0")
    assert rest.strip() == "", done.stderr
    assert done.stderr == ""
    return [(json.loads(said), int(code)) for said, code in zip(parts[0::2], parts[1::2], strict=True)]


def bytes_below(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def entries(run):
    return list(read_entries(run.directory / JOURNAL))


def commits_of(run):
    """The commits that the journal tells of, oldest first."""
    events = [entry.event for entry in entries(run)]
    told = [event.commit for event in events if isinstance(event, e.Committed | e.RunPaused | e.RunFinished)]
    base = events[0].task.base_commit
    return [commit for commit in dict.fromkeys(told) if commit != base]


def test_runs_of_every_kind_replay_to_the_same_commits_with_the_network_off(recorded):
    assert len(KINDS) >= 20
    recordings = [recorded(kind) for kind in KINDS]
    runs = [(each, run) for each in recordings for run in each.runs]
    before = [(state(each.repo), bytes_below(each.repo / ".git")) for each in recordings]

    replayed = offline([(str(each.repo), run.id) for each, run in runs])

    assert len(replayed) == len(runs)
    for (each, run), (said, code) in zip(runs, replayed, strict=True):
        assert (code, said["divergence"]) == (0, None), (each.kind, said)
        assert said["commits"] == commits_of(run), each.kind
        assert said["tip"] == git(
            each.repo, "rev-parse", run.state.started.branch if commits_of(run) else run.state.tip
        )
        assert (said["run"], said["outcome"]) == (run.id, run.status)
        assert said["conversations"] == sum(isinstance(entry.event, e.CallReserved) for entry in entries(run))
    assert [(state(each.repo), bytes_below(each.repo / ".git")) for each in recordings] == before
    kinds = Counter(kind for said, _ in replayed for kind in (*said["events"]["again"], *said["events"]["recorded"]))
    assert kinds.keys() >= {"compacted", "call_failed", "run_paused", "forked", "continued", "budget_exhausted"}


# What was changed is named


def other_byte(text, place):
    """`text` with one character put in the place of another one of its kind."""
    old = text[place]
    new = "x" if old != "x" else "y"
    return text[:place] + new + text[place + 1 :]


def results(recording):
    """The answers of tools, with whether they were executed, and the calls of the model before and after them."""
    entries = recording.entries
    calls = [entry.seq for entry in entries if isinstance(entry.event, e.CallReserved)]
    for entry in entries:
        event = entry.event
        if isinstance(event, e.ToolReturned) and not event.repeats:
            tried = isinstance(event.effect, e.Planned) and event.effect.plan.criteria
            before = max(call for call in calls if call < entry.seq)
            after = min((call for call in calls if call > entry.seq), default=None)
            yield entry, event.name in EXECUTE or bool(tried), (before, after)


def changed_result(recording, tmp_path, entry):
    """The run with one byte of the answer at `entry` changed, which is none that varies from run to run."""
    words = [match.start() for match in re.finditer(r"[a-z]{4}", entry.event.content)]
    assert words, entry
    place = words[len(words) // 2]
    return recording.changed(
        tmp_path, at(entry.seq, lambda event: event.update(content=other_byte(event["content"], place)))
    )


@pytest.mark.parametrize("kind", LOOK_BACK)
def test_a_result_changed_by_one_byte_is_named_at_its_step(recorded, tmp_path, kind):
    recording, seen = recorded(kind), Counter()
    for entry, executed, (before, after) in results(recording):
        run = changed_result(recording, tmp_path, entry)
        found = recording.replay(run).divergence
        seen[executed, after is not None] += 1
        if executed:
            named = [step.step for step in found.steps]
            assert entry.seq in named
            assert before < min(named), "since the last call that agreed"
            last = "call_reserved" if found.steps[-1].step == after else "run_finished"
            assert found.steps[-1].kind == last, "up to the next call, or the proof, which is bound to it as well"
            assert "`--recheck` runs commands and tests again" in found.hint
        else:
            assert [step.step for step in found.steps] == [entry.seq]
            assert entry.event.name in found.steps[0].what
    assert seen[True, True]
    assert seen[True, False]
    assert seen[False, True]


@pytest.mark.parametrize("kind", LOOK_BACK[:2])
def test_a_recheck_names_the_command_whose_result_was_changed(recorded, tmp_path, kind):
    recording = recorded(kind)
    executed = [entry for entry, executed, _ in results(recording) if executed]
    for entry in (executed[0], executed[-1]):
        found = recording.recheck(changed_result(recording, tmp_path, entry)).divergence
        assert [step.step for step in found.steps] == [entry.seq]
        assert found.difference.count("\n- ") + found.difference.startswith("- ") == 1
        assert "\n+ " in found.difference


def first(recording, kind):
    return next(entry for entry in recording.entries if isinstance(entry.event, kind))


CHANGES = {
    "a prompt": (e.Prompted, lambda v: v["messages"][-1].update(content=v["messages"][-1]["content"] + " "), 0),
    "a reply": (e.ModelReplied, lambda v: v["message"].update(content="It is so."), 0),
    "what a call was given": (
        e.ModelReplied,
        lambda v: v["message"]["tool_calls"][0].update(arguments=v["message"]["tool_calls"][0]["arguments"] + " "),
        0,
    ),
    "a tree that an edit left": (e.ToolReturned, None, 0),
    "a commit": (e.Committed, lambda v: v.update(commit="0" * 40), 0),
    "a subject": (e.Committed, lambda v: v.update(subject="Something else"), 0),
    "the end": (e.RunFinished, lambda v: v.update(outcome="failed"), 0),
    "the reason for the end": (e.RunFinished, lambda v: v.update(reason="because"), 0),
    "a kind of event": (e.VerdictReached, lambda v: v.update(kind="plan_withheld", reason="x"), 0),
    "tokens": (e.ModelReplied, lambda v: v["usage"].update(completion=900_000), None),
    "a test": (e.BaselineMeasured, lambda v: v["report"]["cases"][2].update(status="failed"), None),
    "a digest": (e.CallReserved, lambda v: v.update(digest="0" * 64), 0),
    "a session": (e.SessionStarted, lambda v: (v.clear(), v.update(kind="hint_given", text="x")), None),
}
"""Kinds of events, what is changed in the first of them, and how far from there it shows; None: somewhere later."""


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_shows(recorded, tmp_path, what):
    recording = recorded("mended_after_a_failure")
    kind, change, distance = CHANGES[what]
    entry = first(recording, kind)
    if change is None:
        entry = next(x for x in recording.entries if getattr(x.event, "name", "") == "write_file")
        base = recording.run.state.base
        change = lambda event: event.update(tree=base)  # noqa: E731
    found = recording.replay(recording.changed(tmp_path, at(entry.seq, change))).divergence
    steps = [step.step for step in found.steps]
    assert entry.seq in steps if distance == 0 else min(steps) > entry.seq


def test_a_recheck_tells_a_baseline_that_was_not_so(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    entry = first(recording, e.BaselineMeasured)
    flip = at(entry.seq, lambda event: event["report"]["cases"][0].update(status="passed"))
    found = recording.recheck(recording.changed(tmp_path, flip)).divergence
    assert [step.step for step in found.steps] == [entry.seq]
    assert found.difference == "- tests/test_sums.py::test_add passed\n+ tests/test_sums.py::test_add failed"
    assert "flaky" in found.hint


def test_a_recheck_tells_a_reservation_that_was_not_so(recorded, tmp_path):
    recording = recorded("in_text")
    entry = [entry for entry in recording.entries if isinstance(entry.event, e.CallReserved)][2]
    less = recording.changed(tmp_path, at(entry.seq, lambda event: event.update(tokens=event["tokens"] - 1)))
    *_, step = recording.replay(less).divergence.steps
    assert step.kind == "run_finished", (
        "it was settled, and is no part of what was said, but of what the proof is bound to"
    )
    found = recording.recheck(less).divergence
    assert [step.step for step in found.steps] == [entry.seq]
    assert re.fullmatch(r"- tokens: \d+\n\+ tokens: \d+", found.difference)


def test_a_kept_output_that_was_changed_shows_where_it_was_read(recorded, tmp_path):
    recording = recorded("with_files_of_every_kind")
    run = recording.changed(tmp_path)
    (kept,) = (run.directory / "artifacts").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"2000", b"2OOO"))
    (read,) = [entry for entry in recording.entries if getattr(entry.event, "name", "") == "read_output"]
    found = recording.replay(run).divergence
    assert [step.step for step in found.steps] == [read.seq]
    assert "+ there is no output with the id" in found.difference


# Versions


def by_another_version(_number, entry):
    event = entry["event"]
    if event["kind"] == "session_started":
        event["version"] = "0.0.9"


def unsigned(_number, entry):
    entry["event"].pop("digest", None)


def in_other_words(_number, entry):
    event = entry["event"]
    if event["kind"] == "tool_returned" and event["name"] == "write_file":
        event["content"] = f"Done: {event['content']}"
    if event["kind"] == "prompted":
        event["messages"][-1]["content"] += "\nAnd be quick."
    if event["kind"] == "call_reserved":
        event["tokens"] += 40


def test_a_run_of_an_earlier_version_is_replayed_though_ours_says_things_differently(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    run = recording.changed(tmp_path, by_another_version, unsigned, in_other_words)
    plain, checked = recording.replay(run), recording.recheck(run)

    assert (plain.divergence, checked.divergence) == (None, None)
    assert plain.versions == ("0.0.9",)
    assert plain.tally.reworded == {"tool_returned": 2, "run_finished": 1}
    assert checked.tally.reworded == {"tool_returned": 2, "prompted": 2, "run_finished": 1}
    assert plain.tally.commits == commits_of(run)
    told = as_text(checked)
    assert "recorded: by greenward 0.0.9" in told
    assert "whose words differ from ours: 2 prompted, 1 run_finished, 2 tool_returned" in told
    assert "of 4 conversations the journal does not say what was sent" in told


def test_of_an_earlier_version_what_was_done_has_to_be_the_same_all_the_same(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    entry = next(x for x in recording.entries if getattr(x.event, "name", "") == "write_file")
    to_base = at(entry.seq, lambda event: event.update(tree=recording.run.state.base))
    found = recording.replay(recording.changed(tmp_path, by_another_version, unsigned, to_base)).divergence
    assert [step.step for step in found.steps] == [entry.seq]
    assert "recorded by greenward 0.0.9" in found.hint


def test_the_same_words_by_the_same_version_are_no_matter_of_taste(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    found = recording.replay(recording.changed(tmp_path, unsigned, in_other_words)).divergence
    assert found.steps[0].kind == "tool_returned"
    found = recording.recheck(recording.changed(tmp_path, unsigned, in_other_words)).divergence
    assert found.steps[0].kind == "prompted"
    assert found.difference.splitlines()[-1].startswith(("- And be quick", "+"))


# Rechecks


@pytest.mark.parametrize(
    "kind",
    [
        "scaffolded",
        "interrupted_and_resumed",
        "in_text",
        "asked_for_more",
        "with_files_of_every_kind",
        "shortened",
    ],
)
def test_a_recheck_executes_it_all_again_and_finds_the_same(recorded, kind):
    recording = recorded(kind)
    replayed = recording.recheck()
    assert replayed.divergence is None, as_text(replayed)
    executed = {"environment_prepared", "baseline_measured", "tool_returned", "tests_finished", "verdict_reached"}
    assert not executed & replayed.tally.recorded.keys()
    assert not {"prompted", "call_reserved", "compacted", "budget_exhausted"} & replayed.tally.recorded.keys()
    assert replayed.tally.commits == commits_of(recording.run)
    assert "0 from the record" in as_text(replayed)


def test_a_local_sandbox_is_used_for_a_recheck_only_where_the_user_says_so(recorded):
    recording = recorded("mended_at_once")
    with pytest.raises(UsageProblem, match="used the sandbox `docker`, but `local` is set"):
        recording.recheck(sandbox="local")


# What is missing or damaged


def test_objects_that_were_pruned_are_named_with_the_step(recorded, tmp_path):
    recording = recorded("with_files_of_every_kind").copy(tmp_path)
    entry = next(x for x in recording.entries if getattr(x.event, "name", "") == "run_command")
    tree = entry.event.tree
    (recording.repo / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(
        DamagedRun, match=f"step {entry.seq} cannot be done again: the tree {tree} is missing"
    ) as caught:
        recording.replay()
    assert "git fsck" in caught.value.hint


def test_a_damaged_journal_is_told_as_such(recorded, tmp_path):
    recording = recorded("mended_at_once").copy(tmp_path)
    journal = recording.run.directory / JOURNAL
    run = recording.run
    journal.write_bytes(journal.read_bytes().replace(b"sums", b"bums", 1))
    with pytest.raises(DamagedRun, match="is damaged"):
        recording.replay(run)


def test_what_a_run_has_come_to_so_far_is_replayed_as_well(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    lines = (recording.run.directory / JOURNAL).read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines)):
        run = recording.changed(tmp_path)
        (run.directory / JOURNAL).write_bytes(b"".join(lines[:count]) + lines[count][:8])
        replayed = recording.replay(run)
        assert (replayed.divergence, replayed.steps, replayed.outcome) == (None, count, None)


# As its users meet it


def test_a_run_is_replayed_and_rechecked_from_the_command_line(red, tmp_path):
    with ScriptedServer(mending()) as server:
        greenward("fix", red, *LOCAL, environment=variables(server))
    nothing = variables(key=None, DOCKER_HOST="unix:///nowhere")
    tip = git(red, "for-each-ref", "--format=%(objectname)", "refs/heads/greenward")

    ran = greenward("replay", "--repo", red, environment=nothing)
    assert ran.code == 0, ran.said
    assert ran.out.startswith("the same: run ")
    assert f"tip:      {tip} of greenward/fix-" in ran.out
    assert "commits:  2 made again, with the recorded ids" in ran.out

    ran = greenward("replay", "--repo", red, "--recheck", environment=nothing)
    assert ran.code == 4, "the engine that is set is docker, and there is none"
    ran = greenward("replay", "--repo", red, "--recheck", "--sandbox", "local", "--json", environment=nothing)
    assert ran.code == 0, ran.said
    said = json.loads(ran.out)
    assert (said["schema"], said["recheck"], said["tip"], said["divergence"]) == (1, True, tip, None)
    assert said["events"]["again"]["verdict_reached"] == 1

    ran = greenward("show", "--steps", "--repo", red, environment=nothing)
    assert ran.code == 0, ran.said
    numbers = [int(line.split()[0]) for line in ran.out.splitlines()]
    assert numbers == list(range(len(numbers)))
    assert re.search(r"^ +11  \S+ \S+  tool_returned +write_file sums.py$", ran.out, re.MULTILINE)
    ran = greenward("show", "--steps", "--json", "--repo", red, environment=nothing)
    assert [json.loads(line)["seq"] for line in ran.out.splitlines()] == numbers


def test_a_divergence_is_shown_with_both_sides_and_a_hint(recorded, tmp_path):
    recording = recorded("mended_after_a_failure")
    entry = next(x for x in recording.entries if getattr(x.event, "name", "") == "read_file")
    run = recording.changed(
        tmp_path, at(entry.seq, lambda v: v.update(content=v["content"].replace("return a - b", "return a * b")))
    )
    replayed = recording.replay(run)
    assert as_text(replayed) == (
        f"diverges: run {run.id}, at step {entry.seq} of {len(recording.entries)}: tool_returned read_file sums.py\n"
        "  - as recorded, + as it came now\n"
        "  - 2\t    return a * b\n"
        "  + 2\t    return a - b\n"
        "\nhint: the journal was changed after it was written, or greenward itself does this differently than it did"
    )
    said = json.loads(as_json(replayed))["divergence"]
    assert said["steps"] == [{"step": entry.seq, "kind": "tool_returned", "what": "read_file sums.py"}]
    assert said["difference"] == "- 2\t    return a * b\n+ 2\t    return a - b"


def test_outcomes_are_those_of_the_runs(recorded):
    assert recorded("blocked").replay().outcome is Outcome.BLOCKED
    assert "the same: run" in as_text(recorded("nothing_to_mend").replay())
