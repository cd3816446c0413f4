"""The explorer in a headless Chromium: silent, self-contained, and its affinities those of PyTorch."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from explored import HOSTILE, all_void, explored
from PIL import Image
from test_explorer import numbers

from unipan.ops.propagation import AffinityProducts
from unipan.viz.explorer.content import Explored
from unipan.viz.explorer.page import explorer_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = (1280, 800), (390, 844)
CELLS = (0, 31, 32, 100, 333, 400, 512, 640, 700, 767)
"""Ten of 24 x 32: corners, and within sky, sand, things and void."""


class Opened(NamedTuple):
    """A page, and what it has said and asked for."""

    page: "Page"
    noise: list[str]


Open = Callable[..., Opened]


@pytest.fixture
def opened(chromium: "Browser", tmp_path: Path) -> Iterator[Open]:
    """Open the page of images; at the end of the test it must have said nothing, and asked for no more than its own file."""
    contexts, noise = [], []

    def open_page(*images: Explored, size: tuple[int, int] = WIDE, **options: Any) -> Opened:
        path = explorer_page(images).save(tmp_path / "page.html")
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.on("request", lambda request: noise.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        page.evaluate("ready")
        return Opened(page, noise)

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in noise if not text.startswith(("blob:", "data:"))] == []


def at(page: "Page", x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the image is on the screen."""
    frame = page.locator("#stage").bounding_box()
    left, top = page.evaluate(f"stage.toScreen({x}, {y})")
    return frame["x"] + left, frame["y"] + top


PIXELS = """((canvas, x = 0, y = 0, width = canvas.width, height = canvas.height) => {
    const context = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height})
        .getContext("2d", {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    return context.getImageData(x, y, width, height).data;
})"""
"""A canvas's bytes, through one that is made for being read."""


def frame(page: "Page") -> None:
    """Wait until the page has drawn what was asked for."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until(page: "Page", condition: str) -> None:
    """Wait for it, looking once a frame; Playwright's own way evaluates texts, which the page forbids."""
    page.evaluate(f"new Promise((done) => {{ const look = () => {condition} ? done() : requestAnimationFrame(look); look(); }})")


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_is_wider_than_the_window(opened: Open, size: tuple[int, int], scheme: str) -> None:
    page, _ = opened(explored(), explored(name="b" * 300), size=size, color_scheme=scheme)
    for index in (0, 1):
        page.evaluate(f"showImage({index})")
        for layer in range(1, 10):
            page.keyboard.press(f"Digit{layer}")
        frame(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 22, 27)") == (scheme == "dark")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 27)"


@pytest.mark.parametrize("form", ["pooled", "dot", "normalised", "softmax"])
def test_the_affinity_is_that_of_pytorch(opened: Open, form: Any) -> None:
    shown = explored(form=form)
    page, _ = opened(shown)
    stored = shown.to_json()["affinity"]
    error = torch.tensor(stored["scales"], dtype=torch.float64)[:, None] / 2
    affinity = shown.affinity
    assert affinity is not None
    rows, scale, norm = affinity
    exact = rows.double()
    levels = numbers(stored["values"], np.int8).reshape(rows.shape[1], -1)
    kept = torch.from_numpy(levels * np.array(stored["scales"])[:, None]).T
    for cell in CELLS:
        row = torch.tensor(page.evaluate(f"[...affinityRow(state.image, {cell})]"), dtype=torch.float64)
        bound = scale * (exact.abs() @ error + exact[cell].abs() @ error + error.square().sum())[:, 0]
        expected = [row_of(AffinityProducts(some, scale, norm), cell) for some in (exact, kept)]
        assert torch.allclose(row, expected[1], rtol=1e-4, atol=1e-6), "of the stored features it is exact"
        if norm == "none":
            assert ((row - expected[0]).abs() <= bound + 1e-5).all()
        else:  # shares: each product is off by at most its bound
            assert (row - expected[0]).abs().max() <= 2 * bound.max() * expected[0].max()


def test_what_is_of_one_segment_is_told_from_the_evidence(opened: Open) -> None:
    shown = explored()
    page, _ = opened(shown)
    shares = (shown.parts["evidence"].flatten(1) + shown.bias[:, None]).double().softmax(0)
    for cell in CELLS:
        row = torch.tensor(page.evaluate(f"[...togetherRow(state.image, {cell})]"), dtype=torch.float64)
        assert (row - shares[:, cell] @ shares).abs().max() < 0.04, "a logit is off by at most 0.018"
    page.mouse.click(*at(page, 20, 30))
    page.evaluate("showAlone(layerOf('together'))")
    frame(page)
    color = page.evaluate("[..." + PIXELS + "(layerOf('together').canvas, 5, 7, 1, 1)]")
    other = page.evaluate("[..." + PIXELS + "(layerOf('together').canvas, 5, 20, 1, 1)]")
    assert np.abs(np.subtract(color[:3], (230, 159, 0))).max() <= 3
    assert other[3] < color[3] / 4, "sand is hardly of the tool's segment"


def row_of(affinity: AffinityProducts, cell: int) -> torch.Tensor:
    products = affinity.rows[cell] @ affinity.rows.T * affinity.scale
    return {"none": products, "sum": products / products.sum(), "softmax": products.softmax(0)}[affinity.norm]


def test_what_is_at_the_pointer_is_told(opened: Open) -> None:
    shown = explored()
    page, _ = opened(shown)
    page.mouse.move(*at(page, 20, 30))  # on the tool
    frame(page)
    assert page.inner_text("#where") == "x 20, y 30"
    tool = next(segment for segment in shown.answer.segments if segment.name == "tool")
    assert f"tool 0.93, {tool.area:,} px" in page.inner_text("#segments-here")
    cell = 30 // 4 * 32 + 20 // 4
    logits = {part: values.flatten(1)[:, cell] for part, values in shown.parts.items()}
    total = logits["evidence"] + logits["unary"] + shown.bias
    rows = [
        [" ".join(cell.split()) for cell in row.inner_text().replace("−", "-").split("\t")]
        for row in page.locator("#channels-here tr").all()
    ]
    order = total.argsort(descending=True).tolist()
    names = ["sky", "sand", "tool 0.93", f"{HOSTILE} 0.62", "void"]
    assert [row[0] for row in rows] == [names[channel] for channel in order]
    assert "logit = evidence + unary part + existence, to " in page.inner_text("#channels-here caption")
    [score] = [span for span in page.locator("#channels-here .name span").all() if span.inner_text() == "0.62"]
    cell = page.locator("#channels-here td:first-child", has=page.get_by_text("0.62")).bounding_box()
    place = score.bounding_box()
    assert place["x"] + place["width"] <= cell["x"] + cell["width"], "a long name is cut, its score is whole"
    for row, channel in zip(rows, order, strict=True):
        evidence, sign, unary, *bias = row[3].split()
        assert float(row[2]) == pytest.approx(total[channel].item(), abs=0.05)
        assert float(evidence) == pytest.approx(logits["evidence"][channel].item(), abs=0.03)
        assert (-1 if sign == "-" else 1) * float(unary) == pytest.approx(logits["unary"][channel].item(), abs=0.02)
        assert -float(bias[1] if bias else 0) == shown.bias[channel]


def test_pins_stay_in_colors_of_their_own(opened: Open) -> None:
    page, _ = opened(explored())
    for x, y in ((20, 30), (90, 10), (70, 80)):
        page.mouse.click(*at(page, x, y))
    page.mouse.move(*at(page, 40, 60))
    frame(page)
    pins = page.evaluate("state.pins.map(({x, y, color}) => [x, y, ...color])")
    assert [pin[:2] for pin in pins] == [[20, 30], [90, 10], [70, 80]]
    assert len({tuple(pin[2:]) for pin in pins}) == 3
    assert page.locator("#pins li").count() == 3
    assert "at the pointer" in page.inner_text("#pins")
    color = "[..." + PIXELS + "(layerOf('affinity').canvas, {}, {}, 1, 1)].slice(0, 3)"
    for x, y, *expected in pins:  # a cell is tied most to itself, or as much
        assert np.abs(np.subtract(page.evaluate(color.replace("{}, {}", f"{x // 4}, {y // 4}")), expected)).max() <= 2
    page.mouse.click(*at(page, 90, 10))
    assert page.evaluate("state.pins.map(({x}) => x)") == [20, 70]
    page.click("#pins li:first-child button")
    page.click("#clear")
    assert page.evaluate("state.pins.length") == 0
    for n in range(9):
        page.evaluate(f"pinAt({4 * n + 1}, 1)")
    assert len(set(map(tuple, page.evaluate("state.pins.map(({color}) => color)")))) == 7, "the oldest went"


def test_every_layer_paints_and_scales_have_legends(opened: Open) -> None:
    page, _ = opened(explored())
    keys = page.evaluate("state.layers.map(({key}) => key)")
    assert len(keys) == 15
    for index, key in enumerate(keys):
        row = page.locator("#layer-list li").nth(index)
        title = row.get_by_role("checkbox").get_attribute("aria-label")
        row.get_by_role("button", name=f"Show {title} only", exact=True).click()
        frame(page)
        assert page.evaluate("state.layers.filter(({on}) => on).map(({key}) => key)") == [*dict.fromkeys([key, "image"])]
        canvas = f"layerOf('{key}').canvas ?? byId(layerOf('{key}').key === 'outlines' ? 'outlines' : 'marks')"
        assert page.evaluate(f"new Set({PIXELS}({canvas})).size") > 2, key
        scaled = key in ("together", "potential", "logits", "evidence", "unary")
        assert page.locator("#layer-list li").nth(index).locator(".scale").count() == scaled
    assert page.locator("#affinity .scale").count() == 1
    share = float((explored().answer.ids != explored().unpropagated.ids).float().mean())
    assert f"{100 * share:.2f} %" in page.evaluate("layerOf('changes').legend")
    assert all(
        text == f"{HOSTILE} · unified · threshold 0.5 · trimming none" for text in page.locator(".source").all_inner_texts()
    )


def test_opacity_and_channel_change_what_is_seen(opened: Open) -> None:
    page, _ = opened(explored())
    page.locator("#layer-list input[type=range]").nth(2).fill("0.25")
    assert page.evaluate("[layerOf('answer').on, layerOf('answer').canvas.style.opacity]") == [True, "0.25"]
    page.evaluate("showAlone(layerOf('potential'))")
    frame(page)
    painted = "layerOf('potential').canvas.toDataURL()"
    before = page.evaluate(painted)
    page.select_option("#channel", "1")
    frame(page)
    assert page.evaluate(painted) != before
    low, high = page.locator("#layer-list .scale span").all_inner_texts()
    assert (low, high) == ("0.00", "0.900")


def test_the_keyboard_does_what_the_mouse_does(opened: Open) -> None:
    page, _ = opened(explored(), explored(name="second"))
    page.focus("#stage")
    where = "[state.pointer.column, state.pointer.row]"
    column, row = page.evaluate(where)
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp", "Shift+ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate(where) == [column + 10, row + 1]
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("state.pins.length") == 2
    page.keyboard.press("Backspace")
    assert page.evaluate("state.pins.length") == 1
    page.keyboard.press("Escape")
    assert page.evaluate("state.pins.length") == 0
    page.keyboard.press("Digit3")
    assert page.evaluate("layerOf('answer').on")
    page.keyboard.press("Shift+Digit7")
    assert page.evaluate("state.layers.filter(({on}) => on).map(({key}) => key)") == ["semantic", "image"]
    channel = page.evaluate("state.channel")
    page.keyboard.press("]")
    assert page.evaluate("state.channel") == (channel + 1) % 5
    page.keyboard.press("c")
    assert page.evaluate("state.channel === channelsAt(state.image, state.pointer.cell)[0].channel")
    page.keyboard.press("+")
    assert page.evaluate("stage.scale / stage.fitScale") == pytest.approx(1.5)
    page.keyboard.press("0")
    assert page.evaluate("stage.scale / stage.fitScale") == 1
    page.keyboard.press("n")
    until(page, "state.image.name === 'second'")
    assert page.evaluate("state.layers.filter(({on}) => on).map(({key}) => key)") == ["semantic", "image"], "as it was"
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")


def test_wheel_zooms_at_the_pointer_and_a_drag_pans(opened: Open) -> None:
    page, _ = opened(explored())
    page.mouse.move(*at(page, 90, 60))
    page.mouse.wheel(0, -400)
    frame(page)
    assert page.evaluate("stage.scale / stage.fitScale") == pytest.approx(np.e, rel=1e-3)
    spot = at(page, 90, 60)
    page.mouse.down()
    page.mouse.move(spot[0] + 30, spot[1] - 20, steps=4)
    page.mouse.up()
    assert np.allclose(np.subtract(at(page, 90, 60), spot), (30, -20), atol=1)
    assert page.evaluate("state.pins.length") == 0, "a drag is no click"


def test_fingers_point_pin_and_zoom(opened: Open) -> None:
    page, _ = opened(explored(), size=NARROW, has_touch=True, is_mobile=True)
    x, y = at(page, 20, 30)
    page.touchscreen.tap(x, y)
    assert page.evaluate("[state.pointer.x, state.pointer.y, state.pins.length]") == [20, 30, 1]
    session = page.context.new_cdp_session(page)
    fingers = lambda apart: [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]  # noqa: E731
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": fingers(20)})
    for apart in (30, 40):
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": fingers(apart)})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("stage.scale / stage.fitScale") == pytest.approx(2, rel=0.02)
    assert page.evaluate("state.pins.length") == 1, "two fingers pin nothing"


def test_a_resized_window_shows_the_whole_image(opened: Open) -> None:
    page, _ = opened(explored())
    for size in ((700, 500), NARROW, (1600, 900)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        until(page, "stage.scale === stage.fitScale")
        frame(page)
        inside = "[stage.x >= -1e-6, stage.y >= -1e-6, byId('marks').width === stage.element.clientWidth]"
        assert page.evaluate(inside) == [True] * 3


def test_the_view_is_saved_as_it_is_seen(opened: Open, tmp_path: Path) -> None:
    page, _ = opened(replace(explored(), name="folder/scene 1.png"))
    page.mouse.click(*at(page, 20, 30))
    page.evaluate("for (const layer of state.layers) setLayer(layer, {on: ['answer'].includes(layer.key), opacity: 1})")
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename == "folder_scene_1-explorer.png"
    download.value.save_as(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as saved:
        pixels = np.asarray(saved.convert("RGB"))
    height, width = page.evaluate("[stage.element.clientHeight, stage.element.clientWidth]")
    assert pixels.shape[:2] == (height + 28, width)
    x, y = map(int, page.evaluate("stage.toScreen(60, 20)"))
    assert pixels[y, x].tolist() == [126, 178, 240], "sky, in its color"
    assert (pixels[height:] < 128).any(), "below it stands where it comes from"
    page.evaluate("setLayer(layerOf('affinity'), {on: true}), setLayer(layerOf('logits'), {on: true})")
    scales = page.evaluate("update(), scalesShown(state).map(({title}) => title)")
    assert scales == ["Affinity, pin 1", "logits of tool 0.93"]
    assert page.evaluate("viewCanvas(stage, state).height") == height + 50


def test_a_page_in_a_notebook_runs_in_its_frame(chromium: "Browser") -> None:
    page = chromium.new_page()
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.set_content(explorer_page([explored()])._repr_html_())
    frame = page.frames[1]
    frame.evaluate("ready")
    assert frame.evaluate("state.image.cells") == 24 * 32
    assert noise == []
    page.close()


def test_an_image_of_two_megapixels(opened: Open, tmp_path: Path) -> None:
    page, _ = opened(explored(height=1024, width=2048, dim=128, detections=2))
    assert (tmp_path / "page.html").stat().st_size < 15e6
    assert page.evaluate("[state.image.rows, state.image.columns, state.image.block]") == [128, 256, 2]
    assert "each the mean of 2 × 2" in page.inner_text("#facts")
    page.mouse.click(*at(page, 300, 400))
    frame(page)
    assert page.evaluate("segmentAt(state.image, 'answer', state.pins[0]).name") == "tool"


@pytest.mark.parametrize("key", ["answer", "truth", "unpropagated"])
def test_an_image_of_nothing_but_void_is_shown_beside_others(opened: Open, key: str) -> None:
    page, _ = opened(explored(), replace(explored(name="void"), **{key: all_void()}), explored(name="third"))
    for index, segments in enumerate((4, 0, 4)):
        page.evaluate(f"showImage({index})")
        for layer in range(1, 10):
            page.keyboard.press(f"Digit{layer}")
        page.mouse.click(*at(page, 60, 20))
        frame(page)
        assert page.evaluate(f"state.image.maps.{key}.segments.length") == segments
        assert page.evaluate(f"segmentAt(state.image, {key!r}, {{x: 60, y: 20}})?.name") == ("sky" if segments else None)


def test_a_network_without_affinity_says_so(opened: Open) -> None:
    bare = replace(explored(masks=False), parts={}, bias=torch.zeros(0), affinity=None, unpropagated=None, truth=None)
    page, _ = opened(bare)
    page.mouse.click(*at(page, 20, 30))
    assert page.inner_text("#affinity-note") == "This network has learnt no affinity."
    assert page.evaluate("state.layers.map(({key}) => key)") == ["answer", "outlines", "labels", "semantic", "boxes", "image"]
    assert not page.is_visible("#channels-here")
    assert json.loads(page.evaluate("JSON.stringify(state.pins)")) == []
