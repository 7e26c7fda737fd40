"""The journal gives back what was written, keeps it whole, and names what is damaged."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import events as e
from agent.durable import Moment
from agent.errors import DamagedRun, StorageProblem, UsageProblem
from agent.folding import fold
from agent.journal import Entry, Journal, read_entries, read_last
from agent.messages import Message, Usage
from agent.task import Limits, Plan
from tests.gitrepo import repository
from tests.kits import PRICES, every_event, open_journal, started

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"
KINDS = get_args(get_args(e.Event)[0])
EVENTS = st.one_of(
    st.builds(e.RunStarted, schema=st.just(e.SCHEMA)),
    *[st.from_type(kind) for kind in KINDS if kind is not e.RunStarted],
)
EFFECTS = get_args(get_args(e.Effect)[0])
ANY_FILE = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def write(path: Path, *events) -> bytes:
    with open_journal(path) as journal:
        for event in events:
            journal.append(event)
    return path.read_bytes()


def path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def events_of(path: Path) -> list:
    return [entry.event for entry in read_entries(path)]


# What is written is read


@ANY_FILE
@given(events=st.lists(EVENTS, max_size=4))
def test_every_event_is_read_as_it_was_written(path, events):
    path.unlink(missing_ok=True)
    write(path, *events)
    assert repr(events_of(path)) == repr(events), "by repr, as NaN is not equal to itself"


def test_events_that_hold_every_effect_and_kind_are_read_as_they_were_written(path):
    by_the_user = [
        e.LimitsChanged(limits=Limits(dollars=2.0)),
        e.PlanApproved(plan=Plan(summary="Add.", steps=("Add.",))),
        e.PlanWithheld(reason="not yet"),
        e.HintGiven(text="look at the sums"),
        e.RunPaused(why="model", reason="no reply", commit="c1", tree="bad"),
        e.Forked(
            run_id="r2",
            branch="greenward/work-r2",
            parent="r1",
            step=7,
            commit="c1",
            model="other",
            prices=PRICES,
            context=9_000,
            max_output=900,
            limits=Limits(dollars=2.0),
        ),
        e.Continued(request="also subtract", limits=Limits(dollars=3.0), allow_test_changes=("tests/*",)),
    ]
    shortened = e.Shortened(index=2, message=Message(role="tool", content="…", tool_call_id="c"))
    compacted = e.Compacted(shortened=(shortened,), before=9_000, after=4_000)
    events = [*every_event(), *by_the_user, compacted]
    assert {type(event) for event in events} == set(KINDS)
    held = {type(event.effect) for event in events if isinstance(event, e.ToolReturned)}
    assert held == {*EFFECTS, type(None)}
    write(path, *events)
    assert events_of(path) == events


def test_an_entry_knows_its_place_and_its_time(path):
    with Journal(path, clock=lambda: datetime(2031, 2, 3, 4, 5, 6, 7, tzinfo=UTC)) as journal:
        journal.append(started())
        entry = journal.append(e.BudgetExhausted(reason="spent"))
    assert entry == Entry(
        seq=1, at=datetime(2031, 2, 3, 4, 5, 6, 7, tzinfo=UTC), event=e.BudgetExhausted(reason="spent")
    )
    assert [*read_entries(path)][1] == entry


def test_the_time_of_an_entry_is_by_the_clock_in_utc(path):
    before = datetime.now(UTC)
    with Journal(path) as journal:
        assert before <= journal.append(started()).at <= datetime.now(UTC)


def test_a_journal_goes_on_where_it_ended(path):
    write(path, started())
    with open_journal(path) as journal:
        assert [entry.seq for entry in journal.entries] == [0]
        journal.append(e.BudgetExhausted(reason="spent"))
        chain = journal.chain
    assert events_of(path) == [started(), e.BudgetExhausted(reason="spent")]
    assert json.loads(path.read_bytes().splitlines()[-1])["chain"] == chain


def test_each_line_is_one_json_object_chained_to_all_before_it(path):
    link = ""
    for line in write(path, *every_event()).splitlines():
        body, _, tail = line.rpartition(b',"chain":"')
        link = hashlib.sha256(link.encode() + body + b"}").hexdigest()
        assert json.loads(line)["chain"] == link == tail.removesuffix(b'"}').decode()


def test_text_that_looks_like_a_link_is_text(path):
    event = e.BudgetExhausted(reason='","chain":"' + "0" * 64 + '"}\n{"seq":1')
    write(path, started(), event, event)
    assert events_of(path)[1:] == [event, event]


def test_text_that_is_no_unicode_is_replaced_in_the_file_and_in_the_entry(path):
    with open_journal(path) as journal:
        entry = journal.append(e.BudgetExhausted(reason=os.fsdecode(b"caf\xe9.py \xf0\x9f") + "\ud83d"))
    assert entry.event == e.BudgetExhausted(reason="caf?.py ???")
    assert events_of(path) == [entry.event]


@pytest.mark.parametrize("dollars", [float("inf"), 1e-300, 5.0])
def test_a_limit_may_be_any_number(path, dollars):
    event = started(limits=Limits(dollars=dollars))
    write(path, event)
    assert events_of(path) == [event]


# What is not to be written


def test_what_is_scrubbed_is_scrubbed_in_the_file_in_the_entry_and_for_watchers(path):
    seen = []
    with open_journal(path, scrub=lambda text: text.replace("sk-secret", "[key]")) as journal:
        journal.watch(seen.append)
        entry = journal.append(e.BudgetExhausted(reason="sk-secret is refused"))
    assert entry.event == e.BudgetExhausted(reason="[key] is refused")
    assert seen == [entry] == [*read_entries(path)]
    assert b"sk-secret" not in path.read_bytes()


# What is durable


def test_a_line_is_synced_to_disk_before_anyone_is_told_of_it(path, monkeypatch):
    happened: list[tuple[str, str | int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        happened.append((path_of(descriptor), path.read_bytes().count(b"\n")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with open_journal(path) as journal:
        journal.watch(lambda entry: happened.append(("told", entry.seq)))
        journal.append(started())
        journal.append(e.BudgetExhausted(reason="spent"))
    assert happened == [(str(path.parent), 0), (str(path), 1), ("told", 0), (str(path), 2), ("told", 1)]


def test_the_directory_is_synced_until_the_journal_holds_a_line(path, monkeypatch):
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path_of(descriptor)))
    for _ in range(2):
        open_journal(path).close()
    assert synced == [str(path.parent)] * 2
    write(path, started())
    del synced[:]
    open_journal(path).close()
    assert synced == []


def test_an_append_for_which_there_is_no_room_leaves_nothing_behind(path):
    before = write(path, started())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, limits[1]))
        try:
            with pytest.raises(StorageProblem, match=r"journal\.jsonl cannot be written") as raised:
                journal.append(e.BudgetExhausted(reason="first"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert raised.value.exit_code == 6
        assert "greenward resume" in raised.value.hint
        assert path.read_bytes() == before, "also not the half of the line for which there was room"
        journal.append(e.BudgetExhausted(reason="second"))
    assert events_of(path) == [started(), e.BudgetExhausted(reason="second")]


def test_an_append_that_could_not_be_synced_is_the_last(path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with open_journal(path) as journal:
        journal.append(started())
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(StorageProblem, match="No space"):
                journal.append(e.BudgetExhausted(reason="first"))
        assert journal.closed
        with pytest.raises(StorageProblem, match="not written any more"):
            journal.append(e.BudgetExhausted(reason="second"))
    with open_journal(path) as journal:
        journal.append(e.BudgetExhausted(reason="third"))
    assert events_of(path) == [started(), e.BudgetExhausted(reason="third")]


@pytest.mark.parametrize(
    ("moment", "there"),
    [(Moment.JOURNAL_BEGUN, False), (Moment.JOURNAL_WRITTEN, True), (Moment.JOURNAL_SYNCED, True)],
)
def test_an_append_that_is_interrupted_is_there_whole_or_not_at_all(path, moment, there):
    waiting = [moment]

    def interrupt(passed: Moment) -> None:
        if passed in waiting and path.read_bytes().count(b"\n") >= 1:
            waiting.clear()
            raise KeyboardInterrupt

    first, second = (e.BudgetExhausted(reason=reason) for reason in ("first", "second"))
    write(path, started())
    with Journal(path, passing=interrupt) as journal:
        with pytest.raises(KeyboardInterrupt):
            journal.append(first)
        journal.append(second)
        known = [entry.event for entry in journal.entries]
    assert events_of(path) == known == [started(), *([first] if there else []), second]


# What was torn


def test_a_last_line_torn_at_any_byte_is_cut_off(path):
    whole = write(path, started(), e.BudgetExhausted(reason="first"))
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        assert events_of(path) == [started()]
        with open_journal(path) as journal:
            assert path.read_bytes() == whole[:first]
            journal.append(e.BudgetExhausted(reason="first"))
        assert path.read_bytes() == whole


def test_a_journal_being_written_is_read_without_holding_it(path):
    with open_journal(path) as journal:
        journal.append(started())
        assert events_of(path) == [started()]
        journal.append(e.BudgetExhausted(reason="spent"))
        assert len(events_of(path)) == 2


# What is damaged


def opened_and_read(path: Path) -> list[str]:
    """What the two ways to read a journal say of its damage."""
    said = []
    for reading in (lambda: [*read_entries(path)], lambda: open_journal(path).close()):
        with pytest.raises(DamagedRun) as raised:
            reading()
        said.append(raised.value.message)
    return said


SMALL = (
    started(),
    e.CallReserved(dollars=0.25, tokens=7, max_tokens=5),
    e.BudgetExhausted(reason='a "quoted" word, é and \x00'),
)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return write(tmp_path_factory.mktemp("intact") / "journal.jsonl", *SMALL)


def test_a_flipped_bit_at_any_byte_is_named_by_its_line(path, intact):
    for position in range(len(intact)):
        assert_damage_is_named(path, intact, position, intact[position] ^ 1)


@ANY_FILE
@given(data=st.data(), byte=st.integers(0, 255))
def test_any_byte_changed_to_any_other_is_named_by_its_line(path, intact, data, byte):
    position = data.draw(st.integers(0, len(intact) - 1).filter(lambda position: intact[position] != byte))
    assert_damage_is_named(path, intact, position, byte)


def assert_damage_is_named(path: Path, intact: bytes, position: int, byte: int) -> None:
    damaged = bytearray(intact)
    damaged[position] = byte
    path.write_bytes(damaged)
    number = intact[:position].count(b"\n") + 1
    assert opened_and_read(path) == [f"{path}: line {number} is damaged"] * 2
    assert path.read_bytes() == damaged, "a damaged journal is left as it is"


@pytest.mark.parametrize(
    ("order", "number"),
    [
        ((1, 2), 1),
        ((0, 2), 2),
        ((1, 0, 2), 1),
        ((0, 2, 1), 2),
        ((0, 0, 1, 2), 2),
        ((0, 1, 2, 2), 4),
        ((0, 1, 0, 1, 2), 3),
    ],
    ids=["first lost", "one lost", "first swapped", "last swapped", "first doubled", "last doubled", "repeated"],
)
def test_a_line_lost_swapped_or_doubled_is_named(path, intact, order, number):
    lines = intact.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))
    assert opened_and_read(path) == [f"{path}: line {number} is damaged"] * 2


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b'{"seq":0,"chain":""}\n', b"\x00" * 80 + b"\n"])
def test_a_line_that_is_none_of_ours_is_damage(path, intact, line):
    path.write_bytes(intact + line)
    assert opened_and_read(path) == [f"{path}: line 4 is damaged"] * 2


def sealed(*bodies: bytes) -> bytes:
    """Lines with a right chain, whatever stands in them."""
    link, lines = "", []
    for body in bodies:
        link = hashlib.sha256(link.encode() + body).hexdigest()
        lines.append(body[:-1] + b',"chain":"' + link.encode() + b'"}\n')
    return b"".join(lines)


def test_an_event_of_no_known_kind_asks_for_an_update(path, intact):
    body = b'{"seq":0,"at":"2030-01-01T00:00:00Z","event":{"kind":"dreamt"}}'
    path.write_bytes(sealed(body))
    with pytest.raises(DamagedRun, match="line 1 is of no kind that this version knows") as raised:
        list(read_entries(path))
    assert "update" in raised.value.hint


def test_a_newer_schema_asks_for_an_update(path):
    write(path, started())
    body = path.read_bytes().rpartition(b',"chain"')[0] + b"}"
    path.write_bytes(sealed(body.replace(b'"schema":1', b'"schema":2')))
    with pytest.raises(DamagedRun, match="has schema 2; this version knows 1") as raised:
        list(read_entries(path))
    assert raised.value.hint == "update greenward"


# Who holds it

HOLD = """
import sys
from pathlib import Path
from agent.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_is_worked_on_by_one_process_at_a_time(path):
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            HOLD, str(path),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    with holder:
        assert holder.stdout.readline() == b"held\n"
        path.write_bytes(b'{"half a line')
        with pytest.raises(UsageProblem, match="another process is working on the run"):
            Journal(path)
        assert path.read_bytes() == b'{"half a line', "what the holder is writing is not cut off"
        holder.stdin.close()
        assert holder.wait(timeout=30) == 0
    Journal(path).close()


def test_a_journal_that_was_refused_or_closed_is_let_go(path, intact):
    path.write_bytes(intact.replace(b"0.25", b"0.26"))
    with pytest.raises(DamagedRun):
        Journal(path)
    path.write_bytes(intact)
    with Journal(path):
        pass
    Journal(path).close()


# What was written by earlier versions


def test_the_golden_journal_of_schema_1_is_read_as_it_was_written():
    assert events_of(GOLDEN) == every_event()


def test_the_golden_journal_of_schema_1_folds_to_the_same_state():
    state = fold(read_entries(GOLDEN))
    assert state.outcome is e.Outcome.PASSED
    assert state.reason == "judged in a fresh container"
    assert (state.phase, state.tip, state.tree, state.tested_tree) == ("code", "c2", "good", "good")
    assert [(cycle.commit, cycle.tree, str(cycle.report)) for cycle in state.iterations] == [
        ("c1", "bad", "1 failed, 1 passed"),
        ("c2", "good", "2 passed"),
    ]
    assert (str(state.baseline), str(state.previous_report)) == ("1 failed, 1 passed", "1 failed, 1 passed")
    assert [message.role for message in state.messages] == [
        "system", "user", "assistant", "tool", "user", "assistant", "tool", "tool", "tool", "user", "assistant", "tool",
    ]  # fmt: skip
    assert state.unsealed == (e.Unsealed(path="tests/test_new.py", reason="a typo"),)
    assert state.spent.usage == Usage(prompt=230, cached=100, completion=30)
    assert (state.spent.calls, state.spent.tokens, state.spent.iterations) == (5, 6_260, 2)
    assert state.spent.dollars == pytest.approx(0.0200 + 0.0001375)
    assert state.spent.seconds == 26.0
    assert state.started == every_event()[0]


WORK = """
import sys, threading, time
from pathlib import Path
from agent.git import Git
from agent.journal import Journal
from sandbox.process import run_script
journal, script, git_dir = map(Path, sys.argv[1:])
held = Journal(journal)
git = Git(git_dir, environment={"PATH": "/usr/bin:/bin"})
git.find("HEAD")
arguments = dict(environment={"PATH": "/usr/bin:/bin"}, timeout=600.0, output_bytes=1000)
command = threading.Thread(target=run_script, args=(script,), kwargs=arguments, daemon=True)
command.start()
while not script.with_name("began").exists():
    time.sleep(0.01)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_is_let_go_when_its_process_is_killed_whoever_of_its_children_lives_on(path, tmp_path):
    root, script = repository(tmp_path / "repository"), tmp_path / "script"
    script.write_text(f"echo $$ >{tmp_path}/pid && mv {tmp_path}/pid {tmp_path}/began && exec sleep 600\n")
    arguments = [sys.executable, "-c", WORK, str(path), str(script), str(root / ".git")]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        assert holder.wait() == -signal.SIGKILL
        child = int((tmp_path / "began").read_text())
        try:
            Journal(path).close()
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("torn", [b"", b'{"seq":3,"at":"2030', b"{" + b"x" * 200_000])
@pytest.mark.parametrize("size", [1, 100_000])
def test_the_last_entry_is_read_without_those_before_it(path, torn, size):
    said = Message(role="user", content="x" * size)
    write(path, started(), *[e.Prompted(about=e.Say.PLAN, messages=(said,))] * 2)
    last = list(read_entries(path))[-1]
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"#" * len(first) + b"\n" + rest + torn)

    assert read_last(path) == last


@pytest.mark.parametrize("text", [b"", b"torn"])
def test_a_journal_without_a_line_has_no_last_entry(path, text):
    path.write_bytes(text)
    assert read_last(path) is None


def test_a_last_line_that_is_no_entry_is_damage(path):
    path.write_bytes(b"no entry\n")
    with pytest.raises(DamagedRun):
        read_last(path)
