"""What GitHub's runner takes for commands in what a step prints, by the rules of its `ActionCommandManager`."""

import re

_COMMAND = re.compile(r"::([\w-]+)(?: [^\n]*?)?::(.*)")


def acted_upon(printed: str) -> list[str]:
    """The commands that are carried out, but for those that switch commands off and on.

    Raises:
        AssertionError: they stay switched off, so that later steps of the job would be mute.
    """
    found, word = [], None
    for line in re.split(r"\r\n|\r|\n", printed):
        command = _COMMAND.match(line.lstrip())
        if word is not None:
            word = None if command and command[1] == word else word
        elif command and command[1] == "stop-commands":
            word = command[2]
        elif command or "##[" in line:
            found.append(line.strip())
    assert word is None, "commands stay switched off"
    return found
