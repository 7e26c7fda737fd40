"""The readers of what containers send, against real tar and against nonsense."""

import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Candidate, SandboxLost
from sandbox.archive import BadArchive, Member, read_members
from sandbox.listing import changes, parse
from sandbox.output import CUT, HeadTail


def packed(directory, *names, kind="gnu"):
    arguments = ["tar", "-C", str(directory), "-c", f"--format={kind}", "--no-recursion", "-f", "-", *names]
    return subprocess.run(arguments, check=True, capture_output=True).stdout


def test_files_and_links_of_real_tar_are_read(tmp_path):
    long = "n" * 180
    (tmp_path / "plain").write_bytes(b"x" * 1000)
    (tmp_path / "run").write_bytes(b"")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / long).write_bytes(b"long")
    (tmp_path / "link").symlink_to("t" * 150)
    members = list(read_members(packed(tmp_path, "plain", "run", long, "link")))
    assert members == [
        Member(path=b"plain", data=b"x" * 1000, executable=False, link=False),
        Member(path=b"run", data=b"", executable=True, link=False),
        Member(path=long.encode(), data=b"long", executable=False, link=False),
        Member(path=b"link", data=b"t" * 150, executable=False, link=True),
    ]


def test_anything_but_files_and_links_is_refused(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    subprocess.run(["mkfifo", str(tmp_path / "p")], check=True)
    for archive in (
        packed(tmp_path, "d"),
        packed(tmp_path, "p"),
        packed(tmp_path, "a", "b"),
        packed(tmp_path, "a", kind="posix"),
        packed(tmp_path, "a", kind="ustar"),
        packed(tmp_path, "a")[:700],
        packed(tmp_path, "a").replace(b"ustar  ", b"UStar  "),
        b"x" * 2048,
    ):
        with pytest.raises(BadArchive):
            list(read_members(archive))


def test_a_changed_header_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    archive = bytearray(packed(tmp_path, "a"))
    archive[0] ^= 1
    with pytest.raises(BadArchive, match="checksum"):
        list(read_members(bytes(archive)))


def test_a_size_beyond_octal_is_refused():
    header = tarfile.TarInfo("a")
    header.size = 2**40
    with pytest.raises(BadArchive, match="octal"):
        list(read_members(header.tobuf(tarfile.GNU_FORMAT)))


def test_a_torn_archive_gives_its_whole_members(tmp_path):
    (tmp_path / "a").write_bytes(b"a" * 600)
    (tmp_path / "b").write_bytes(b"b" * 600)
    archive = packed(tmp_path, "a", "b")[:2500]
    assert [member.path for member in read_members(archive, torn=True)] == [b"a"]


@given(st.binary(max_size=3000))
def test_no_bytes_break_the_reader_of_archives(data):
    try:
        assert all(isinstance(member, Member) for member in read_members(data))
    except BadArchive:
        return


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(min_value=2, max_value=400))
def test_what_is_kept_is_the_beginning_and_the_end(pieces, limit):
    limit -= limit % 2
    kept = HeadTail(limit)
    for piece in pieces:
        kept.feed(piece)
    whole = b"".join(pieces)
    half = limit // 2
    wanted = whole if len(whole) <= limit else whole[:half] + CUT + whole[-half:]
    assert (kept.kept(), kept.truncated) == (wanted, len(whole) > limit)


def test_memory_is_bounded_however_much_is_printed():
    kept = HeadTail(1000)
    for _ in range(1000):
        kept.feed(bytes(65536))
    assert len(kept._tail) < 200_000


def test_listings_are_compared():
    before = parse(b"f 644 1 1.0 10\ta\0f 644 1 1.0 11\tb\0f 644 1 1.0 12\tsame\0")
    after = parse(b"f 755 1 2.0 10\ta\0l 777 5 2.0 13\tc\td\0p 644 0 2.0 14\te\0f 644 1 1.0 12\tsame\0")
    assert changes(before, after) == (
        Candidate(path="a", kind="file", size=1, executable=True),
        Candidate(path="b", kind="deleted"),
        Candidate(path="c\td", kind="link", size=5),
        Candidate(path="e", kind="other"),
    )


@pytest.mark.parametrize("listing", [b"x", b"f 644 1 1.0\ta\0", b"f 644 1 1.0 1 a\0", b"f 644 1 1.0 1\t\0", b"\0"])
def test_a_listing_that_is_none_is_refused(listing):
    with pytest.raises(SandboxLost):
        parse(listing)


@pytest.mark.parametrize("listing", [b"f rwx 1 1.0 1\ta\0", b"f 644 big 1.0 1\ta\0"])
def test_a_listing_with_odd_numbers_is_refused(listing):
    with pytest.raises(SandboxLost):
        changes({}, parse(listing))
