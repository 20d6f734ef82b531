"""Reports of every layout."""

import pytest

from mcdrop.report import pages
from mcdrop.report.building import build
from mcdrop.report.drawing import draw


@pytest.fixture(scope="session")
def any_content(any_evaluation):
    return build(any_evaluation)


@pytest.fixture(scope="session")
def any_figures(any_content):
    return draw(any_content)


@pytest.fixture(scope="session")
def any_page(any_content, any_figures):
    return pages.render(any_content, any_figures)
