"""No byte of what passes between a launcher and its host can be changed or left out and make another result."""

import contextlib
import socket
import struct
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import SandboxLost
from sandbox.channel import Channel, Ran
from sandbox.output import HeadTail
from sandbox.patience import Patience
from sandbox.reply import Reply, Request, checksum
from sandbox.stream import ERROR, OUTPUT, Deadline, Stream, StreamEnded

PATIENCE = Patience(transfer=0.2, stop=0.02, end=0.1)
PRINTED = b"one test failed\n"
SECONDS = 0.1
"""For a command that takes a hundredth of one."""


def frame(kind, data):
    return struct.pack(">BxxxL", kind, len(data)) + data


def answers(mark, half, script):
    """What a launcher sends of a command that printed something and ended with 3."""
    began, ended = f"started {checksum(script).hexdigest()}", f"3 0 0 1 {checksum(PRINTED).hexdigest()}"
    lines = [f"\n{mark} {said} = run {half}  = {said}\n".encode() for said in (began, ended)]
    return frame(OUTPUT, lines[0]) + frame(ERROR, PRINTED) + frame(ERROR, mark.encode()) + frame(OUTPUT, lines[1])


def serve(launcher, spoil):
    """Answer one command, and then whoever wants to stop it, as a launcher that has no command does."""
    with contextlib.suppress(OSError, ValueError), launcher.makefile("rb") as requests:
        _, mark, half = requests.readline().decode().split()
        script = requests.read(int(requests.readline()))
        requests.readline()
        launcher.sendall(spoil(answers(mark, half, script)))
        _, mark = requests.readline().decode().split()
        launcher.sendall(frame(OUTPUT, f"\n{mark} idle = stop   = idle\n".encode()))


def ran(spoil):
    """What comes of the command where `spoil` is done to what the launcher sends, and what it is heard to print."""
    host, launcher = socket.socketpair()
    kept = HeadTail(1000)
    thread = threading.Thread(target=serve, args=(launcher, spoil))
    thread.start()
    try:
        result = Channel(Stream(host), PATIENCE).run(
            "true\n", kept, SECONDS, lambda: launcher.shutdown(socket.SHUT_RDWR)
        )
        return replace(result, seconds=0.0), kept.kept()
    finally:
        host.close()
        thread.join()
        launcher.close()


LENGTH = len(answers("0" * 32, "500", b""))
SPOILT = {
    "left out": lambda at: lambda sent: sent[:at] + sent[at + 1 :],
    "another digit": lambda at: lambda sent: sent[:at] + bytes((sent[at] ^ 0x01,)) + sent[at + 1 :],
    "far off": lambda at: lambda sent: sent[:at] + bytes((sent[at] ^ 0x44,)) + sent[at + 1 :],
    "the end of all": lambda at: lambda sent: sent[:at],
}


def test_what_arrives_as_it_was_sent_is_the_result():
    assert ran(lambda sent: sent) == (Ran(code=3, seconds=0.0), PRINTED)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_no_byte_that_is_spoilt_makes_another_result_of_a_command(spoilt):
    others = {}
    for at in range(0, LENGTH, 11 if spoilt == "the end of all" else 1):
        with contextlib.suppress(SandboxLost):
            if (found := ran(SPOILT[spoilt](at))) != (Ran(code=3, seconds=0.0), PRINTED):
                others[at] = found
    assert others == {}


@given(payload=st.binary(max_size=200), at=st.integers(min_value=0), flip=st.integers(1, 255))
def test_no_byte_that_is_changed_makes_another_reply(payload, at, flip):
    request = Request("ab" * 16, "pack", ["/run/out", "99"])
    request.sums = [checksum(b"a path").hexdigest()]
    said = f"ok {request.sums[0]} {checksum(payload).hexdigest()}"
    sent = bytearray(payload + f"\n{request.mark} {said} = pack /run/out 99 = {said}\n".encode())
    sent[at % len(sent)] ^= flip
    reply = Reply(request)
    with contextlib.suppress(SandboxLost):
        reply.feed(bytes(sent))
        if reply.fields is not None:
            assert (reply.vouched(), reply.payload) == (["ok"], payload)


@pytest.mark.parametrize(
    ("sent", "ended"), [(frame(OUTPUT, b"all"), True), (frame(OUTPUT, b"all")[:-1], False), (b"\1\0\0", False)]
)
def test_a_stream_that_ends_in_the_middle_of_a_frame_has_not_ended_well(sent, ended):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        stream = Stream(ours)
        with pytest.raises(SandboxLost) as caught:
            list(iter(lambda: stream.receive(Deadline(5)), None))
    assert isinstance(caught.value, StreamEnded) is ended
