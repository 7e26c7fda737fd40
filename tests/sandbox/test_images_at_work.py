"""What an image brings along has no say; an image without what is needed is refused by name."""

import io
import tarfile

import pytest

from sandbox import Change, Command, Limits, SandboxUnavailable, SetupFailed
from sandbox.docker import DockerSandbox
from sandbox.owner import Owner
from tests.sandbox.trees import DictTree

TREE = DictTree([Change(path="a", data=b"1")])


@pytest.fixture
def build(client, image):
    """Builds an image from lines that follow FROM, and takes it away again."""
    made = []

    def build(*lines):
        context = io.BytesIO()
        text = "\n".join((f"FROM {image}", *lines)).encode()
        with tarfile.open(fileobj=context, mode="w") as archive:
            member = tarfile.TarInfo("Dockerfile")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        context.seek(0)
        tag = f"greenward-test:{abs(hash(lines)):x}"
        built = client.build(context, buildargs={}, labels={}, tag=tag, say=lambda _: None, timeout=120)
        made.append(tag)
        return built

    yield build
    for tag in made:
        client.remove_image(tag)


def opened(client, image):
    return DockerSandbox(client, image, limits=Limits(), run_id="images", owner=Owner.current())


@pytest.mark.docker
def test_an_images_own_settings_have_no_say(client, build):
    image = build(
        "ENV SECRET=1 PATH=/image/bin:/usr/bin:/bin HOME=/root PYTHONSTARTUP=/x LD_PRELOAD=",
        'ENTRYPOINT ["/bin/false"]',
        'CMD ["--no"]',
        "HEALTHCHECK CMD touch /tmp/checked",
        "USER root",
        "WORKDIR /root",
    )
    script = 'env | cut -d= -f1 | sort | xargs; echo "$PATH" "$HOME"; pwd; id -u; cat a'
    with opened(client, image) as sandbox:
        names, paths, directory, user, content = sandbox.execute(TREE, Command(script=script)).result.output.split(
            b"\n"
        )
    wanted = "GREENWARD_OUT HOME HOSTNAME LANG OLDPWD PATH PIP_NO_INDEX PWD PYTHONDONTWRITEBYTECODE PYTHONHASHSEED USER"
    assert names.decode() == wanted
    assert paths == b"/opt/greenward/bin:/build/bin:/image/bin:/usr/bin:/bin /tmp/home"
    assert (directory, content) == (b"/work", b"1")
    assert int(user) >= 20_000


@pytest.mark.docker
def test_an_image_with_a_volume_is_refused(client, build):
    with opened(client, build("VOLUME /data")) as sandbox, pytest.raises(SandboxUnavailable, match="no volumes"):
        sandbox.execute(TREE, Command(script="true"))


@pytest.mark.docker
@pytest.mark.parametrize("program", ["tar", "find", "xargs", "dd", "head", "tail", "tee", "sha1sum"])
def test_an_image_without_a_needed_program_is_refused_by_name(client, build, program):
    image = build(f"RUN rm $(command -v {program})")
    with opened(client, image) as sandbox, pytest.raises(SandboxUnavailable, match=f"`{program}`"):
        sandbox.execute(TREE, Command(script="true"))


@pytest.mark.docker
@pytest.mark.parametrize("program", ["timeout", "sh"])
def test_an_image_in_which_nothing_starts_is_refused(client, build, program):
    image = build(f'RUN ["rm", "/bin/{program}"]')
    with opened(client, image) as sandbox, pytest.raises(SandboxUnavailable, match="launcher did not start") as caught:
        sandbox.execute(TREE, Command(script="true"))
    assert "`timeout`" in caught.value.hint


@pytest.mark.docker
def test_a_failed_build_keeps_its_log(build):
    with pytest.raises(SetupFailed) as caught:
        build("RUN echo the reason; exit 3")
    assert "the reason\n" in caught.value.log
