"""Faults planted in small projects, each run for real: whatever test fails by one is among those that it touches."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from agent.junit import parse
from agent.nearness import Nearness
from agent.touched.suite import Suite
from agent.workspace import Workspace
from tests.gitrepo import AT, repository

FLAT = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "shop/__init__.py": "from .cart import total\nfrom .rates import RATE as rate\n",
    "shop/rates.py": "RATE = 2\n",
    "shop/cart.py": "from shop import money\n\n\ndef total(*items):\n    return money.add(items)\n",
    "shop/money.py": "def add(items):\n    return sum(items)\n\n\ndef text(amount):\n    return f'{amount} EUR'\n",
    "shop/plugins/__init__.py": "",
    "shop/plugins/gift.py": "NAME = 'gift'\n",
    "shop/loading.py": "import importlib\n\n\ndef load(name):\n"
    "    return importlib.import_module(f'shop.plugins.{name}').NAME\n",
    "shop/__main__.py": "from shop.money import text\n\nprint(text(3))\n",
    "shop/data/prices.json": '{"tea": 4}\n',
    "shop/prices.py": "import json\nfrom pathlib import Path\n\n\ndef price(name):\n"
    "    return json.loads((Path(__file__).parent / 'data' / 'prices.json').read_text())[name]\n",
    "tests/conftest.py": "import pytest, helpers\n\n\n@pytest.fixture\ndef made():\n    return helpers.thing()\n",
    "tests/helpers.py": "def thing():\n    return 7\n",
    "tests/test_cart.py": "from shop import total\n\n\ndef test_total():\n    assert total(1, 2) == 3\n",
    "tests/test_main.py": "import subprocess\nimport sys\n\n\ndef test_it_prints():\n"
    "    run = subprocess.run([sys.executable, '-m', 'shop'], capture_output=True, text=True)\n"
    "    assert run.stdout == '3 EUR\\n'\n",
    "tests/test_made.py": "def test_made(made):\n    assert made == 7\n",
    "tests/test_rate.py": "import shop\n\n\ndef test_rate():\n    assert shop.rate == 2\n",
    "tests/test_gift.py": "from shop.loading import load\n\n\ndef test_gift():\n    assert load('gift') == 'gift'\n",
    "tests/test_price.py": "import shop.prices\n\n\ndef test_price():\n    assert shop.prices.price('tea') == 4\n",
    "tests/test_patched.py": "from unittest.mock import patch\n\n\n@patch('shop.money.add', return_value=9)\n"
    "def test_patched(add):\n    from shop.cart import total\n\n    assert total() == 9\n",
    "tests/test_nothing.py": "def test_nothing():\n    pass\n",
}
FLAT_FAULTS = {
    "shop/money.py": "def add(items):\n    return 0\n\n\ndef text(amount):\n    return ''\n",
    "shop/rates.py": "RATE = 3\n",
    "shop/plugins/gift.py": "NAME = 'none'\n",
    "shop/data/prices.json": '{"tea": 5}\n',
    "tests/helpers.py": "def thing():\n    return 8\n",
    "shop/prices.py": None,
}
LAYERED = {
    "pyproject.toml": "[project]\nname = 'deep'\nversion = '1'\n\n[tool.pytest.ini_options]\n"
    "pythonpath = ['src']\ntestpaths = ['checks']\ndoctest_glob = '*.rst'\naddopts = '--doctest-glob=*.rst'\n",
    "src/deep/__init__.py": "def __getattr__(name):\n    import importlib\n\n"
    "    if name.startswith('_'):\n        raise AttributeError(name)\n"
    "    return importlib.import_module('.' + name, __name__)\n",
    "src/deep/lazy.py": "VALUE = 1\n",
    "src/deep/core/__init__.py": "from .base import Base\n",
    "src/deep/core/base.py": "class Base:\n    def run(self):\n        return self.step() + 1\n",
    "src/deep/steps.py": "from deep.core import Base\n\n\nclass One(Base):\n    def step(self):\n        return 1\n",
    "src/deep/registry.py": "import pkgutil\nimport importlib\n\n\ndef every(package):\n"
    "    names = [f'{package.__name__}.{found.name}' for found in pkgutil.iter_modules(package.__path__)]\n"
    "    return [importlib.import_module(name).KIND for name in names]\n",
    "src/deep/kinds/__init__.py": "",
    "src/deep/kinds/a.py": "KIND = 'a'\n",
    "checks/guide.rst": ">>> from deep.steps import One\n>>> One().run()\n2\n",
    "checks/lazy_test.py": "import deep\n\n\ndef test_lazy():\n    assert deep.lazy.VALUE == 1\n",
    "checks/test_kinds.py": "from deep import kinds, registry\n\n\ndef test_kinds():\n"
    "    assert registry.every(kinds) == ['a']\n",
    "checks/unit/test_steps.py": "from deep.steps import One\n\n\nclass TestOne:\n    def test_run(self):\n"
    "        assert One().run() == 2\n",
    "checks/unit/test_script.py": "import runpy\nfrom pathlib import Path\n\n"
    "TOOLS = Path(__file__).parents[2] / 'tools'\n\n\ndef test_script():\n"
    "    assert runpy.run_path(str(TOOLS / 'count.py'))['COUNT'] == 3\n",
    "tools/count.py": "COUNT = 3\n",
}
LAYERED_FAULTS = {
    "src/deep/lazy.py": "VALUE = 2\n",
    "src/deep/core/base.py": "class Base:\n    def run(self):\n        return 0\n",
    "src/deep/kinds/a.py": "KIND = 'b'\n",
    "tools/count.py": "COUNT = 4\n",
}
PLUGGED = {
    "pytest.ini": "[pytest]\npythonpath = .\naddopts = -p plugged\n",
    "plugged.py": "import pytest\nimport rates\n\n\n@pytest.fixture\ndef rate():\n    return rates.RATE\n",
    "rates.py": "RATE = 2\n",
    "test_rate.py": "def test_rate(rate):\n    assert rate == 2\n",
}
PROJECTS = {"flat": (FLAT, FLAT_FAULTS), "layered": (LAYERED, LAYERED_FAULTS), "plugged": (PLUGGED, {"rates.py": ""})}
FAULTS = [(name, path) for name, (_, faults) in PROJECTS.items() for path in faults]
UNTOUCHED = "tests/test_nothing.py"


def ran(root):
    """What pytest shows of the project."""
    out = root.parent / f"{root.name}.xml"
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_ADDOPTS"] = f"-p no:cacheprovider --junitxml={out} -o junit_family=xunit1"
    command = [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    files = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return parse(out.read_bytes(), exit_code=done.returncode, output=done.stdout, files=files)


@pytest.fixture(scope="module")
def suites(tmp_path_factory):
    """What the sound projects show."""
    found = {}
    for name, (files, _) in PROJECTS.items():
        found[name] = ran(repository(tmp_path_factory.mktemp("sound") / "repo", files))
        assert found[name].ok, found[name].output
    return found


@pytest.mark.parametrize(("project", "path"), FAULTS)
def test_a_test_that_fails_by_a_fault_is_touched_by_it(project, path, suites, tmp_path):
    files, faults = PROJECTS[project]
    root, text = repository(tmp_path / "repo", files), faults[path]
    with Workspace.open(root) as workspace:
        before = workspace.snapshot(at=AT).tree
        (root / path).write_text(text) if text is not None else (root / path).unlink()
        after = workspace.snapshot(at=AT).tree
        shown = ran(root)
        suite = Suite.of(suites[project], before, workspace.trees.entries(before).keys(), base=before, cwd="")
        suite = replace(suite, report=replace(suite.report, seconds=60.0))
        near = Nearness(workspace=workspace).of(after, suite, {path}, {path})

    failing = {case_id.partition("::")[0] for case_id in shown.failing}
    assert failing, "the fault is one"
    assert failing <= near.keys()
    assert UNTOUCHED not in near or path.startswith("tests/"), "it tells tests apart"
