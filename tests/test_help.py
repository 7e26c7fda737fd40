"""What `--help` says of every command: short, in order, and with an example that can be typed."""

import re
import shlex

import pytest
import typer.main

from agent.cli import app

WIDTH = 80
ROOT = typer.main.get_command(app)


def commands(command, path=()):
    """Every command and group by its words."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = {" ".join(path): command for path, command in commands(ROOT)}
NAMED = sorted(ALL.keys() - {""})


def context(words, command=ROOT, parent=None):
    """The context of the command that `words` lead to, parsed as if it were to be run."""
    made = command.make_context(words[0], list(words[1:]), parent=parent)
    if not hasattr(command, "commands"):
        return made
    name, below, rest = command.resolve_command(made, made._protected_args + made.args)
    return context([name, *rest], below, made)


def shown(name):
    command, parent = ROOT, None
    for word in name.split():
        parent = command.make_context(command.name, ["x"], parent=parent, resilient_parsing=True)
        command = command.commands[word]
    return command.get_help(command.make_context(command.name, [], parent=parent, resilient_parsing=True))


def test_the_commands_fit_on_one_screen_and_their_summaries_into_their_lines():
    lines = ROOT.get_help(ROOT.make_context("greenward", [], resilient_parsing=True)).splitlines()
    assert len(lines) <= 32
    assert max(map(len, lines)) <= WIDTH
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage")] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_command_has_a_summary_of_one_line_and_an_example(name):
    text = ALL[name].help
    summary, _, rest = text.partition("\n")
    assert summary.endswith(".")
    assert len(summary) <= 66
    assert f"Example: greenward {name}" in rest


@pytest.mark.parametrize("name", NAMED)
def test_the_example_of_a_command_can_be_typed(name):
    (line,) = re.findall(r"Example: greenward (.*)", ALL[name].help)
    parsed = context(["greenward", *shlex.split(line.partition(" | ")[0])])
    assert parsed.command_path.removeprefix("greenward ").startswith(name)


@pytest.mark.parametrize(
    "line", ["frobnicate", "fix --nonsense", "fix --max-cost much", "image import", "diff a b", "config show x"]
)
def test_an_example_that_cannot_be_typed_would_be_noticed(line):
    with pytest.raises(Exception, match=r"(?i)no such|valid|missing|unexpected"):
        context(["greenward", *shlex.split(line)])


def test_options_stand_under_the_heading_that_they_belong_to():
    sections = re.split(r"\n(?=\w+:\n)", shown("fix"))
    headed = {text.partition(":\n")[0]: set(re.findall(r"--[a-z-]+", text)) for text in sections[1:]}
    assert list(headed) == ["Arguments", "Options", "Project", "Model", "Sandbox", "Limits", "CI"]
    assert headed["Limits"] == {
        "--max-cost", "--max-tokens", "--max-calls", "--max-iterations", "--max-minutes", "--max-sandbox-minutes",
    }  # fmt: skip
    assert headed["CI"] == {"--ci", "--out", "--request-file", "--allow-label"}
    assert headed["Sandbox"] == {"--image", "--sandbox"}
    assert {"--help", "--allow-unproven"} <= headed["Options"]


@pytest.mark.parametrize("name", NAMED)
def test_every_option_says_what_it_does(name):
    hidden = [each for each in ALL[name].params if getattr(each, "hidden", False)]
    assert [each.name for each in ALL[name].params if each not in hidden and not each.help] == []


def test_the_program_is_called_by_its_name_however_it_is_started():
    from tests.e2e.harness import greenward, variables

    assert greenward("--help", environment=variables()).out.startswith("Usage: greenward [OPTIONS] COMMAND")
