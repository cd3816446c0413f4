"""The report in a headless Chromium: silent, self-contained, and as wide as the window."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image
from test_report import HOSTILE, page  # noqa: F401 (a fixture)

from unipan.viz.report import ReportTable, write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = (1280, 800), (390, 844)


def opened(chromium: "Browser", path: Path, size: tuple[int, int], scheme: Literal["dark", "light"], noise: list[str]) -> "Page":
    """noise: filled with what the page says, and asks for beside its own file."""
    view = chromium.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    view.on("console", lambda message: noise.append(message.text))
    view.on("pageerror", lambda error: noise.append(str(error)))
    view.on("dialog", lambda dialog: noise.append(dialog.message))
    view.on("request", lambda request: noise.append(request.url) if not request.url.startswith("data:") else None)
    view.goto(path.as_uri())
    return view


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_says_nothing_asks_for_nothing_and_scrolls_down_alone(
    page: Path,  # noqa: F811
    chromium: "Browser",
    size: tuple[int, int],
    scheme: Literal["dark", "light"],
) -> None:
    noise: list[str] = []
    view = opened(chromium, page, size, scheme, noise)
    assert view.evaluate("document.documentElement.scrollWidth") == size[0]
    assert view.evaluate("[...document.images].filter((image) => image.getAttribute('src') && !image.naturalWidth).length") == 0
    tables = view.locator(".scroll").all()
    assert any(table.evaluate("own => own.scrollWidth > own.clientWidth") for table in tables)  # the wide one, inside itself
    brightness = view.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).slice(0, 3)")
    assert (sum(brightness) < 3 * 128) == (scheme == "dark")
    view.close()
    assert noise == [page.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_confusion_has_the_page_s_ground_and_a_wide_table_a_shade_where_it_goes_on(
    chromium: "Browser", tmp_path: Path, scheme: Literal["dark", "light"]
) -> None:
    wide = ReportTable("wide", ["word"] * 20, [["word"] * 20])
    white = Image.new("RGB", (90, 90), "white")
    write_report(tmp_path / "page.html", title="", source="", facts=[], tables=[wide], confusions=[("", white)])
    view = opened(chromium, tmp_path / "page.html", NARROW, scheme, [])
    ground = np.asarray(Image.open(BytesIO(view.locator(".confusions img").screenshot())).convert("RGB"))[40, 40]
    assert np.abs(ground.astype(int) - ((24, 28, 34) if scheme == "dark" else (255, 255, 255))).max() <= 1
    table, edges = view.locator(".scroll"), []
    for left in (0, 10_000):
        table.evaluate(f"own => own.scrollTo({left}, 0)")
        edges.append(np.asarray(Image.open(BytesIO(table.screenshot())).convert("L"))[-3, -2].astype(int))
    assert abs(edges[0] - edges[1]) > 25
    view.close()


def test_images_enlarge_and_the_arrows_lead_on(page: Path, chromium: "Browser") -> None:  # noqa: F811
    noise: list[str] = []
    view = opened(chromium, page, WIDE, "light", noise)
    large = view.locator("#large")
    assert not large.is_visible()
    view.locator(".example figure button").first.click()
    assert large.locator("p").all_inner_texts() == ["one.jpg. Image", HOSTILE]
    view.keyboard.press("ArrowRight")
    assert large.locator("p").first.inner_text() == "one.jpg. Truth"
    view.keyboard.press("ArrowLeft")
    view.keyboard.press("ArrowLeft")
    assert large.locator("p").first.inner_text() == f"Confusion: {HOSTILE}"
    view.keyboard.press("Escape")
    assert not large.is_visible()
    # The dialog tells that it is closed a moment after it is; then the image that it was opened by is in focus.
    focused = "wanted => document.activeElement.querySelector('img')?.alt === wanted"
    view.wait_for_function(focused, arg=f"Confusion: {HOSTILE}")
    view.close()
    assert noise == [page.as_uri()]
