"""The page in a real browser, where there is one."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretend_collection import PretendCollection, id_of, matches_of, table_of
from running_server import Running, Serve, group, moving_square, pair, write_video

pytest.importorskip("selenium", reason="needs selenium: pip install -r requirements.txt")

from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
)
HOSTILE = "<img src=x onerror='window.broken=1'>\u202e&amp;\"it's\" " + "x" * 120 + ".mp4"

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def served(serve: Serve, clip: Path) -> Running:
    """Three videos: one that the browser plays, one whose file is gone, and one in MPEG-4."""
    old = write_video(clip.with_name("old.mp4"), moving_square(), "mpeg4")
    table = table_of([clip, f"/gone/{HOSTILE}", old], [2.0, 75.0, 2.0])
    collection = PretendCollection(clip.parent, table)
    collection.matches = matches_of(table, 3)
    a, b, c = table["id"]
    groups = [group([a, b, c], pair(a, b), pair(b, c)), group([a, c], pair(a, c))]
    return serve(collection, groups)


class Visitor:
    """Somebody who looks at the page."""

    def __init__(self, browser: Chrome, served: Running) -> None:
        self.browser, self.served = browser, served

    def visit(
        self, view: str, width: int = 1366, token: str = "", dark: bool = False, still: bool = False
    ) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        self.browser.get("about:blank")
        self.browser.get(f"{self.served.address}/{token}{view}")

    def wait(self, until: Callable[[], Any]) -> Any:
        ignored = [Exception]  # an element may be replaced while it is read
        return WebDriverWait(self.browser, 15, 0.05, ignored).until(lambda _: until())

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        found: WebElement = self.wait(lambda: self.all(selector)[0])
        return found

    def text(self, selector: str) -> str:
        return str(self.one(selector).get_property("textContent"))

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        ActionChains(self.browser, 0).send_keys(*keys).perform()

    def matches(self, count: int) -> list[str]:
        self.wait(lambda: len(self.all(".card")) == count)
        return [str(one.get_property("textContent")) for one in self.all(".card .name")]

    def said(self, text: str) -> None:
        self.wait(lambda: text in self.text("#live"))

    def overflow(self) -> int:
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        return int(self.run(script))

    def errors(self) -> list[str]:
        """What the browser complained about, but for files that are not there."""
        entries: list[dict[str, str]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        texts = [entry["message"] for entry in entries]
        return [text for text in texts if "status of 404" not in text]


@pytest.fixture
def visitor(browser: Chrome, served: Running) -> Iterator[Visitor]:
    visitor = Visitor(browser, served)
    visitor.errors()  # those of earlier tests
    yield visitor
    browser.get("about:blank")  # no video is read while the server stops


def test_a_file_is_searched_with(visitor: Visitor, clip: Path) -> None:
    visitor.visit("#/search")
    visitor.wait(lambda: visitor.all("#list a"))
    visitor.one("#file").send_keys(str(clip))
    names = visitor.matches(3)
    assert names == ["square.webm", HOSTILE, "old.mp4"]
    assert visitor.served.collection.uploads == [clip.read_bytes()]
    visitor.said("3 matches for square.webm. The nearest is square.webm, at 1.5 bits.")
    assert visitor.browser.current_url.endswith("#/file")
    sources = [str(video.get_property("src")) for video in visitor.all("video")]
    assert sources[0].startswith("blob:")
    assert sources[1] == f"{visitor.served.address}/video/{id_of(1)}#t=0.50,1.00"
    visitor.wait(lambda: len(visitor.all(".screen.ready")) == 2)  # both can be played
    assert visitor.errors() == []


def test_a_file_is_dropped(visitor: Visitor) -> None:
    visitor.visit("#/search")
    visitor.wait(lambda: visitor.all("#list a"))
    script = """
      const data = new DataTransfer();
      data.items.add(new File(["no video"], "dropped.mp4"));
      for (const type of ["dragenter", "dragover"])
        document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true}));
      const shown = !document.getElementById("overlay").hidden;
      document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
      return shown;
    """
    assert visitor.run(script)
    assert "Dropped.mp4: cannot be opened." in visitor.text("[role=alert]")
    assert not visitor.one("#overlay").is_displayed()


def test_a_broken_file_is_told_in_one_line_and_another_can_follow(
    visitor: Visitor, clip: Path
) -> None:
    broken = clip.with_name("broken.mp4")
    broken.write_bytes(b"\0" * 5000)
    visitor.visit("#/search")
    visitor.wait(lambda: visitor.all("#list a"))
    visitor.one("#file").send_keys(str(broken))
    problem = visitor.one("[role=alert]")
    assert problem.find_element(By.TAG_NAME, "p").text == "Broken.mp4: cannot be opened."
    visitor.one("#file").send_keys(str(clip))
    visitor.matches(3)


def test_a_video_is_chosen_from_the_list_by_keys(visitor: Visitor) -> None:
    visitor.visit("#/search")
    visitor.wait(lambda: len(visitor.all("#list a")) == 3)
    visitor.press("/")
    visitor.press("OLD")
    visitor.wait(lambda: visitor.text("#count") == "1 video found")
    visitor.press(Keys.ARROW_DOWN, Keys.ENTER)
    assert visitor.matches(2) == ["square.webm", HOSTILE]
    assert visitor.one("#list a").get_attribute("aria-current") == "true"
    visitor.press("j")
    visitor.wait(lambda: visitor.one(".card[data-place='1']").get_attribute("aria-current"))
    visitor.press("s")
    assert visitor.matches(2) == ["square.webm", "old.mp4"]
    assert visitor.browser.current_url.endswith(f"#/search/{id_of(2)}")


def test_a_match_shows_where_it_is_and_how_probable(visitor: Visitor) -> None:
    visitor.visit(f"#/search/{id_of(3)}")
    visitor.matches(2)
    card = visitor.all(".card")[1]
    assert card.find_element(By.CLASS_NAME, "times").text == "0:19 to 0:38 of 1:15"
    assert card.find_element(By.CLASS_NAME, "numbers").text.split("\n") == [
        "3.5 bits",
        "0.001 by chance",
    ]
    bar, part = (card.find_element(By.CLASS_NAME, name) for name in ("bar", "part"))
    assert part.rect["x"] - bar.rect["x"] == pytest.approx(bar.rect["width"] / 4, abs=1)
    assert part.rect["width"] == pytest.approx(bar.rect["width"] / 4, abs=1)


def test_what_chance_explains_is_set_apart(visitor: Visitor) -> None:
    table = visitor.served.collection.table
    visitor.served.collection.matches = matches_of(table.loc[table.index.repeat(3)], 6)
    visitor.visit(f"#/search/{id_of(3)}")
    visitor.matches(6)
    assert [item.get_attribute("class") for item in visitor.all("#cards > li")] == [
        *[""] * 4,
        "divider",
        *["beyond"] * 2,
    ]
    divider = "From here on, the distance alone can't tell a match from chance."
    assert visitor.one("#cards > .divider").text == divider  # copies may stand below it


def test_both_videos_play_from_where_the_match_is(visitor: Visitor) -> None:
    video = visitor.served.collection.matches[0]
    visitor.served.collection.matches = [replace(video, id=id_of(3))]
    (file, *_), sizes = visitor.served.collection.table["path"], [2.0, 75.0, 2.0]
    visitor.served.collection.table = table_of([file, "/b.mp4", file], sizes)
    visitor.visit(f"#/search/{id_of(1)}")
    visitor.wait(lambda: len(visitor.all(".screen.ready")) == 2)
    visitor.run(
        "window.starts = []; for (const video of document.querySelectorAll('video'))"
        "video.addEventListener('playing', () => window.starts.push(video.currentTime))"
    )
    visitor.press(" ")
    visitor.wait(lambda: visitor.run("return window.starts.length") == 2)
    assert sorted(visitor.run("return window.starts")) == pytest.approx([0, 0.5], abs=0.2)
    times = "return [...document.querySelectorAll('video')].map((video) => video.currentTime)"
    visitor.wait(lambda: visitor.run(times) == pytest.approx([0.5, 1.0], abs=0.15))
    visitor.wait(lambda: visitor.text(".both") == "Play both")  # they end where the match does


def test_what_the_browser_can_t_play_is_told(visitor: Visitor) -> None:
    visitor.visit(f"#/search/{id_of(1)}")
    visitor.matches(2)
    visitor.all(".card")[1].click()
    visitor.wait(lambda: visitor.all(".note")[1].text)
    assert visitor.all(".note")[1].text == (
        "This browser can't play this MP4 file; eight frames of it are shown."
    )
    assert visitor.all(".note")[0].text == ""
    frames = visitor.one(".screen.failed .frames img")
    assert visitor.run("return getComputedStyle(arguments[0]).animationName", frames) == "frames"


@pytest.mark.parametrize("reduced", [False, True])
def test_thumbnails_move_unless_motion_is_unwanted(visitor: Visitor, reduced: bool) -> None:
    visitor.visit("#/search", still=reduced)
    visitor.wait(lambda: visitor.all("#list .frames.loaded"))
    row = visitor.one("#list a")
    image = row.find_element(By.TAG_NAME, "img")
    name = "return getComputedStyle(arguments[0]).animationName"
    assert visitor.run(name, image) == "none"
    ActionChains(visitor.browser, 0).move_to_element(row).perform()
    assert visitor.run(name, image) == ("none" if reduced else "frames")
    if not reduced:  # all eight frames are shown, the first and the last too
        script = """
          const [animation] = arguments[0].getAnimations();
          animation.pause();
          return [...Array(8).keys()].map((step) => {
            animation.currentTime = 2400 * (step + 0.5) / 8;
            const frames = arguments[0].parentElement.getBoundingClientRect();
            return (frames.left - arguments[0].getBoundingClientRect().left) / frames.width;
          });
        """
        assert visitor.run(script, image) == pytest.approx(list(range(8)), abs=0.01)


def test_pairs_are_judged_by_keys(visitor: Visitor) -> None:
    collection = visitor.served.collection
    visitor.visit("#/copies")
    visitor.wait(lambda: visitor.browser.current_url.endswith("#/copies/1/1"))
    visitor.one(".pane")
    visitor.press("c")
    visitor.wait(lambda: visitor.browser.current_url.endswith("#/copies/1/2"))
    visitor.said("Judged: copy.")
    visitor.wait(lambda: "pair 2 of 2" in visitor.text(".heading"))
    visitor.press("n")
    visitor.wait(lambda: visitor.browser.current_url.endswith("#/copies/2/1"))
    visitor.wait(lambda: "Group 2 of 2" in visitor.text(".heading"))
    visitor.press("c")
    visitor.said("All pairs are judged.")
    pairs = {frozenset(pair): verdict for pair, verdict in collection.verdicts.items()}
    assert pairs == {
        frozenset((id_of(1), id_of(2))): "copy",
        frozenset((id_of(2), id_of(3))): "not a copy",
        frozenset((id_of(1), id_of(3))): "copy",
    }
    assert [row.text.split("\n")[-1] for row in visitor.all("#grouplist a")] == ["judged"] * 2
    pressed = visitor.all(".verdict[aria-pressed=true]")
    assert [button.text.split("\n")[0] for button in pressed] == ["Copy"]
    visitor.visit("#/copies/1/2")  # a new visit knows what was judged
    assert visitor.one(".verdict.n").get_attribute("aria-pressed") == "true"
    assert visitor.errors() == []


def test_a_whole_group_is_judged_at_once(visitor: Visitor) -> None:
    visitor.visit("#/copies/1/1")
    visitor.one("[data-key=all]").click()
    visitor.wait(lambda: "Group 2 of 2" in visitor.text(".heading"))
    assert list(visitor.served.collection.verdicts.values()) == ["copy"] * 2


def test_an_empty_collection_says_what_to_do(visitor: Visitor) -> None:
    collection = visitor.served.collection
    collection.table = collection.table.iloc[:0]
    for view in ("search", "copies"):
        visitor.visit(f"#/{view}")
        assert visitor.text("#main h2") == "The collection is empty"
        assert visitor.text("#main code") == f"chain add FOLDER -c {collection.folder}"
    assert visitor.text("#found") == "No videos"
    assert visitor.errors() == []


def test_few_videos_are_told_to_be_few(visitor: Visitor) -> None:
    for rough in (False, True):
        visitor.served.collection.rough = rough
        visitor.visit(f"#/search/{id_of(3)}")
        visitor.matches(2)
        assert ("It is a rough figure here" in visitor.text(".legend")) == rough


def test_a_large_group_lists_the_pairs_around_the_one_that_is_shown(visitor: Visitor) -> None:
    collection = visitor.served.collection
    collection.table = table_of([f"/{number}.mp4" for number in range(30)], [2.0] * 30)
    ids = collection.table["id"].tolist()
    pairs = [pair(a, b) for row, b in enumerate(ids) for a in ids[:row]]
    visitor.served.groups[:] = [group(ids, *pairs)]
    visitor.visit("#/copies/1/200")
    visitor.wait(lambda: len(visitor.all(".pairs li")) == 20)
    assert visitor.one(".pairs [aria-current]").get_attribute("href").endswith("#/copies/1/200")
    visitor.one("[data-key=list]").click()
    visitor.wait(lambda: len(visitor.all(".pairs li")) == len(pairs) == 435)
    assert visitor.all("[data-key=list]") == []
    visitor.press("j")  # they stay listed
    visitor.wait(lambda: "pair 201 of 435" in visitor.text(".heading"))
    assert len(visitor.all(".pairs li")) == 435
    assert visitor.errors() == []


def test_the_common_part_of_a_pair_is_shown(visitor: Visitor) -> None:
    a, _, c = visitor.served.collection.table["id"]
    visitor.served.groups[:] = [group([a, c], pair(a, c, 0.02, "mirrored"))]
    visitor.visit("#/copies")
    assert visitor.text(".heading .legend") == "pair 1 of 1, mirrored, 0.02 by chance"
    times = [one.text.partition(",")[0] for one in visitor.all(".pane .times")]
    assert times == ["0.5 to 1.5 s of 2 s", "0 to 1 s of 2 s"]
    assert str(visitor.one("video").get_property("src")).endswith("#t=0.50,1.50")


def test_files_with_the_same_bytes_need_no_judgement(visitor: Visitor) -> None:
    collection = visitor.served.collection
    collection.table = collection.table.assign(id=id_of(1))
    visitor.served.groups[:] = [group([id_of(1)])]
    visitor.visit("#/copies/1")
    assert visitor.text(".same li").count(" = ") == 2
    assert visitor.all(".verdict") == []
    assert visitor.one("#grouplist a").text.split("\n")[-2:] == ["3 files", "the same file"]
    visitor.press("c")
    assert collection.verdicts == {}


def test_a_button_that_was_pressed_keeps_the_focus(visitor: Visitor) -> None:
    visitor.visit("#/copies/1/1")
    visitor.one(".verdict.n").send_keys(Keys.ENTER)
    visitor.wait(lambda: "pair 2 of 2" in visitor.text(".heading"))
    assert visitor.browser.switch_to.active_element == visitor.one(".verdict.n")


def test_a_judgement_that_fails_is_told(visitor: Visitor) -> None:
    visitor.visit("#/copies/2/1")
    visitor.one(".verdict.c")
    visitor.served.collection.table = table_of([], [])
    time.sleep(2.1)  # for so long, the server's list of videos is fresh
    visitor.one(".verdict.c").click()
    visitor.wait(lambda: visitor.text("#trouble") == "The collection has no such video.")


def test_another_rate_finds_copies_again(visitor: Visitor) -> None:
    visitor.visit("#/copies")
    visitor.one(".pane")
    assert visitor.text(".rate span") == "False pairs expected"  # takes of one scene make more
    visitor.served.groups.clear()
    visitor.one("#rate").find_element(By.CSS_SELECTOR, "option:last-child").click()
    visitor.wait(lambda: visitor.text("main h2") == "No copies")
    visitor.one("#mirrored").click()
    visitor.wait(lambda: len(visitor.served.asked) == 3)
    asked = [tuple(one.values()) for one in visitor.served.asked]
    assert asked == [(0.1, False, False), (10.0, False, False), (10.0, True, False)]


@pytest.fixture
def crowd(browser: Chrome, serve: Serve, tmp_path: Path) -> Visitor:
    paths = [f"/films/{number % 100:02}/clip {number:05}.mp4" for number in range(10_000)]
    return Visitor(browser, serve(PretendCollection(tmp_path, table_of(paths, [60.0] * 10_000))))


def test_ten_thousand_videos_stay_quick(crowd: Visitor) -> None:
    started = time.monotonic()
    crowd.visit("#/search")
    crowd.wait(lambda: crowd.text("#count") == "10,000 videos")
    assert time.monotonic() - started < 5
    assert len(crowd.all("#list a")) == 50
    assert crowd.text("#range") == "1–50 of 10,000"
    crowd.one("#next").click()
    crowd.wait(lambda: crowd.text("#range") == "51–100 of 10,000")
    started = time.monotonic()
    crowd.one("#words").send_keys("clip 07 42")
    crowd.wait(lambda: crowd.text("#count").endswith(" found"))
    assert time.monotonic() - started < 5
    names = [str(one.get_property("textContent")) for one in crowd.all("#list .name")]
    assert names
    assert crowd.run("return document.querySelectorAll('*').length") < 1000


def test_hostile_names_are_shown_as_text(visitor: Visitor) -> None:
    for view in ("#/search", f"#/search/{id_of(1)}", "#/copies/1/1"):
        visitor.visit(view)
        visitor.wait(
            lambda: HOSTILE in [one.get_property("textContent") for one in visitor.all(".name")]
        )
        assert visitor.run("return window.broken") is None
        assert visitor.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert visitor.errors() == []


@pytest.mark.parametrize("width", [1366, 800, 390, 320])
def test_nothing_is_wider_than_the_window(visitor: Visitor, width: int) -> None:
    for view, part in (
        ("#/search", "#list a"),
        (f"#/search/{id_of(1)}", ".card"),
        ("#/copies/1/1", ".pane"),
        (f"#/search/{id_of(99)}", "[role=alert]"),
    ):
        visitor.visit(view, width)
        visitor.wait(lambda part=part: visitor.all(part)[0].is_displayed())
        assert visitor.run("return innerWidth") == width
        assert visitor.overflow() <= 0
        for name in ("main", "aside"):
            script = (
                f"const e = document.querySelector('{name}'); return e.scrollWidth - e.clientWidth"
            )
            assert visitor.run(script) <= 0


def test_a_telephone_shows_the_list_or_what_was_chosen(visitor: Visitor) -> None:
    visitor.visit("#/search", 390)
    visitor.one("#list a").click()
    visitor.matches(2)
    assert not visitor.one("#list").is_displayed()
    visitor.one(".back").click()
    visitor.wait(lambda: visitor.one("#list").is_displayed())
    assert not visitor.one("main").is_displayed()


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_from_what_is_behind_them(visitor: Visitor, dark: bool) -> None:
    visitor.visit(f"#/search/{id_of(1)}", dark=dark)
    visitor.matches(2)
    lightness = visitor.run(
        CONTRASTS + "return lightness(getComputedStyle(document.body).backgroundColor)"
    )
    assert (lightness < 0.1) == dark
    assert visitor.run(CONTRASTS + "return weak()") == []
    visitor.visit("#/copies/1/1", dark=dark)
    visitor.one(".pane")
    assert visitor.run(CONTRASTS + "return weak()") == []


CONTRASTS = """
const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
function lightness(colour) {
  const [red, green, blue] = parts(colour).map((value) => linear(value / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function behind(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    const [, , , alpha = 1] = parts(colour);
    if (alpha === 1) return colour;
  }
}
function weak() {
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, .note")) continue;
    const both = [getComputedStyle(element).color, behind(element)].map(lightness);
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < 4.5) found.push([element.className, element.textContent, contrast]);
  }
  return found;
}
"""


def test_everything_that_can_be_used_has_a_name(visitor: Visitor) -> None:
    for view in ("#/search", f"#/search/{id_of(1)}", "#/copies/1/1"):
        visitor.visit(view)
        visitor.one("#list a, .card, .pane")
        for element in visitor.all("a, button, input, select, video"):
            if element.is_displayed():
                assert element.accessible_name.strip(), element.get_attribute("outerHTML")


def test_a_telephone_goes_from_the_groups_to_a_pair(visitor: Visitor) -> None:
    visitor.visit("#/copies", 390)
    visitor.wait(lambda: visitor.text("#found") == "2 groups")
    visitor.all("#grouplist a")[1].click()
    visitor.one(".verdict.c").click()
    visitor.said("Judged: copy.")
    visitor.one(".back").click()
    visitor.wait(lambda: visitor.one("#grouplist").is_displayed())


def test_the_keys_are_told_in_a_dialog(visitor: Visitor) -> None:
    visitor.visit("#/search")
    visitor.wait(lambda: visitor.all("#list a"))
    visitor.press("?")
    visitor.wait(lambda: visitor.one("#keys").is_displayed())
    visitor.press(Keys.ESCAPE)
    visitor.wait(lambda: not visitor.one("#keys").is_displayed())


def test_the_token_leaves_the_address(browser: Chrome, serve: Serve, tmp_path: Path) -> None:
    collection = PretendCollection(tmp_path, table_of(["/a.mp4"], [1.0]))
    visitor = Visitor(browser, serve(collection, host="0.0.0.0", token="secret"))
    visitor.visit("#/search", token="?token=secret")
    visitor.wait(lambda: len(visitor.all("#list a")) == 1)
    assert "secret" not in visitor.browser.current_url
    visitor.visit("#/search")
    visitor.wait(lambda: len(visitor.all("#list a")) == 1)
    browser.delete_all_cookies()
    visitor.visit("#/search")
    assert "needs its token" in visitor.text("body")


def test_a_server_that_is_gone_is_told(browser: Chrome, serve: Serve, tmp_path: Path) -> None:
    collection = PretendCollection(tmp_path, table_of(["/a.mp4"], [1.0]))
    visitor = Visitor(browser, serve(collection))
    visitor.visit("#/search")
    visitor.wait(lambda: len(visitor.all("#list a")) == 1)
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        visitor.one("#list a").click()
        assert "Is `chain serve` still running?" in visitor.text("[role=alert]")
    finally:
        online = offline | {"offline": False}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", online)
