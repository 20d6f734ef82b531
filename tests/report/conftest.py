"""Reports of every layout."""

import pytest

from mcdrop.report import pages
from mcdrop.report.building import build
from mcdrop.report.drawing import draw

from . import browsers


@pytest.fixture(scope="session")
def any_content(any_evaluation):
    return build(any_evaluation)


@pytest.fixture(scope="session")
def any_figures(any_content):
    return draw(any_content)


@pytest.fixture(scope="session")
def any_page(any_content, any_figures):
    return pages.render(any_content, any_figures)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with browsers.start(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: opens a page of every kind; minutes in all")


def pytest_collection_modifyitems(config, items):
    if "browser" not in config.getoption("markexpr"):
        slow = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
