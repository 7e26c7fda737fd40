"""A browser for the tests that look at pages."""

import pytest

from tests.browser.chromium import Chromium, find_chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(find_chromium(), tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium
