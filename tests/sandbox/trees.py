"""A tree in memory: what the sandbox needs of one, with a policy simple enough to reason about in tests."""

import fnmatch
import hashlib
import io
import tarfile
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from sandbox import Absorbed, Candidate, Change, Delta, Refusal, Selection

BAD_CHARACTERS = set(map(chr, range(32))) | {"\x7f"}


class DictTree:
    """Files by path. Links are only taken where the tree has one already; `ignored` are patterns."""

    _made: ClassVar[dict[str, "DictTree"]] = {}

    def __init__(self, files: Iterable[Change], ignored: Sequence[str] = ()) -> None:
        self.files = {change.path: change for change in files}
        self.ignored = tuple(ignored)
        self.deltas: list[str | None] = []
        self.id = hashlib.sha256(
            repr((sorted(self.files.items()), self.ignored)).encode("utf-8", "replace")
        ).hexdigest()
        self._made[self.id] = self

    def paths(self) -> Collection[str]:
        return self.files.keys()

    def since(self, held: str | None) -> Delta:
        self.deltas.append(held)
        before = {} if held is None else self._made[held].files
        gone = tuple(path for path in before if path not in self.files)
        return Delta(deleted=gone, archive=_tar(each for each in self.files.values() if before.get(each.path) != each))

    def select(self, candidates: Sequence[Candidate]) -> Selection:
        wanted, refused = [], []
        for each in candidates:
            if any(fnmatch.fnmatch(each.path, pattern) for pattern in self.ignored):
                continue
            reason = self._objection(each.path, each.kind == "link")
            if each.kind == "other":
                reason = "not a file"
            if reason:
                refused.append(Refusal(path=each.path, reason=reason))
            elif each.kind != "deleted" or each.path in self.files:
                wanted.append(each)
        return Selection(wanted=tuple(wanted), refused=tuple(refused))

    def absorb(self, changes: Sequence[Change]) -> Absorbed:
        files, refused = dict(self.files), []
        for change in changes:
            if change.path in self.files and b"REFUSE" in (change.data or b""):
                refused.append(Refusal(path=change.path, reason="refused by content"))
            elif change.data is None:
                files.pop(change.path, None)
            else:
                files[change.path] = change
        return Absorbed(tree=DictTree(files.values(), self.ignored), refused=tuple(refused))

    def _objection(self, path: str, link: bool) -> str:
        if path.startswith("/") or any(part in ("", "..", ".git") for part in path.split("/")):
            return "not a path in the tree"
        if BAD_CHARACTERS & set(path) or len(path) > 4096:
            return "not a name for a file"
        known = self.files.get(path)
        return "a new link" if link and not (known and known.link) else ""


def _tar(changes: Iterable[Change]) -> Iterable[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for change in changes:
            member = tarfile.TarInfo(change.path)
            member.mode = 0o755 if change.executable else 0o644
            data = change.data or b""
            if change.link:
                member.type, member.linkname = tarfile.SYMTYPE, data.decode("utf-8", "surrogateescape")
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    yield buffer.getvalue()
