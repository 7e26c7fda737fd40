"""What the README says is so: its commands, its tables, and, in `tests/e2e/test_demo.py`, the output that it shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent import errors
from agent.config import load_settings
from agent.events import Outcome
from tests.readme import README, commands, section


def help_of(*words):
    done = subprocess.run(
        [sys.executable, "-m", "agent", *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_of_the_readme_exists_with_its_options(command):
    name, *arguments = shlex.split(command)
    shown = help_of(name)
    for option in [argument for argument in arguments if argument.startswith("--")]:
        assert f"{option} " in shown


def test_the_readme_shows_every_command_of_a_user():
    listed = re.findall(r"^  (\w+) {2,}", help_of().split("Commands:")[1], re.MULTILINE)
    assert {name for name in listed if f"greenward {name}" not in README} == set()


def test_the_exit_codes_are_those_of_errors_and_outcomes():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    raised = {getattr(errors, name).exit_code for name in errors.__all__}
    assert codes == raised | {outcome.exit_code for outcome in Outcome} | {130}


def test_the_settings_have_the_defaults_options_and_variables_that_are_said():
    settings = load_settings({}, {}, key=None)
    options = help_of("fix")
    for row in re.findall(r"^\| `(.*?)` .*$", section("Settings"), re.MULTILINE):
        assert row.partition("`")[0] in settings.sources
    for option in re.findall(r"\| `(--[a-z-]+)` \|", section("Settings")):
        assert f"{option} " in options
    said = section("Settings")
    assert f"| {settings.limits.dollars:.2f} |" in said
    assert f"| {settings.limits.iterations} |" in said
    assert f"| {settings.limits.calls} |" in said
    assert f"| {settings.limits.seconds:g} |" in said
    assert f"`{settings.model}`" in said
    assert settings.base_url in said
    assert f"{settings.prices.input:.2f}, {settings.prices.cached:.2f}, {settings.prices.output:.2f}" in said


def test_the_picture_is_there_and_fetches_nothing():
    (name,) = re.findall(r"!\[.*?\]\((.*?\.svg)\)", README)
    picture = (Path(__file__).parents[1] / name).read_text("utf-8")
    assert "iteration" in picture
    assert not re.findall(r"@font-face|@import|url\((?!#)|href=\"(?!#)", picture)
