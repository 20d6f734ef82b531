"""Every kind of page, on a phone and a desk, light, dark and printed, as a reader would meet it.

Four kinds are opened in every run; `make browser` opens all of them.
"""

import base64
import io
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from pypdf import PdfReader

from benchmarks.pages import KINDS

from .browsers import check_quiet, needs_browser

pytestmark = [
    needs_browser,
    pytest.mark.skipif(
        find_spec("selenium_axe_python") is None, reason="selenium-axe-python is not installed"
    ),
]

OFTEN = ("binary", "compare-3", "regression-12", "segmentation")
LAYOUT = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")
AXE = """
const done = arguments[0];
axe.run(document, {resultTypes: ["violations"]}).then((found) => done(found.violations.map(
  ({id, nodes}) => `${id}: ${nodes[0].html.slice(0, 120)} ${nodes[0].failureSummary}`)));
"""


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in OFTEN else pytest.mark.browser)
        for name in sorted(KINDS)
    ]
)
def address(request, tmp_path):
    return KINDS[request.param](tmp_path / "report").as_uri()


@pytest.mark.timeout(1200)
def test_a_page_reads_well_everywhere(browser, address):
    browser.set_script_timeout(300)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)
    axe = files("selenium_axe_python") / "axe-core" / "axe.min.js"
    browser.execute_script(f"{axe.read_text(encoding='utf-8')}; window.axe = axe;")
    try:
        for width in (390, 1440):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            assert browser.execute_script(LAYOUT) == []
            for scheme in ("light", "dark"):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                assert browser.execute_async_script(AXE) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    sheets = PdfReader(io.BytesIO(base64.b64decode(printed))).pages
    assert min(len(sheet.extract_text().strip()) for sheet in sheets) > 60  # no blank sheet
    check_quiet(browser, address)


def test_a_broken_layout_is_noticed(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text(
        "<!doctype html><style>p {position: absolute; top: 0; white-space: nowrap}</style>"
        f"<p>first</p><p>second</p><p style='top: 50px'>{'long ' * 500}</p>"
    )
    browser.get(page.as_uri())
    overlap, wide = sorted(browser.execute_script(LAYOUT))
    assert overlap == '"first" on "second"'
    assert wide.startswith("wider than")
