"""Where anything that the model causes is executed: a function of a tree.

    execution = sandbox.execute(tree, command)    # what came of it, and the tree that the command left

The tree is the truth and the sandbox a cache of it: nothing of the host is in there, and what comes out is hostile.
This package knows nothing of git or of the agent; a tree is whatever satisfies `Tree`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

__all__ = [
    "Absorbed",
    "Candidate",
    "Change",
    "Command",
    "Delta",
    "Engine",
    "EngineGone",
    "Environment",
    "ExecResult",
    "Execution",
    "Limits",
    "Refusal",
    "Sandbox",
    "SandboxError",
    "SandboxLost",
    "SandboxUnavailable",
    "Selection",
    "Setup",
    "SetupFailed",
    "Tree",
]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use. The sizes of the three tmpfs add up to less than the memory."""

    memory_bytes: int = 4096 * MIB
    cpus: float = 2.0
    pids: int = 512
    open_files: int = 4096
    file_bytes: int = 1024 * MIB
    work_bytes: int = 1536 * MIB
    tmp_bytes: int = 1024 * MIB
    build_bytes: int = 512 * MIB
    inodes: int = 200_000
    output_bytes: int = 4 * MIB
    """Kept of what a command prints: half from its beginning, half from its end."""
    changed_files: int = 2_000
    changed_bytes: int = 64 * MIB
    collected_bytes: int = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A shell script to be run at the root of the tree, with nothing on its standard input."""

    script: str
    timeout: float = 300.0
    """Seconds of wall clock, by the host's clock."""
    cwd: str = ""
    """Relative to the root of the tree."""
    env: Mapping[str, str] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    """Names of files that the command writes into the directory `$GREENWARD_OUT`, to be handed back."""
    hear: Callable[[bytes], None] | None = field(default=None, compare=False, repr=False)
    """Is told what the command prints, as it comes and cut anywhere; it must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What came of a command. A timeout is a result, with the output so far."""

    exit_code: int
    """As of a shell: 128 and the signal's number for a command that was killed; 124 if it timed out."""
    output: bytes
    """Standard output and standard error as they were interleaved."""
    seconds: float
    timed_out: bool = False
    truncated: bool = False
    """The middle of the output was cut."""
    out_of_memory: bool = False
    """The kernel killed processes of the command for want of memory."""
    outlived: bool = False
    """Processes outlived the command and were killed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The collected files that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A path that was not taken, and why, in a clause for people and models."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What a sandbox that holds one tree lacks of another."""

    deleted: tuple[str, ...]
    archive: Iterable[bytes]
    """An uncompressed tar of the files that were added or changed; read once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A path that a command may have changed, as the sandbox's own listing has it: hostile data."""

    path: str
    kind: Literal["file", "link", "other", "deleted"]
    size: int = 0
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candidates are to be brought back; ignored ones are in neither list."""

    wanted: tuple[Candidate, ...]
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A path as a command left it; `data` is None if it is gone, and the target if it is a link."""

    path: str
    data: bytes | None
    executable: bool = False
    link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """A tree with changes taken in, and the changes that were refused."""

    tree: "Tree"
    refused: tuple[Refusal, ...] = ()


class Tree(Protocol):
    """An immutable tree of files, of which a sandbox holds a copy. Paths are `str` by `os.fsdecode`."""

    @property
    def id(self) -> str:
        """Names the content: equal ids, equal files."""
        ...

    def paths(self) -> Collection[str]:
        """All files and links."""
        ...

    def since(self, held: str | None) -> Delta:
        """What a sandbox lacks that holds the tree with the id `held`, or nothing at all."""
        ...

    def select(self, candidates: Sequence[Candidate]) -> Selection:
        """Which changed paths to bring back: not what the repository ignores, and nothing against the path policy."""
        ...

    def absorb(self, changes: Sequence[Change]) -> Absorbed:
        """This tree with `changes` taken in, through the path policy."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What came of a command, the tree that it left, and what of its changes was not taken."""

    result: ExecResult
    tree: Tree
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How to make the environment that commands run in: a base image and what is installed on it, with a network."""

    image: str | None = None
    """The base image that the user named; None: the engine's own default."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files that `script` reads, by relative path: manifests and lock files of the base commit."""
    script: str = ""
    """Shell script that installs; it runs in a directory that holds `files`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where commands can run: an image, or a directory for an engine without images."""

    id: str
    """The image's digest, or what identifies the environment."""
    origin: str
    """How the base came to be: `present`, `pulled`, `imported`, `bootstrapped`, `local`."""
    cached: bool = False
    seconds: float = 0.0


class SandboxError(Exception):
    """Nothing came of a command, for no fault of the command's; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SandboxUnavailable(SandboxError):
    """There is no engine, no image, or it does not keep a limit that it was given."""


class SandboxLost(SandboxError):
    """The sandbox died under a command (killed from outside, connection cut), or what passed was damaged on its way.

    The same may work again.
    """


class EngineGone(SandboxLost):
    """The engine does not answer: it may be back in a moment."""


class SetupFailed(SandboxError):
    """The setup script failed; `log` holds the end of what it printed."""

    def __init__(self, message: str, *, hint: str = "", log: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log = log


class Sandbox(Protocol):
    """One run's place of execution: a warm working copy, and fresh ones for verdicts."""

    @property
    def isolated(self) -> bool:
        """Whether a verdict from here may be called a proof."""
        ...

    def expect(self, count: int) -> None:
        """Make the next `count` new places of execution ready ahead of their need, if that takes time. Never fails."""
        ...

    def execute(self, tree: Tree, command: Command) -> Execution:
        """Run `command` on `tree` in the warm working copy.

        Raises:
            SandboxError: nothing came of it.
        """
        ...

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        """Run `command` on `tree` as the main process of a new container that is removed afterwards.

        Raises:
            SandboxError: nothing came of it.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(Protocol):
    """Makes environments, and opens sandboxes in them."""

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        """Make the environment for `setup`, or find it in the cache; `say` hears of slow steps.

        Raises:
            SetupFailed: the script failed.
            SandboxUnavailable: there is no engine or no image.
        """
        ...

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:
        """A sandbox in `environment`, whose containers are labelled with `run_id`."""
        ...
