"""The guards of the suite itself hold."""

import os
import socket
import urllib.request

import pytest


def test_a_connection_to_another_machine_is_refused():
    with socket.socket() as connection, pytest.raises(RuntimeError, match="connects to 192"):
        connection.connect(("192.0.2.1", 80))


def test_a_datagram_to_another_machine_is_refused():
    with socket.socket(type=socket.SOCK_DGRAM) as connection, pytest.raises(RuntimeError, match="connects to 192"):
        connection.sendto(b"x", ("192.0.2.1", 53))


def test_a_name_is_not_looked_up():
    with pytest.raises(RuntimeError, match="looks up"):
        urllib.request.urlopen("http://example.org/", timeout=1)


def test_loopback_and_local_sockets_are_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_the_home_is_private_and_empty(private_home):
    assert os.environ["HOME"] == str(private_home)
    assert list(private_home.iterdir()) == []
