"""Whose something is: a process is told from all others that have or had its number."""

import os
import subprocess
from dataclasses import replace

import pytest

from sandbox.owner import Owner


@pytest.fixture
def here():
    return Owner.current()


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_process_that_lives_is_not_gone(here):
    parent = Owner.of({"greenward.owner": str(os.getppid()), "greenward.boot": here.boot})
    assert here.started.isdecimal()
    assert not here.is_gone(here)
    assert not replace(parent, namespace=here.namespace).is_gone(here)


def test_a_process_that_has_ended_is_gone(here, dead):
    assert replace(here, pid=dead).is_gone(here)


def test_a_process_whose_number_is_another_ones_by_now_is_gone(here):
    assert replace(here, started=str(int(here.started) - 1)).is_gone(here)


def test_where_nothing_says_when_a_process_started_its_number_has_to_do(here, dead):
    assert not replace(here, started="").is_gone(here)
    assert replace(here, started="", pid=dead).is_gone(here)


def test_a_process_that_nobody_has_buried_yet_is_gone(here):
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert replace(here, pid=process.pid, started="").is_gone(here)


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"namespace": "pid:[1]"}])
def test_a_process_that_cannot_be_seen_from_here_is_never_gone(here, dead, elsewhere):
    assert not replace(here, pid=dead, **elsewhere).is_gone(here)


def test_an_owner_is_read_back_from_its_labels(here):
    assert Owner.of({**here.labels(), "other": "label"}) == here


@pytest.mark.parametrize("labels", [{}, {"greenward.owner": "", "greenward.boot": ""}, {"greenward.owner": "1"}])
def test_labels_that_an_image_may_carry_name_no_owner(labels):
    assert Owner.of(labels) is None


def test_labels_without_a_namespace_name_an_owner_that_is_never_gone(here, dead):
    owner = Owner.of({"greenward.owner": str(dead), "greenward.boot": here.boot})
    assert owner is not None
    assert not owner.is_gone(here)
