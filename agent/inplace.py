"""Installs the project in the working directory in place: what `pip install --no-deps --prefix PREFIX -e .` does.

    python inplace.py PREFIX BACKEND

This runs in a container, in the project's own environment, as one process in the place of pip's four. It imports
nothing of ours and writes what pip writes; where a wheel holds anything out of the ordinary it fails, and pip does it.
"""

import configparser
import importlib
import json
import os
import re
import sys
import zipfile
from pathlib import Path

SCRIPT = """\
#!{python}
# -*- coding: utf-8 -*-
import re
import sys
from {module} import {first}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({call}())
"""


def main(prefix: Path, backend: str) -> None:
    """Build an editable wheel and unpack it below `prefix`."""
    del sys.path[0]  # this file's directory; the project's own is for the backend to add
    module, _, attributes = backend.partition(":")
    hooks = importlib.import_module(module)
    for name in filter(None, attributes.split(".")):
        hooks = getattr(hooks, name)
    wheels = prefix / "egg" / "wheel"
    wheels.mkdir()
    wheel = wheels / hooks.build_editable(str(wheels))
    site = prefix / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    site.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if any(".data/" in name for name in names):
            raise NotImplementedError("the wheel holds scripts, headers or data")
        archive.extractall(site)
        for each in archive.infolist():
            if each.external_attr >> 16 & 0o111 and not each.is_dir():
                (site / each.filename).chmod(0o755)
    (info,) = site.glob("*.dist-info")
    written = [*scripts(info, prefix / "bin"), *notes(info)]
    with (info / "RECORD").open("a", encoding="utf-8") as record:
        record.writelines(f"{os.path.relpath(path, site)},,\n" for path in written)
    (prefix / "egg" / "installed").touch()  # an exit code is easily come by: a `setup.py` may end the process


def scripts(info: Path, directory: Path) -> "list[Path]":
    """Write the commands that the entry points name."""
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read(info / "entry_points.txt", encoding="utf-8")
    written = []
    for section in ("console_scripts", "gui_scripts"):
        for name, value in points.items(section) if points.has_section(section) else ():
            module, call = re.fullmatch(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?", value.strip()).groups()  # type: ignore[union-attr]
            text = SCRIPT.format(python=sys.executable, module=module, first=call.partition(".")[0], call=call)
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
            written.append(path)
    return written


def notes(info: Path) -> "list[Path]":
    """Write who installed it, from where, and that it was asked for."""
    origin = {"dir_info": {"editable": True}, "url": Path.cwd().as_uri()}
    texts = {"INSTALLER": "pip\n", "REQUESTED": "", "direct_url.json": json.dumps(origin, sort_keys=True)}
    for name, text in texts.items():
        (info / name).write_text(text, encoding="utf-8")
    return [info / name for name in texts]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
