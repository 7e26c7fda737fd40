"""Small disks to be filled: real file systems in memory, for which it takes root."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["FILLER", "MOUNT", "fill", "mounted"]

FILLER = "filler"
MOUNT = "mount"


@contextmanager
def mounted(directory: Path, *, size: str = "4m") -> Iterator[Path]:
    """A disk of its own in the place of `directory`, with what was in it; a test that cannot have one is skipped."""
    kept = directory.with_name(f"{directory.name}.kept")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copytree(directory, kept, symlinks=True)
    made = subprocess.run(
        [MOUNT, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        shutil.copytree(kept, directory, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(kept)
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Leave no room on the disk of `directory`; returns the file that takes it up."""
    filler = directory / FILLER
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler
