"""A user who works in the repository meanwhile, and a memory of how their tree has to be."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.gitrepo import git, state

ACTIONS = (
    "edits", "adds", "deletes", "stages", "commits", "stashes", "switches branch", "switches back", "tags",
    "packs refs",
)  # fmt: skip


@dataclass
class User:
    """Does what users do, by the git command; nothing else may change what is theirs."""

    root: Path
    times: int = 0
    tree: dict[str, bytes] = field(default_factory=dict)
    """Work tree, index, HEAD, stash, refs and configuration, as the user left them."""

    def look(self) -> None:
        """Remember how everything is."""
        self.tree = self._theirs()

    def acts(self, action: str) -> None:
        """Do one of `ACTIONS`, or what can be done of it."""
        self.times += 1
        notes, mark = self.root / "notes.txt", f"by the user, {self.times}\n"
        match action:
            case "edits":
                notes.write_text(mark)
            case "adds":
                (self.root / f"new-{self.times}.txt").write_text(mark)
            case "deletes":
                notes.unlink(missing_ok=True)
            case "stages":
                git(self.root, "add", "-A")
            case "commits":
                git(self.root, "commit", "-qam", mark, "--allow-empty")
            case "stashes":
                git(self.root, "stash", "push", "-q", "-u")
            case "switches branch":
                git(self.root, "switch", "-q", "-c", f"topic-{self.times}")
            case "switches back":
                git(self.root, "switch", "-q", "main", check=False)
            case "tags":
                git(self.root, "tag", f"v{self.times}")
            case "packs refs":
                git(self.root, "pack-refs", "--all")
        self.look()

    def tidies(self) -> None:
        """Remove every object that no ref leads to, which is safe where no git works."""
        self.times += 1
        git(self.root, "gc", "-q", "--prune=now")
        self.look()

    def differs(self) -> dict[str, tuple[bytes | None, bytes | None]]:
        """What is not as the user left it."""
        now = self._theirs()
        return {
            path: (self.tree.get(path), now.get(path))
            for path in {*self.tree, *now}
            if self.tree.get(path) != now.get(path)
        }

    def _theirs(self) -> dict[str, bytes]:
        """All but what has our name."""
        return {path: data for path, data in state(self.root).items() if not path.endswith("refs/notes/greenward")}
