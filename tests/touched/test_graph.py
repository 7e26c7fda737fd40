"""Who uses whom, told from sources alone: nothing that matters is missed, and what is near comes first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.touched.facts import Facts, facts_of, facts_of_text
from agent.touched.graph import DIRECT, graph_of


def touched(files, changed, *, tests=None, **more):
    """How far each test is from the files `changed`; `tests` are the files that hold tests."""
    facts = {path: facts_of(text.encode()) for path, text in files.items() if path.endswith(".py")}
    facts |= {path: facts_of_text(files[path]) for path in tests or () if not path.endswith(".py")}
    tests = [path for path in facts if "test_" in path] if tests is None else tests
    found = graph_of(facts, tests, **more).distances([changed] if isinstance(changed, str) else changed)
    return {path: found[path] for path in tests if path in found}


def on(test, **files):
    """A project with the package `pkg`, whose module `leaf` is to matter for `test`, and another test."""
    named = {path.replace("__", "/", 1) + ".py": text for path, text in files.items()}
    return {
        "pkg/__init__.py": "", "pkg/leaf.py": "x = 1\n", "tests/test_it.py": test,
        "tests/test_other.py": "def test(): pass\n", **named,
    }  # fmt: skip


@pytest.mark.parametrize(
    "test",
    [
        "import pkg.leaf",
        "import pkg.leaf as short",
        "from pkg import leaf",
        "from pkg.leaf import x",
        "from pkg.leaf import *",
        "def test():\n    from pkg import leaf\n",
        "import importlib\nleaf = importlib.import_module('pkg.leaf')",
        "from importlib import import_module\nleaf = import_module('.leaf', 'pkg')\nimport pkg",
        "leaf = __import__('pkg.leaf')",
        "import pytest\nleaf = pytest.importorskip('pkg.leaf')",
        "from unittest.mock import patch\n@patch('pkg.leaf.x', 2)\ndef test(): pass\n",
        "def test(monkeypatch):\n    monkeypatch.setattr('pkg.leaf.x', 2)\n",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pkg.leaf'])",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'from pkg import leaf; leaf.x'])",
        "import subprocess\nsubprocess.run('python -m pkg.leaf --all', shell=True)",
        "import runpy\nrunpy.run_path('pkg/leaf.py')",
        "from pathlib import Path\ntext = (Path('pkg') / 'leaf.py').read_text()",
        "pytest_plugins = ['pkg.leaf']",
        "def test(pytester):\n    pytester.makepyfile('''\n        from pkg.leaf import x\n    ''')\n",
        "import importlib\nname = 'leaf'\nleaf = importlib.import_module(f'pkg.{name}')",
        "import importlib, os\nleaf = importlib.import_module(os.environ['NAME'])",
        "import pkgutil, pkg\nfor found in pkgutil.iter_modules(pkg.__path__): pass",
        "def test(: pass",
    ],
)
def test_a_test_is_touched_however_it_comes_by_a_module(test):
    assert "tests/test_it.py" in touched(on(test), "pkg/leaf.py")


def test_a_test_that_does_not_use_a_module_is_not_touched():
    assert touched(on("import pkg.leaf"), "pkg/leaf.py") == {"tests/test_it.py": DIRECT}


@pytest.mark.parametrize(
    ("test", "files"),
    [
        ("import pkg.middle", {"pkg__middle": "from . import leaf"}),
        ("import pkg.middle", {"pkg__middle": "from .leaf import x"}),
        ("from pkg.sub.deep import y", {"pkg__sub/__init__": "", "pkg__sub/deep": "from ..leaf import x as y"}),
        ("import pkg\npkg.x", {"pkg____init__": "from pkg.leaf import x"}),
        ("from pkg import x", {"pkg____init__": "try:\n    from .leaf import x\nexcept ImportError:\n    pass\n"}),
        ("from pkg.sub import deep", {"pkg__sub/__init__": "from .. import leaf", "pkg__sub/deep": ""}),
        ("import pkg.other", {"pkg____init__": "from . import leaf", "pkg__other": ""}),
        ("import pkg\npkg.mid.y", {"pkg____init__": "from . import mid", "pkg__mid": "from .leaf import x as y"}),
        ("from tests.helpers import make", {"tests__helpers": "from pkg.leaf import x as make"}),
        ("from helpers import make", {"tests__helpers": "from pkg.leaf import x as make"}),
        ("def test(made): pass", {"tests__conftest": "import pkg.leaf"}),
        ("def test(made): pass", {"conftest": "import pkg.leaf"}),
        ("from pkg import *", {"pkg____init__": "__all__ = ['leaf']"}),
        ("import subprocess\nsubprocess.run(['python', '-m', 'pkg'])", {"pkg____main__": "from pkg import leaf"}),
    ],
)  # fmt: skip
def test_a_test_is_touched_by_way_of_others(test, files):
    assert "tests/test_it.py" in touched(on(test, **files), "pkg/leaf.py")


def test_a_source_layout_and_namespaces_are_found_by_the_names_that_they_give():
    files = {"src/space/inner/leaf.py": "", "tests/unit/test_it.py": "from space.inner import leaf"}
    assert touched(files, "src/space/inner/leaf.py") == {"tests/unit/test_it.py": DIRECT}


def test_a_module_named_like_one_of_the_standard_library_is_not_taken_for_it():
    files = {"pkg/__init__.py": "", "pkg/json.py": "", "tests/test_it.py": "import json, pkg"}
    assert touched(files, "pkg/json.py") == {}
    assert "tests/test_it.py" in touched({**files, "json.py": ""}, "json.py"), "this one takes its place"


def test_a_module_that_is_gone_touches_those_who_import_it_still():
    assert touched(on("import pkg.leaf"), ["pkg/leaf.py", "pkg/new.py"]) == {"tests/test_it.py": DIRECT}


def test_what_the_test_runner_loads_touches_every_test():
    files = on("", pkg__plugin="import pkg.leaf")
    assert set(touched(files, "pkg/leaf.py", everywhere=["pkg.plugin"])) == {"tests/test_it.py", "tests/test_other.py"}


def test_a_command_of_the_project_stands_for_the_module_that_it_starts():
    files = on("import subprocess\nsubprocess.run(['the-tool', '--version'])")
    assert set(touched(files, "pkg/leaf.py", programs={"the-tool": "pkg.leaf"})) == {"tests/test_it.py"}


@pytest.mark.parametrize("text", ["open('data/cases.json')", "DATA = HERE / 'data'", "glob('*.json')", "load('cases')"])
def test_a_file_of_data_touches_those_who_name_it_or_where_it_is(text):
    files = on(f"def test():\n    {text}\n")
    assert set(touched(files, "tests/data/cases.json")) == {"tests/test_it.py"}


def test_a_document_with_doctests_is_a_test_of_what_it_imports():
    files = {**on(""), "README.rst": ">>> from pkg.leaf import x\n>>> x\n1\n"}
    assert "README.rst" in touched(files, "pkg/leaf.py", tests=["README.rst", "tests/test_it.py"])


def test_the_nearest_tests_come_first():
    files = {
        "pkg/__init__.py": "from .leaf import x\nfrom .other import y\n", "pkg/leaf.py": "x = 1", "pkg/other.py": "",
        "tests/conftest.py": "import pkg", "tests/test_leaf.py": "from pkg.leaf import x",
        "tests/test_x.py": "from pkg import x", "tests/test_y.py": "import pkg\npkg.y", "tests/test_z.py": "",
    }  # fmt: skip
    found = touched(files, "pkg/leaf.py")

    assert found["tests/test_leaf.py"] == found["tests/test_x.py"] == DIRECT
    assert found["tests/test_x.py"] < found["tests/test_y.py"] <= found["tests/test_z.py"]


def test_sources_that_nobody_could_mean_do_no_harm():
    for source in (b"\0", b"\xff\xfe", b"(" * 5_000, b"x = " + b"-" * 20_000 + b"1", b"a" + b".a" * 20_000):
        assert isinstance(facts_of(source), Facts)


STYLES = (
    "import pkg.m{0}",
    "from pkg import m{0}",
    "from pkg.m{0} import x{0}",
    "from . import m{0}",
    "from .m{0} import x{0} as y",
    "def late():\n    from pkg import m{0}\n",
    "try:\n    import pkg.m{0} as z\nexcept ImportError:\n    pass\n",
    "import importlib\nimportlib.import_module('pkg.m{0}')",
    "__import__('pkg.m{0}')",
)
Layers = st.integers(1, 7).flatmap(
    lambda count: st.tuples(
        *(
            st.lists(st.tuples(st.integers(0, number - 1), st.sampled_from(STYLES)), max_size=3)
            if number
            else st.just([])
            for number in range(count)
        )
    )
)


@settings(max_examples=150, deadline=None)
@given(layers=Layers, exported=st.booleans(), choice=st.randoms(use_true_random=False))
def test_what_reaches_a_module_through_imports_of_any_style_is_touched_by_it(layers, exported, choice):
    names = [f"pkg/m{number}.py" for number in range(len(layers))]
    files = {
        name: "\n".join(style.format(target) for target, style in uses) + f"\nx{number} = {number}\n"
        for number, (name, uses) in enumerate(zip(names, layers, strict=True))
    }
    files["pkg/__init__.py"] = "".join(f"from .m{n} import x{n}\n" for n in range(len(layers))) if exported else ""
    used = choice.randrange(len(layers))
    absolute = [style for style in STYLES if not style.startswith("from .")]
    files["tests/test_it.py"] = f"from pkg import x{used}" if exported else choice.choice(absolute).format(used)

    reached, waiting = set(), [used]
    while waiting:
        number = waiting.pop()
        if number not in reached:
            reached.add(number)
            waiting += [target for target, _ in layers[number]]
    for number in reached:
        assert touched(files, names[number]), (files, number)
    if not exported:
        for number in set(range(len(layers))) - reached:
            assert not touched(files, names[number]), (files, number)
