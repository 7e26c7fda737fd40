"""What is cut, held up, damaged or swallowed between an engine and its users is an error, and never another result."""

import contextlib
import io
import tarfile
import uuid
from dataclasses import replace

import pytest

from sandbox import Command, Limits, SandboxError, SandboxLost, Setup, SetupFailed
from sandbox.docker import DockerSandbox
from sandbox.engine import connect
from sandbox.owner import Owner
from sandbox.patience import Patience
from sandbox.setup import DockerEngine
from tests.sandbox.faultsweep import COMMAND, TREE, of_a_command, of_a_suite, sweep
from tests.sandbox.proxy import FROM, TO, Fault, Proxy

pytestmark = pytest.mark.untraced

WORKERS = 4


@pytest.fixture
def proxy(tmp_path):
    with Proxy(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def behind(proxy):
    """A client of the engine behind the proxy."""
    client = connect(proxy.host, Patience(stop=0.5))
    yield client
    client.close()


def opened(client, image, run_id="damage"):
    return DockerSandbox(client, image, limits=Limits(), run_id=run_id, owner=Owner.current())


def came_to(execution):
    """What a command came to, but for the time that it took."""
    return replace(execution.result, seconds=0.0), execution.tree.id, execution.refused


@pytest.mark.docker
@pytest.mark.parametrize("method", ["execute", "execute_fresh"])
def test_a_fault_at_any_stage_of_a_command_is_an_error_or_changes_nothing(tmp_path, image, method):
    kinds = ("cut", "corrupt", "drop")
    came = sweep(tmp_path, of_a_command(image, method), kinds, seed=7, workers=WORKERS)
    assert len(came) >= 60
    assert [each for each in came if each.wrong] == []
    assert len([each for each in came if each.error]) >= len(came) // 3, "most strikes hit nothing that matters"


@pytest.mark.docker
def test_a_fault_at_any_stage_of_a_test_run_is_made_up_for_or_an_error(tmp_path):
    patient = Patience(prompt=10.0, creation=20.0, first_answer=10.0, transfer=10.0, stop=0.5, end=5.0)
    kinds = ("cut", "corrupt")
    came = sweep(tmp_path, of_a_suite(tmp_path), kinds, seed=3, most=8, workers=WORKERS, patience=patient)
    assert [each for each in came if each.wrong] == []
    assert [each for each in came if each.ended and each.ended.attempts > 1]


PLACES = {
    "the tree on its way in": Fault(where=TO, after=b"A" * 300, at=0, what="corrupt"),
    "the script": Fault(where=TO, after=b"printf 'J%.0s' $(seq 4", at=0, what="corrupt"),
    "the output": Fault(where=FROM, after=b"D" * 100, at=0, what="corrupt"),
    "a collected file": Fault(where=FROM, after=b"J" * 200, at=0, what="corrupt"),
    "a changed file": Fault(where=FROM, after=b"N" * 200, at=0, what="corrupt"),
    "the path of a file": Fault(where=FROM, after=b"\ttests/te", at=0, what="corrupt"),
    "the exit code": Fault(where=FROM, after=b" 3 0 0 ", at=-6, what="corrupt"),
    "the exit code, said once more": Fault(where=FROM, after=b" = 3 0 0 ", at=-6, what="corrupt"),
    "what is to be collected": Fault(where=TO, after=b"junit.xm", at=0, what="corrupt"),
    "how much may be collected": Fault(where=TO, after=b"/run/greenward/out ", at=0, what="corrupt"),
}
"""Where a byte that is not as it was sent would make another result of the command."""


@pytest.mark.docker
@pytest.mark.parametrize("place", PLACES)
def test_a_byte_that_would_make_another_result_is_an_error_and_the_next_attempt_is_right(proxy, behind, image, place):
    with opened(behind, image) as sandbox:
        wanted = came_to(sandbox.execute(TREE, COMMAND))
    with opened(behind, image) as sandbox:
        proxy.arm(PLACES[place])
        with pytest.raises(SandboxLost, match="damaged"):
            sandbox.execute(TREE, COMMAND)
        assert proxy.struck == 1
        assert came_to(sandbox.execute(TREE, COMMAND)) == wanted


QUICK = Command(script="echo begun; exit 3", timeout=1)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("execute", Fault(where=TO, after=b"echo beg", at=0, what="swallow")),
        ("execute", Fault(where=FROM, after=b" 3 0 0 ", at=-6, what="swallow")),
        ("execute", Fault(where=FROM, after=b" 3 0 0 ", at=-6, what="delay", seconds=2.0)),
        ("execute_fresh", Fault(where=FROM, after=b"begun\n", at=-6, what="swallow")),
        ("execute_fresh", Fault(where=FROM, after=b"begun\n", at=-10, what="drop")),
        ("execute", Fault(where=FROM, after=b"begun\n", at=-8, what="corrupt", flip=0x04)),
        ("execute_fresh", Fault(where=FROM, after=b" 3 0 0 ", at=-6, what="delay", seconds=1.2)),
        ("execute_fresh", Fault(where=TO, after=b"echo beg", at=0, what="delay", seconds=1.2)),
    ],
    ids=lambda value: f"{value.what} {value.at} {value.where}" if isinstance(value, Fault) else value,
)
def test_a_command_of_which_nothing_is_heard_in_time_has_not_timed_out(proxy, image, method, fault):
    hasty = Patience(transfer=3.0, stop=0.4, end=1.0)
    with contextlib.closing(connect(proxy.host, hasty)) as behind, opened(behind, image) as sandbox:
        sandbox.execute(TREE, Command(script="true"))
        proxy.arm(fault)
        with contextlib.suppress(SandboxLost):
            ended = getattr(sandbox, method)(TREE, QUICK)
            result = ended.result if method == "execute" else ended
            assert (result.timed_out, result.exit_code, result.output) == (False, 3, b"begun\n")
        assert proxy.struck == 1


@pytest.mark.docker
@pytest.mark.parametrize("method", ["execute", "execute_fresh"])
def test_a_command_that_holds_up_all_that_could_answer_for_it_has_timed_out(behind, image, method):
    command = Command(script="echo begun; sleep 0.3; kill -s STOP -- -1; sleep 600", timeout=1)
    with opened(behind, image) as sandbox:
        ended = getattr(sandbox, method)(TREE, command)
        result = ended.result if method == "execute" else ended
        assert (result.timed_out, result.exit_code, result.output) == (True, 124, b"begun\n")
        assert sandbox.execute(TREE, Command(script="cat c")).result.output == b"C"


@pytest.mark.docker
def test_what_an_image_brings_along_is_not_believed_before_it_was_heard_twice(proxy, behind, image):
    wanted = behind.image(image)
    proxy.arm(Fault(where=FROM, after=b'"Architecture":"', at=0, what="corrupt"))
    assert behind.image(image) == wanted
    assert proxy.struck == 1


@pytest.fixture
def bare(client, image):
    """The name of an image without Python, so that a setup takes no time."""
    context, name = io.BytesIO(), f"greenward-test:{uuid.uuid4().hex}"
    with tarfile.open(fileobj=context, mode="w") as archive:
        text = f"FROM {image}\nRUN rm $(command -v python3)\n".encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    context.seek(0)
    client.build(context, buildargs={}, labels={}, tag=name, say=str, timeout=120)
    yield name
    client.remove_image(name)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(where=TO, after=b"R" * 300, at=0, what="corrupt"), "was damaged on its way"),
        (Fault(where=FROM, after=b"last words\n", at=26, what="corrupt"), "not clear"),
        (Fault(where=FROM, after=b"last words\n", at=-3, what="cut"), "not clear|in the middle of a frame"),
        (Fault(where=FROM, after=b'"Running":false,', at=0, what="corrupt"), "cannot be read"),
        (Fault(where=TO, after=b"VIRTUAL_ENV%3D%2Fopt%2F", at=0, what="corrupt"), "another image"),
    ],
    ids=["what it is given", "its last words", "a cut", "its state", "what is committed"],
)
def test_a_setup_that_was_damaged_makes_no_environment(proxy, behind, bare, tmp_path, fault, says):
    script = f"grep -c R requirements.txt; : {uuid.uuid4()}; echo last words; printf 'no line'"
    setup = Setup(image=bare, files={"requirements.txt": b"R" * 500}, script=script)
    engine = DockerEngine(behind, host={}, cache=tmp_path / "cache")
    proxy.arm(fault)
    with pytest.raises(SandboxLost, match=says):
        engine.prepare(setup, str)
    assert proxy.struck == 1
    found = [engine.prepare(setup, str) for _ in range(2)]
    behind.remove_image(found[0].id)
    assert [each.cached for each in found] == [False, True]


@pytest.mark.docker
@pytest.mark.parametrize("what", ["swallow", "delay"])
def test_a_setup_of_which_nothing_is_heard_in_time_has_not_taken_too_long(proxy, bare, tmp_path, what):
    setup = Setup(image=bare, script=f": {uuid.uuid4()}; echo last words")
    proxy.arm(Fault(where=FROM, after=b"last words\n", at=-3, what=what, seconds=5.0))
    with (
        contextlib.closing(connect(proxy.host, Patience(end=3.0))) as client,
        pytest.raises(SandboxLost, match=r"not even its end|too late"),
    ):
        DockerEngine(client, host={}, cache=tmp_path, seconds=4.0).prepare(setup, str)
    assert proxy.struck == 1


@pytest.mark.docker
@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("exit 86", 86)])
def test_an_exit_code_that_was_damaged_is_not_that_of_the_setup(proxy, behind, bare, tmp_path, script, code):
    engine = DockerEngine(behind, host={}, cache=tmp_path / "cache")
    with pytest.raises(SetupFailed, match=f"exit code {code}"):
        engine.prepare(Setup(image=bare, script=f"echo no; {script}"), str)
    proxy.arm(Fault(where=FROM, after=b'"ExitCode":', at=0, what="corrupt", times=9))
    with pytest.raises(SandboxError, match="not clear"):
        engine.prepare(Setup(image=bare, script=f"echo {uuid.uuid4()}"), str)


@pytest.mark.docker
def test_an_image_that_was_damaged_on_its_way_in_is_none(proxy, behind):
    name, filesystem = f"greenward-test:{uuid.uuid4().hex}", io.BytesIO()
    with tarfile.open(fileobj=filesystem, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = 2000
        archive.addfile(member, io.BytesIO(b"F" * 2000))
    proxy.arm(Fault(where=TO, after=b"F" * 900, at=0, what="corrupt"))
    with pytest.raises(SandboxLost, match="damaged"):
        behind.import_image(io.BytesIO(filesystem.getvalue()), reference=name)
    assert (proxy.struck, behind.image(name)) == (1, None)
    assert behind.import_image(io.BytesIO(filesystem.getvalue()), reference=name)
    behind.remove_image(name)
