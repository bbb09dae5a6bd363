"""The report in a real browser, where there is one."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from chain.report.content import Report
from chain.report.page import render

pytest.importorskip("selenium", reason="needs selenium: pip install -r requirements.txt")

from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WIDTHS = (1366, 390)  # pixels: a small laptop, a telephone

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


def show(browser: Chrome, address: str, width: int = WIDTHS[0]) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    wait = WebDriverWait(browser, 5)
    wait.until(lambda driver: len(driver.find_elements(By.CSS_SELECTOR, ".plot > svg")) == 2)


def log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser has noted since the last call."""
    return list(browser.get_log(kind))  # type: ignore[no-untyped-call]


def hover(browser: Chrome, plot: WebElement, share: float) -> str:
    """The read-out's text with the pointer at `share` of the plot's width."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    middle = plot.size["width"] * (share - 0.5)
    ActionChains(browser, 0).move_to_element_with_offset(plot, round(middle), 0).perform()
    return plot.find_element(By.CLASS_NAME, "readout").text


def overflow(browser: Chrome) -> int:
    """Pixels by which the page is wider than the window."""
    script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
    return int(browser.execute_script(script))


def test_no_error_and_no_request(browser: Chrome, address: str) -> None:
    log(browser, "browser")
    show(browser, address)
    messages = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    requests = {
        message["params"]["requestId"]: message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["documentURL"] == address  # the browser's start page has its own
    }
    failed = [
        requests.get(message["params"]["requestId"])
        for message in messages
        if message["method"] == "Network.loadingFailed"
    ]
    assert {url for url in requests.values() if not url.startswith("data:")} == {address}
    assert not set(failed) & set(requests.values())
    assert log(browser, "browser") == []
    assert browser.execute_script("return window.broken") is None


def test_images_are_shown(browser: Chrome, address: str) -> None:
    show(browser, address)
    script = "return [...document.images].map(image => image.naturalWidth)"
    assert browser.execute_script(script) == [1350]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(browser: Chrome, address: str, width: int) -> None:
    show(browser, address, width)
    assert browser.execute_script("return innerWidth") == width
    browser.execute_script("document.querySelector('details').open = true")
    plot = browser.find_element(By.CLASS_NAME, "plot")
    for share in (0.2, 0.45, 0.55, 0.95):
        assert hover(browser, plot, share)
        assert overflow(browser) <= 0
    table = browser.find_element(By.CLASS_NAME, "scroll")
    assert browser.execute_script("return arguments[0].scrollWidth", table) > width


@pytest.mark.parametrize("width", WIDTHS)
def test_hover_reads_the_nearest_point(browser: Chrome, address: str, width: int) -> None:
    show(browser, address, width)
    plot = browser.find_element(By.CLASS_NAME, "plot")
    lines = hover(browser, plot, 0.98).splitlines()
    assert lines[:5] == ["K 100", "CHAIN", "0.750 ± 0.030", "ConMH", "0.300 at 60"]
    assert hover(browser, plot, 0.3).splitlines()[:3] == ["K 20", "CHAIN", "0.250 ± 0.020"]
    ActionChains(browser, 0).move_to_element(browser.find_element(By.TAG_NAME, "h1")).perform()
    assert not plot.find_element(By.CLASS_NAME, "readout").is_displayed()


def test_legend_toggles_series(browser: Chrome, address: str) -> None:
    show(browser, address)
    chart = browser.find_element(By.CLASS_NAME, "chart")
    plot = chart.find_element(By.CLASS_NAME, "plot")
    buttons = chart.find_elements(By.CSS_SELECTOR, ".legend button")
    assert [button.text for button in buttons[:2]] == ["CHAIN", "ConMH"]

    def lines() -> list[str | None]:
        paths = plot.find_elements(By.CSS_SELECTOR, ".series path[fill=none]")
        return [path.get_attribute("stroke") for path in paths]

    assert lines() == ["#d55e00", "#0072b2", "grey"]
    assert len(plot.find_elements(By.CSS_SELECTOR, ".series path:not([fill=none])")) == 1
    ticks = plot.find_element(By.TAG_NAME, "svg").text
    buttons[0].click()
    assert lines() == ["#0072b2", "grey"]
    assert plot.find_element(By.TAG_NAME, "svg").text == ticks
    assert buttons[0].get_attribute("aria-pressed") == "false"
    assert "CHAIN" not in hover(browser, plot, 0.3)
    buttons[1].click()
    buttons[2].click()
    assert lines() == []
    assert hover(browser, plot, 0.3) == ""
    for button in buttons:
        button.click()
    assert lines() == ["#d55e00", "#0072b2", "grey"]


def test_lines_pass_through_their_points(browser: Chrome, address: str) -> None:
    show(browser, address)
    path = browser.find_element(By.CSS_SELECTOR, ".series path[stroke='#0072b2']")
    points = (path.get_attribute("d") or "").removeprefix("M").split("L")
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points)
    assert (x2 - x1) / (x1 - x0) == pytest.approx((60 - 20) / (20 - 5))
    assert (y2 - y1) / (y1 - y0) == pytest.approx((0.3 - 0.2) / (0.2 - 0.4))
    assert x1 > x0
    assert y1 > y0  # downwards, as the page counts


def test_a_tapped_figure_is_in_full_size_on_a_telephone(browser: Chrome, address: str) -> None:
    show(browser, address, 390)
    image = browser.find_element(By.TAG_NAME, "img")
    assert image.size["width"] < 390
    image.click()
    assert image.size["width"] == 900
    assert overflow(browser) <= 0


def test_without_scripts_a_note_says_so(browser: Chrome, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        text = browser.find_element(By.CLASS_NAME, "chart").text
        plots = browser.find_elements(By.CLASS_NAME, "plot")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "needs JavaScript" in text
    assert plots == []
