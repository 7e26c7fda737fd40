"""Git through GitPython: plumbing alone, in an environment that neither the host nor the repository can reach into.

No hook, filter, pager, prompt, signature or file-system monitor runs, whatever the user's or the repository's
configuration says; the one exception is `by_user`, the user's own commands on the user's own behalf.
"""

import hashlib
import itertools
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.durable import Moment, Passing, storing, unnoticed
from agent.errors import DamagedRun, UsageProblem
from agent.gitfailed import failure, quoted, refused
from sandbox.scratch import make_directory

__all__ = ["FLAGS", "SHA256_DIGITS", "VARIABLES", "Git"]

FLAGS: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "committed,derived-metadata,reference",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.untrackedCache": "false",
    "core.attributesFile": "/dev/null",
    "core.quotePath": "false",
    "safe.bareRepository": "explicit",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "i18n.commitEncoding": "UTF-8",
    "submodule.recurse": "false",
    "color.ui": "false",
    "grep.column": "false",
    "grep.fullName": "false",
    "core.splitIndex": "false",
    "advice.graftFileDeprecated": "false",
}
"""Configuration that stands above the repository's own, in every call."""

VARIABLES: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "/bin/false",
    "GIT_EDITOR": "/bin/false",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}
"""The whole environment of every call, but for the search path and what says which repository is meant."""

_FALLBACK_PATH = "/usr/local/bin:/usr/bin:/bin"
_TIMEOUT = 120.0
SHA256_DIGITS = 64
"""Of an id in a repository whose objects are named by SHA-256, which a bundle can say since its third version."""
_ELSEWHERE = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
    }
)
_KEPT_VARIABLES = ("PATH", "HOME", "XDG_CONFIG_HOME")


class Git:
    """Runs git's plumbing on one repository, from outside of it.

    `environment` is the user's; of it only the search path is passed on, and what locates the user's own settings.
    `passing` is told of what leaves something in the repository.
    """

    def __init__(self, git_dir: Path, *, environment: Mapping[str, str], passing: Passing = unnoticed) -> None:
        self.git_dir = git_dir
        self.passing = passing
        self._environment = {name: environment[name] for name in _KEPT_VARIABLES if environment.get(name)}
        self._scratch = make_directory()
        (self._scratch / "cwd").mkdir()
        self._places = (git_dir, git_dir / "objects", git_dir / "refs", self._scratch)
        self._program = _program(self._scratch / "cwd")
        self._numbers = itertools.count()
        self._reader: Any = None
        self._writer: Any = None
        self._place: tuple[int, int] | None = None
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    def close(self) -> None:
        """End what is kept running and remove the scratch directory; the object cannot be used afterwards."""
        self._end_reader()
        self._end_writer()
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def scratch(self, name: str) -> Path:
        """A path in the scratch directory that nothing has used yet."""
        return self._scratch / f"{name}-{next(self._numbers)}"

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: Path | None = None,
        work_tree: Path | None = None,
        variables: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
        alarm: str = "",
        timeout: float = _TIMEOUT,
    ) -> bytes:
        """What `git <arguments>` prints; `settings` are configuration values that stand above `FLAGS`.

        Raises:
            GitFailed: its exit status is not one of `ok`, it took longer than `timeout` seconds, or it said
                `alarm`, which means failure whatever the status.
            StorageProblem: it could not write, as a disk is full or not writable.
            UsageProblem: there is no git.
        """
        environment = self._variables(index, work_tree) | dict(variables or {})
        self._check_place()
        status, output, errors = self._execute(self._command(arguments, environment, settings), stdin, timeout)
        if status in ok and not (alarm and alarm in errors):
            return output
        raise failure(arguments, status, errors, places=self._places)

    def text(self, *arguments: str, **options: Any) -> str:
        """What `run` returns, as text without the last line break."""
        return self.run(*arguments, **options).decode("utf-8", "surrogateescape").removesuffix("\n")

    def by_user(self, work_tree: Path, environment: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> bytes:
        """Run `git <arguments>` as the user would: their configuration, identity, hooks and signing, in `work_tree`.

        Raises:
            GitFailed: it failed.
        """
        variables = {name: value for name, value in environment.items() if name not in _ELSEWHERE}
        command = ["env", "-i", *_pairs(variables), "git", *arguments]
        self.passing(Moment.BY_USER_BEGUN)
        status, output, errors = self._execute(command, stdin, 3600.0, cwd=work_tree)
        self.passing(Moment.BY_USER_DONE)
        if status == 0:
            return output
        raise refused(arguments, status, errors + "\n" + quoted(output.decode(errors="replace")))

    def user_settings(self) -> dict[str, str]:
        """The user's and the repository's configuration as it is in force, with keys in lower case; nothing is run."""
        variables = self._variables(None, None) | {k: v for k, v in self._environment.items() if k != "PATH"}
        for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
            variables.pop(name)
        command = ["env", "-i", *_pairs(variables), "git", "config", "--list", "--null", "--includes"]
        status, output, errors = self._execute(command, b"", _TIMEOUT)
        if status:
            raise refused(("config", "--list"), status, errors)
        entries = (entry.partition("\n") for entry in output.decode("utf-8", "surrogateescape").split("\0") if entry)
        return {key: value if separator else "true" for key, separator, value in entries}

    def user_file(self, configured: str | None, name: str) -> Path:
        """The file that the user configured, or git's default place for it; `/dev/null` if there is no home."""
        home = self._environment.get("HOME")
        if configured is not None:
            relative = configured.removeprefix("~/")
            return Path(home, relative) if home and relative != configured else Path(configured)
        if "XDG_CONFIG_HOME" in self._environment:
            return Path(self._environment["XDG_CONFIG_HOME"], "git", name)
        return Path(home, ".config", "git", name) if home else Path("/dev/null")

    def object(self, oid: str) -> tuple[str, bytes]:
        """The type and the content of the object `oid`, through one process that is kept.

        Raises:
            DamagedRun: there is no such object, or it cannot be read.
        """
        try:
            header = self._ask(oid)
            fields = header.split()
            if len(fields) != 3:
                raise DamagedRun(
                    f"git has no object {quoted(oid)}",
                    hint="run `git fsck`: the repository is damaged, or objects were pruned",
                )
            data: bytes = self._reader.stdout.read(int(fields[2]) + 1)[:-1]
        except OSError:
            data, fields = b"", [b"", b"", b"-1"]
        if len(data) != int(fields[2]):
            self._end_reader()
            raise DamagedRun(f"git cannot read the object {quoted(oid)}", hint="run `git fsck`")
        return fields[1].decode(), data

    def is_whole(self, oid: str) -> bool:
        """Whether the object `oid` holds what its id says, byte for byte; git itself does not look when it reads one.

        Raises:
            DamagedRun: there is no such object, or it cannot be read.
        """
        kind, data = self.object(oid)
        algorithm = "sha256" if len(oid) == SHA256_DIGITS else "sha1"
        return (
            hashlib.new(algorithm, b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()
            == oid
        )

    def find(self, name: str) -> str | None:
        """The id of the object that `name` means (`HEAD`, `HEAD^{tree}`, a ref), by the process that is kept.

        None if it means none, if there is no such object, or if this way cannot tell.
        """
        if not name.isprintable():
            return None
        try:
            fields = self._ask(name).split()
            if len(fields) != 3 or not fields[2].isdigit():
                return None
            self._reader.stdout.read(int(fields[2]) + 1)
        except OSError:
            self._end_reader()
            return None
        return str(fields[0].decode())

    def write_blobs(self, contents: Iterable[bytes]) -> list[str]:
        """Write `contents` as blobs, byte for byte, through one process that is kept, and return their ids.

        Raises:
            GitFailed, StorageProblem: one of them could not be written.
        """
        source = self.scratch("blob")
        oids = []
        for data in contents:
            self.passing(Moment.BLOB_BEGUN)
            with storing(source):
                source.write_bytes(data)
            oids.append(self._written(source))
            self.passing(Moment.BLOB_WRITTEN)
        source.unlink(missing_ok=True)
        return oids

    def blob_id(self, data: bytes, *, algorithm: str) -> str:
        """The id that git would give to a blob with the content `data`."""
        return hashlib.new(algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def _check_place(self) -> None:
        """The git directory is the one that was there at the start, not a file or a link that leads elsewhere."""
        try:
            found = os.lstat(self.git_dir)
        except FileNotFoundError:
            found = None
        place = None if found is None or not stat.S_ISDIR(found.st_mode) else (found.st_dev, found.st_ino)
        if self._place is None and (place is not None or found is None):
            self._place = place
        elif place != self._place or place is None:
            raise DamagedRun(f"{self.git_dir} was replaced", hint="begin again, once nothing else changes it")

    def _ask(self, oid: str) -> bytes:
        if self._reader is None:
            self._reader = self._kept("cat-file", "--batch")
        self._reader.stdin.write(oid.encode() + b"\n")
        self._reader.stdin.flush()
        line: bytes = self._reader.stdout.readline()
        return line

    def _written(self, source: Path) -> str:
        """The id of the blob that the file's content was written as."""
        self._check_place()
        command = ("hash-object", "-w", "--no-filters", "--stdin-paths")
        if self._writer is None:
            self._writer = self._kept(*command)
        with suppress(OSError):
            self._writer.stdin.write(os.fsencode(source) + b"\n")
            self._writer.stdin.flush()
            line: bytes = self._writer.stdout.readline()
            if line.endswith(b"\n"):
                return line[:-1].decode()
        errors = self._writer.stderr.read().decode(errors="replace")
        raise failure(command, self._end_writer(), errors, places=self._places)

    def _kept(self, *arguments: str) -> Any:
        """A process of git's that answers line by line, until its input ends."""
        command = self._command(arguments, self._variables(None, None))
        return self._program.execute(command, istream=-1, as_process=True, start_new_session=True)

    def _end_reader(self) -> None:
        reader, self._reader = self._reader, None
        _end(reader)

    def _end_writer(self) -> int:
        writer, self._writer = self._writer, None
        return _end(writer)

    def _variables(self, index: Path | None, work_tree: Path | None) -> dict[str, str]:
        cwd = self._scratch / "cwd"
        return {
            **VARIABLES,
            "PATH": self._environment.get("PATH", _FALLBACK_PATH),
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(work_tree or cwd),
            "GIT_INDEX_FILE": str(index or self._scratch / "no-index"),
            "GIT_CEILING_DIRECTORIES": str(self._scratch.parent),
        }

    def _command(
        self, arguments: Sequence[str], variables: Mapping[str, str], settings: Mapping[str, str] | None = None
    ) -> list[str]:
        flags = [part for name, value in {**FLAGS, **(settings or {})}.items() for part in ("-c", f"{name}={value}")]
        return ["env", "-i", *_pairs(variables), "git", "--no-pager", *flags, *arguments]

    def _execute(
        self, command: list[str], stdin: bytes, timeout: float, *, cwd: Path | None = None
    ) -> tuple[int, bytes, str]:
        program = self._program if cwd is None else _program(cwd)
        with tempfile.TemporaryFile() as source:
            with storing(self._scratch):
                source.write(stdin)
                source.seek(0)
            status, output, errors = program.execute(
                command,
                istream=source,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=timeout,
                start_new_session=cwd is None,
            )
        return status, output, errors if isinstance(errors, str) else errors.decode(errors="replace")


def _program(cwd: Path) -> Any:
    """GitPython's runner. It hands the host's environment on, so every command is started by `env -i`."""
    try:
        from git.cmd import Git as Program  # noqa: PLC0415 - slow to import, and it fails where git is missing
    except ImportError as error:
        raise UsageProblem("git is not installed", hint="install git 2.38 or newer") from error
    return Program(str(cwd))


def _end(process: Any) -> int:
    """End a process that is kept, if there is one, and return its exit status."""
    if process is None:
        return 0
    with suppress(OSError):
        process.stdin.close()
    status = int(process.proc.wait())
    process.stdout.close()
    process.stderr.close()
    return status


def _pairs(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]
