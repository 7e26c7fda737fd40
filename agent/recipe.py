"""How a project is set up, built and tested: a pure function of its manifest files."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from agent.build import backend_of, build_requirements, build_script, is_package
from agent.locks import LOCKS, constraints
from agent.manifests import Declaration, Project, declaration
from agent.projecttable import SUSPICIONS, read_table
from agent.requirements import Needs, name_of, parse_file, parse_lines, settled
from agent.testcommand import addopts, test_command, tox_lists
from sandbox import Setup

__all__ = ["Recipe", "Settings", "read_settings", "recipe_for"]

TESTING = ("test", "tests", "testing", "pytest", "unittest", "unit-tests", "test-requirements")
DEVELOPING = ("dev", "develop", "development")
TEST_FILES = r"(?:requirements[-_./])?(?:tests?|testing)[-_./]?(?:requirements)?\.(?:txt|in)"
DEV_FILES = r"(?:requirements[-_./])?(?:dev|develop|development)[-_./]?(?:requirements)?\.(?:txt|in)"
PLUGINS = (
    (r"--cov\b|--cov[-=]", "pytest-cov"),
    (r"(?:^|\s)(?:-n[ =]?(?:\d|auto|logical)|--numprocesses|--dist\b)", "pytest-xdist"),
    (r"(?m)--timeout\b|^timeout\s*=", "pytest-timeout"),
    (r"(?m)^asyncio_(?:mode|default_fixture_loop_scope)\s*=|--asyncio-mode", "pytest-asyncio"),
    (r"(?m)^(?:DJANGO_SETTINGS_MODULE|django_find_project)\s*=|--ds=", "pytest-django"),
    (r"(?m)--benchmark-", "pytest-benchmark"),
    (r"(?m)^env\s*=", "pytest-env"),
    (r"(?m)^mock_use_standalone_module\s*=", "pytest-mock"),
    (r"(?m)--randomly-", "pytest-randomly"),
)
"""What pytest's configuration or the test command mentions, and the plugin that it takes."""
MANIFESTS = (
    r"[^/]*requirements[^/]*\.(?:txt|in|lock)|requirements/[^/]*\.(?:txt|in)|environment\.ya?ml"
    r"|pyproject\.toml|setup\.cfg|tox\.ini|Pipfile|package(?:-lock)?\.json|[^/]*\.lock|pylock\.toml"
    r"|go\.(?:mod|sum)|Cargo\.toml"
)
DEFAULT_PYTHON = "3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user's command line or the repository's own table say about set-up, build and test."""

    setup: str | None = None
    build: str | None = None
    test: str | None = None
    image: str | None = None
    """Never taken from the repository."""
    sealed: tuple[str, ...] = ()
    """Globs of paths that are sealed beside the tests that are found."""
    suspicions: Mapping[str, str] = field(default_factory=dict)
    """What suspicions of some kinds lead to, where it is not the default; taken from the repository alone."""

    def over(self, other: "Settings") -> "Settings":
        """These settings, and those of `other` where these say nothing."""
        return Settings(
            setup=other.setup if self.setup is None else self.setup,
            build=other.build if self.build is None else self.build,
            test=other.test if self.test is None else self.test,
            image=other.image if self.image is None else self.image,
            sealed=tuple(dict.fromkeys(self.sealed + other.sealed)),
            suspicions={**other.suspicions, **self.suspicions},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a project is set up (with a network, cached), built (offline, for each tree) and tested."""

    setup: Setup
    build: str = ""
    """Shell, run at the project's root before the tests; quick when nothing changed that it depends on. Its result goes
    into `$GREENWARD_BUILD` (`/build` if that is not set). Empty if the project is no package."""
    test: str
    settings: Settings = field(default_factory=Settings)
    """What the repository's base and the user say; it goes along when the recipe is made anew for an edited tree."""
    notes: tuple[str, ...] = ()
    """What was left out, guessed or ignored, in sentences for people."""

    @property
    def key(self) -> str:
        """Names the setup: recipes with equal keys can share an environment."""
        digest = hashlib.sha256()
        parts = [(self.setup.image or "").encode(), self.setup.script.encode()]
        for name, data in sorted(self.setup.files.items()):
            parts += [name.encode(), data]
        for part in parts:
            digest.update(b"%d:" % len(part) + part)
        return digest.hexdigest()

    def script(self, command: str | None = None) -> str:
        """Shell that builds and then runs `command`, or the tests; a build that fails ends it with its exit code."""
        return f"{self.build} || exit\n{command or self.test}" if self.build else command or self.test

    def for_tree(
        self,
        project: Project,
        *,
        extra: Sequence[str] = (),
        version: str | None = None,
        metadata: Declaration | None = None,
    ) -> "Recipe":
        """The recipe of an edited tree: its own requirements and build, but set up and tested as the base says."""
        fixed = replace(self.settings, test=self.test)
        edited = recipe_for(project, settings=fixed, extra=extra, version=version, metadata=metadata)
        return replace(edited, settings=self.settings)


def read_settings(project: Project) -> Settings:
    """What the base of a run says of itself; see `agent.projecttable`.

    Raises:
        UsageProblem: it says what a repository may not say, or cannot be read.
    """
    table = read_table(project)
    stated = {name: each.value for name, each in table.items() if not name.startswith(SUSPICIONS)}
    suspicions = {name.removeprefix(SUSPICIONS): table[name].value for name in table.keys() - stated.keys()}
    return Settings(**stated, suspicions=suspicions)


def recipe_for(
    project: Project,
    *,
    settings: Settings | None = None,
    extra: Sequence[str] = (),
    version: str | None = None,
    metadata: Declaration | None = None,
) -> Recipe:
    """The recipe for `project`.

    `extra` are requirements of PEP 508 that the plan adds, `version` is the version of the nearest tag, and `metadata`
    what the project's own code declared when it was run offline (`agent.metadata`), where no reading tells.
    """
    settings = settings or Settings()
    test = settings.test or test_command(project)
    package = is_package(project)
    declared = declaration(project)
    needs = _gathered(project, declared, metadata) + _planned(extra)
    needs += Needs(build=build_requirements(project)) if package else Needs()
    needs += _runner(project, needs, test)
    build = settings.build
    if build is None:
        build = build_script(version or _stated_version(project), backend_of(project)) if package else ""
    files = _files(needs, canonicalize_name(declared.name) if package else "")
    script = "sh .greenward/install.sh"
    if settings.setup is not None:
        script = settings.setup
        files |= _manifests(project)
    notes = (*needs.notes, *_python_note(project, settings))
    setup = Setup(image=settings.image, files=files, script=script)
    return Recipe(setup=setup, build=build, test=test, settings=settings, notes=tuple(dict.fromkeys(notes)))


def _gathered(project: Project, declared: Declaration, metadata: Declaration | None) -> Needs:
    """What is needed to run the project and its tests."""
    if metadata is not None:
        declared += metadata
    notes: tuple[str, ...] = ()
    if declared.dynamic and metadata is None:
        notes = ("some dependencies are only known to the project's own code, and are not installed",)
    needs = declared.needs + parse_file(project.at("requirements.txt"), project.read)
    needs += _for_tests(project, declared)
    needs += Needs(constraints=_locked(project), notes=notes)
    return settled(needs, declared.name, {name: extra.requirements for name, extra in declared.extras.items()})


def _for_tests(project: Project, declared: Declaration) -> Needs:
    """The extras, groups and files that are named for testing; those for development where there are none."""
    tox = tox_lists(project)
    named_by_tox = {name for key in ("extras", "dependency_groups") for name in tox.get(key, [])}
    groups = [*declared.extras.items(), *declared.groups.items()]
    for names, pattern in ((TESTING, TEST_FILES), (DEVELOPING, DEV_FILES)):
        found = [needs for name, needs in groups if name_of(name) in names or name in named_by_tox]
        found += [parse_file(project.at(path), project.read) for path in _requirement_files(project, pattern)]
        if names is TESTING:
            found.append(parse_lines(tox.get("deps", []), where=project.at("tox.ini"), read=project.read))
        if any(needs.requirements or needs.locked for needs in found):
            return sum(found, Needs())
    return Needs()


def _requirement_files(project: Project, pattern: str) -> list[str]:
    files = [path for path in project.files() if path.count("/") <= 1 and path.endswith((".txt", ".in"))]
    return [
        path
        for path in files
        if (re.fullmatch(pattern, path) or (re.fullmatch(r"tests?/requirements\.txt", path) and pattern == TEST_FILES))
        and "require" in path
        and not (path.endswith(".in") and path.removesuffix(".in") + ".txt" in files)
    ]


def _locked(project: Project) -> tuple[str, ...]:
    name = next((name for name in LOCKS if project.has(name)), None)
    return constraints(name, project.read(project.at(name)) or b"") if name else ()


def _planned(extra: Sequence[str]) -> Needs:
    good, notes = [], []
    for line in extra:
        try:
            good.append(str(Requirement(line)))
        except InvalidRequirement:
            notes.append(f"`{line}` is no requirement that can be installed, and is left out")
    return Needs(requirements=tuple(good), notes=tuple(notes))


def _runner(project: Project, needs: Needs, test: str) -> Needs:
    """Pytest and the plugins that its configuration takes, where the project does not declare them."""
    if "pytest" not in test and "pytest" in needs.names():
        return Needs()
    said = f"{addopts(project)}\n{test}"
    wanted = ["pytest", *(plugin for pattern, plugin in PLUGINS if re.search(pattern, said))]
    return Needs(requirements=tuple(name for name in wanted if name not in needs.names()))


def _files(needs: Needs, own_name: str) -> dict[str, bytes]:
    """The lists of what is to be installed, and the script that does it.

    The project itself goes again, should a dependency have brought a release of it: what is tested is the tree.
    """
    pinned = [line for line in needs.constraints if not line.startswith("-") and "@" not in line and "[" not in line]
    lists = {"build.txt": needs.build, "constraints.txt": pinned, "requirements.txt": needs.requirements}
    files = {f".greenward/{name}": "".join(f"{line}\n" for line in lines).encode() for name, lines in lists.items()}
    calls = ['python -m pip install -r "$here/build.txt"'] if needs.build else []
    for number, text in enumerate(needs.locked, start=1):
        files[f".greenward/locked-{number}.txt"] = text.encode()
        calls.append(f'python -m pip install -r "$here/locked-{number}.txt"')
    calls.append('python -m pip install -c "$here/constraints.txt" -r "$here/requirements.txt"')
    if re.fullmatch(r"[a-z0-9-]+", own_name) and own_name != "pip":
        calls.append(f"python -m pip uninstall -y {own_name}")
    lines = ["set -e", 'here=$(dirname "$0")', *calls]
    files[".greenward/install.sh"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def _manifests(project: Project) -> dict[str, bytes]:
    """The files that a setup command of the user's may read: data, none of it code."""
    names = [path for path in project.files() if re.fullmatch(MANIFESTS, path)]
    return {name: data for name in names if (data := project.read(project.at(name))) is not None}


def _stated_version(project: Project) -> str:
    """The version in the `PKG-INFO` of a source distribution; `0.0.0` if there is none."""
    found = re.search(r"^Version: (\S+)$", project.text("PKG-INFO"), re.MULTILINE)
    return found[1] if found else "0.0.0"


def _python_note(project: Project, settings: Settings) -> tuple[str, ...]:
    table = project.toml("pyproject.toml").get("project", {})
    wanted = table.get("requires-python") if isinstance(table, dict) else None
    try:
        fits = not isinstance(wanted, str) or settings.image or SpecifierSet(wanted).contains(f"{DEFAULT_PYTHON}.99")
    except InvalidSpecifier:
        return ()
    return (
        () if fits else (f"the project wants Python {wanted}, the default image has {DEFAULT_PYTHON}: see `--image`",)
    )
