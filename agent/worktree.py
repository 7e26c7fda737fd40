"""The user's files: looked at without following links, and written one by one, each whole or not at all."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.durable import Moment, Passing, unnoticed

__all__ = ["Seen", "WorkTree"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A regular file or a link, as it was found."""

    mode: str
    data: bytes


class WorkTree:
    """The directory tree at `root`; every path is taken relative to it, one component at a time.

    `passing` is told of what is written.
    """

    def __init__(self, root: Path, *, passing: Passing = unnoticed) -> None:
        self.root = root
        self._passing = passing
        self._real: dict[str, bool] = {"": True}

    def stat(self, path: str) -> os.stat_result | None:
        """What is at `path` itself; None if there is nothing, or if a link leads there."""
        if not self._is_real(path.rpartition("/")[0]):
            return None
        try:
            return os.lstat(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def obstacle(self, path: str) -> str | None:
        """The first directory above `path` that is there and is something else, such as a link or a file."""
        parts = path.split("/")
        for length in range(1, len(parts)):
            parent = "/".join(parts[:length])
            found = self.stat(parent)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                return parent
        return None

    def read(self, path: str, *, limit: int) -> Seen | None:
        """The file or link at `path`; None if it is neither, or larger than `limit` bytes.

        Raises:
            OSError: it is not there, cannot be read, or a link leads there.
        """
        with self._parent(path) as (directory, name):
            found = os.lstat(name, dir_fd=directory)
            if stat.S_ISLNK(found.st_mode):
                return Seen(mode="120000", data=os.fsencode(os.readlink(name, dir_fd=directory)))
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                return None
            with os.fdopen(os.open(name, _FILE, dir_fd=directory), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                data = file.read(limit + 1)
        mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
        return Seen(mode=mode, data=data) if len(data) <= limit else None

    def write(self, path: str, data: bytes, *, executable: bool) -> None:
        """Put a file at `path`, durable before it is visible; an existing one keeps its permissions but for execution.

        Raises:
            OSError: it cannot be written, or a link leads there.
        """
        self._passing(Moment.CHECKOUT_BEGUN)
        with self._parent(path, make=True) as (directory, name):
            bits = _permissions(name, directory, executable=executable)
            draft = _draft(name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            _unlink(draft, directory)
            try:
                with os.fdopen(os.open(draft, flags, 0o600, dir_fd=directory), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fchmod(file.fileno(), bits)
                    os.fsync(file.fileno())
                self._passing(Moment.CHECKOUT_DRAFTED)
                os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    _unlink(draft, directory)
                raise
            self._passing(Moment.CHECKOUT_RENAMED)
            os.fsync(directory)

    def remove(self, path: str) -> None:
        """Remove the file at `path`, if there is one, and the directories that are empty without it.

        Raises:
            OSError: it cannot be removed, or a link leads there.
        """
        try:
            with self._parent(path) as (directory, name):
                _unlink(_draft(name), directory)
                _unlink(name, directory)
                os.fsync(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        parent = path.rpartition("/")[0]
        with suppress(OSError):
            while parent:
                self._at(parent).rmdir()
                parent = parent.rpartition("/")[0]
        self._passing(Moment.CHECKOUT_REMOVED)

    @staticmethod
    def draft(path: str) -> str:
        """Where the file at `path` is written before it is put there; a killed process may leave it."""
        directory, separator, name = path.rpartition("/")
        return f"{directory}{separator}{_draft(name)}"

    def _at(self, path: str) -> Path:
        return self.root / path

    def _is_real(self, directory: str) -> bool:
        if directory not in self._real:
            try:
                itself = stat.S_ISDIR(os.lstat(self._at(directory)).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                itself = False
            self._real[directory] = itself and self._is_real(directory.rpartition("/")[0])
        return self._real[directory]

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        *parts, name = path.split("/")
        directory = os.open(self.root, _DIRECTORY)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=directory)
                inner = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = inner
            yield directory, name
        finally:
            os.close(directory)


def _draft(name: str) -> str:
    return f".greenward-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def _unlink(name: str, directory: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _permissions(name: str, directory: int, *, executable: bool) -> int:
    try:
        bits = stat.S_IMODE(os.lstat(name, dir_fd=directory).st_mode) & ~0o111
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        bits = 0o666 & ~mask
    return bits | ((bits & 0o444) >> 2) if executable else bits
