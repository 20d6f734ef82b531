"""The page in a real browser: headless Chromium, driven by Selenium."""

import base64
import json

import numpy as np
import pytest

from mcdrop.report import ReportContext, compare, write

from .browsers import check_quiet, needs_browser
from .pages import ATTACK

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
wait = pytest.importorskip("selenium.webdriver.support.ui")

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory, classification, out_of_distribution, images):
    folder = tmp_path_factory.mktemp("browser") / "report"
    page = write(classification, folder, x=images, out_of_distribution=out_of_distribution)
    return page.as_uri()


@pytest.fixture
def opened(browser, address):
    """The page, freshly loaded; afterwards the console must be empty and nothing requested."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)
    yield browser
    check_quiet(browser, address)


def all_of(browser, selector):
    return browser.find_elements("css selector", selector)


def one(browser, selector):
    return browser.find_element("css selector", selector)


def click(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def column(browser, number):
    return [cell.text for cell in all_of(browser, f".sortable tbody tr > :nth-child({number})")]


def shown_tiles(browser):
    return [tile for tile in all_of(browser, ".tile") if tile.is_displayed()]


def test_a_click_on_a_heading_sorts_the_table_and_a_second_click_turns_it(opened):
    button = all_of(opened, ".sortable thead button")[1]
    click(opened, button)
    counts = [int(text) for text in column(opened, 2)]
    assert counts == sorted(counts, reverse=True)
    heading = all_of(opened, ".sortable thead th")[1]
    assert heading.get_attribute("aria-sort") == "descending"
    click(opened, button)
    assert [int(text) for text in column(opened, 2)] == sorted(counts)
    click(opened, all_of(opened, ".sortable thead button")[0])
    assert column(opened, 1) == [str(number) for number in range(10)]
    assert heading.get_attribute("aria-sort") is None


def test_the_keyboard_sorts_too(opened):
    button = all_of(opened, ".sortable thead button")[2]
    opened.execute_script("arguments[0].focus()", button)
    opened.switch_to.active_element.send_keys("\n")
    shares = [float(text.split("%")[0]) for text in column(opened, 3)]
    assert shares == sorted(shares, reverse=True)


def test_the_slider_shows_coverage_accuracy_and_threshold(opened, classification):
    slider = one(opened, "#coverage")
    data = json.loads(one(opened, "#slider-data").get_attribute("textContent"))
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    prediction = classification.prediction
    for place in (len(data["coverage"]) // 2, len(data["coverage"]) - 1):
        opened.execute_script(script, slider, place)
        accepted = prediction.predictive_entropy <= data["threshold"][place] * (1 + 1e-5)
        accuracy = (prediction.predicted_class == classification.y_true)[accepted].mean()
        shown = {name: one(opened, f"[data-out={name}]").text for name in ("coverage", "value")}
        assert float(shown["coverage"].rstrip("%")) == pytest.approx(100 * accepted.mean(), abs=0.1)
        assert float(shown["value"].rstrip("%")) == pytest.approx(100 * accuracy, abs=0.06)
        assert one(opened, "[data-out=threshold]").text.startswith("≤ ")
        assert one(opened, "[data-out=accepted]").text.startswith(f"{accepted.sum()} of 300")
    assert shown["coverage"] == "100%"


def test_the_slider_moves_the_mark_in_the_figure_by_keyboard(opened):
    slider, dot = one(opened, "#coverage"), one(opened, ".marker circle")
    before = float(dot.get_attribute("cx"))
    slider.send_keys("\ue012" * 10)  # ten times the left arrow
    after = float(dot.get_attribute("cx"))
    assert after < before
    assert slider.get_attribute("aria-valuetext").endswith("accepted")


def test_a_target_finds_the_largest_coverage_that_reaches_it(opened):
    data = json.loads(one(opened, "#slider-data").get_attribute("textContent"))
    button = one(opened, "[data-target='0.95']")
    reached = [c for c, v in zip(data["coverage"], data["value"], strict=True) if v >= 0.95]
    click(opened, button)
    shown = float(one(opened, "[data-out=coverage]").text.rstrip("%"))
    assert shown == pytest.approx(100 * max(reached), abs=0.06)


def test_the_costs_choose_the_cheapest_threshold_and_the_command_that_deploys_it(
    opened, classification
):
    data = json.loads(one(opened, "#slider-data").get_attribute("textContent"))
    prediction = classification.prediction
    wrong = prediction.predicted_class != classification.y_true
    for mistake, look in ((3, 1), (0, 1), (1000, 1)):
        for name, price in (("mistake", mistake), ("look", look)):
            field = one(opened, f"[data-price={name}]")
            field.clear()
            field.send_keys(str(price))
        click(opened, one(opened, "[data-cheapest]"))
        costs = {}
        for threshold in data["threshold"]:
            through = prediction.predictive_entropy <= threshold
            costs[threshold] = mistake * (wrong & through).mean() + look * (~through).mean()
        command = one(opened, "[data-out=option]").text
        chosen = float(command.split("--abstain-above ")[1])
        assert costs[chosen] == pytest.approx(min(costs.values()))
        assert f"--samples {prediction.num_samples} " in command
        shown = one(opened, "[data-out=cases]").text
        said = float(shown.split("That costs ")[1].split()[0].rstrip(";"))
        digits = len(shown.split("That costs ")[1].split()[0].rstrip(";").partition(".")[2])
        assert said == pytest.approx(100 * costs[chosen], abs=0.51 * 10**-digits)
        assert len(str(said).replace(".", "").lstrip("0")) <= 4
    field.clear()
    field.send_keys("-1")
    assert not one(opened, "[data-cheapest]").is_enabled()
    assert "Give two costs" in one(opened, "[data-out=cases]").text


def test_the_gallery_starts_with_the_most_uncertain_in_order(opened):
    tiles = shown_tiles(opened)
    assert len(tiles) == 24
    entropies = [float(tile.get_attribute("data-predictive-entropy")) for tile in tiles]
    assert entropies == sorted(entropies, reverse=True)
    assert one(opened, "[data-shown]").text == "24 of 50 shown"


def test_the_gallery_filters_by_list_class_and_mistake(opened):
    click(opened, one(opened, "input[value=confident_mistakes] + span"))
    assert all(tile.get_attribute("data-wrong") is not None for tile in shown_tiles(opened))
    confidences = [float(tile.get_attribute("data-confidence")) for tile in shown_tiles(opened)]
    assert confidences == sorted(confidences, reverse=True)
    click(opened, one(opened, "input[name=group][value=''] + span"))
    click(opened, one(opened, "input[name=wrong]"))
    one(opened, "select[name=label]").send_keys("8")
    tiles = shown_tiles(opened)
    assert tiles
    assert {tile.get_attribute("data-label") for tile in tiles} == {"8"}
    assert all(tile.get_attribute("data-wrong") is not None for tile in tiles)


def test_the_gallery_sorts_by_position_upward(opened):
    one(opened, "select[name=sort]").send_keys("Position")
    places = [int(tile.get_attribute("data-index")) for tile in shown_tiles(opened)]
    assert places == sorted(places)


def test_show_more_shows_all_and_goes_away(opened):
    more = one(opened, "[data-more]")
    click(opened, more)
    assert len(shown_tiles(opened)) == 50
    assert not more.is_displayed()


def test_a_range_on_the_map_counts_and_filters(opened, classification, out_of_distribution):
    prediction = classification.prediction
    wrong = prediction.predicted_class != classification.y_true
    fields = all_of(opened, "[data-brush] input")
    middle = float(np.median(prediction.predictive_entropy))
    click(opened, fields[0])
    fields[0].send_keys(str(middle))
    # The map is in steps of 1/255 of its axis.
    both = np.r_[prediction.predictive_entropy, out_of_distribution.predictive_entropy]
    edge = np.rint(255 * middle / both.max())
    inside = np.rint(255 * prediction.predictive_entropy / both.max()) >= edge
    said = one(opened, "[data-inside]").text
    assert f"{(inside & ~wrong).sum()} of {(~wrong).sum()} right" in said
    assert f"{(inside & wrong).sum()} of {wrong.sum()} wrong" in said
    entropies = [
        float(tile.get_attribute("data-predictive-entropy")) for tile in shown_tiles(opened)
    ]
    assert min(entropies) > middle - both.max() / 255
    click(opened, one(opened, "[data-brush] button"))
    assert said != one(opened, "[data-inside]").text


def test_a_drag_over_the_map_sets_the_range(opened):
    drawing = one(opened, "#map svg[role=img]")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", drawing)
    drag = webdriver.ActionChains(opened).move_to_element(drawing).click_and_hold()
    drag.move_by_offset(60, 40).release().perform()
    values = [float(field.get_attribute("value")) for field in all_of(opened, "[data-brush] input")]
    assert values[0] < values[1]
    assert values[2] < values[3]
    assert float(one(opened, ".brush").get_attribute("width")) > 0


def test_the_threshold_of_the_map_follows_the_slider(opened):
    line = one(opened, "[id$=-threshold]")
    before = line.rect["x"]
    one(opened, "#coverage").send_keys("\ue012" * 20)
    assert line.rect["x"] < before


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_passes_fall_into_their_classes_on_demand(opened, motion):
    features = [{"name": "prefers-reduced-motion", "value": motion}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    button = next(each for each in all_of(opened, "[data-votes]") if each.is_displayed())
    rows = json.loads(button.get_attribute("data-votes"))
    falls = list(base64.b64decode(button.get_attribute("data-passes")))
    assert len(falls) == sum(passes for _, passes, _ in rows)
    click(opened, button)
    if motion == "reduce":  # all at once
        assert len(all_of(opened, ".lane i")) == len(falls)
    said = one(opened, "[data-said]")
    wait.WebDriverWait(opened, 20).until(lambda _: said.get_attribute("textContent"))
    lanes = all_of(opened, ".lanes li")
    dots = [len(lane.find_elements("css selector", "i")) for lane in lanes]
    assert dots == [falls.count(place) for place in range(len(rows))]
    assert [lane.text.split()[-1] for lane in lanes] == [str(row[1]) for row in rows]
    assert f"Example {button.get_attribute('data-index')}: {rows[0][1]} pass" in (
        said.get_attribute("textContent")
    )
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_picture_is_drawn(opened):
    widths = opened.execute_script(
        "return [...document.images].map(image => image.complete ? image.naturalWidth : 0)"
    )
    assert widths
    assert min(widths) == 8


def test_the_theme_button_goes_round_and_changes_the_paper(opened):
    button = one(opened, "[data-theme-button]")
    papers = {}
    for _ in range(3):
        click(opened, button)
        papers[button.text] = opened.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
    assert set(papers) == {"Theme: auto", "Theme: light", "Theme: dark"}
    assert papers["Theme: light"] != papers["Theme: dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_systems_theme(opened, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    red = opened.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
    )
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (int(red) > 127) == (scheme == "light")


@pytest.mark.parametrize("width", [360, 720, 1000, 1360])
def test_no_width_makes_the_page_scroll_sideways(opened, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    widest = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widest <= width


def test_the_page_prints(opened):
    document = opened.execute_cdp_cmd("Page.printToPDF", {})
    assert base64.b64decode(document["data"]).startswith(b"%PDF")


def test_a_hostile_name_runs_nothing(browser, classification, images, tmp_path):
    context = ReportContext(title=ATTACK, model_name=ATTACK, data_name=ATTACK, command=ATTACK)
    names = [f"{ATTACK}{number}" for number in range(10)]
    page = write(classification, tmp_path / "r", x=images, class_names=names, context=context)
    browser.get(page.as_uri())  # an alert would make every further command fail
    assert one(browser, "h1").text == ATTACK
    assert len(shown_tiles(browser)) == 24
    check_quiet(browser, page.as_uri())


@pytest.mark.parametrize("name", ["segmentation", "gaussian", "multilabel", "binary"])
def test_every_layout_opens_quietly(browser, request, tmp_path, name):
    page = write(request.getfixturevalue(name), tmp_path / "report")
    browser.get(page.as_uri())
    assert shown_tiles(browser)
    assert one(browser, "[data-out=coverage]").text
    check_quiet(browser, page.as_uri())


def test_a_comparison_opens_quietly(browser, classification, tmp_path):
    page = compare({"a": classification, "b": classification}, tmp_path / "report")
    browser.get(page.as_uri())
    assert len(all_of(browser, ".multiple")) == len(classification.comparisons)
    check_quiet(browser, page.as_uri())
