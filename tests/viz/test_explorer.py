"""What the explorer's page holds: numbers to half a step of 8 bits, means of blocks, names that stay names."""

import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affinity_rows import affinity_rows
from explored import HOSTILE, all_void, explored

from unipan.errors import InputError
from unipan.ops.propagation import affinity_products
from unipan.viz.explorer import content
from unipan.viz.explorer import page as page_module
from unipan.viz.explorer.encode import pooled, quantised_channels, quantised_features
from unipan.viz.explorer.page import explorer_page


def numbers(text: str, dtype: Any) -> np.ndarray:
    return np.frombuffer(zlib.decompress(b64decode(text)), dtype)


def data_in(html: str) -> Any:
    """What a browser reads out of the page's JSON."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0, 1e6])
def test_numbers_come_back_to_half_a_step(spread: float) -> None:
    maps = spread * torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(1))
    features, channels = quantised_features(maps), quantised_channels(maps)
    levels = numbers(features["values"], np.int8).reshape(5, -1)
    steps = np.array(features["scales"])[:, None]
    assert (np.abs(levels * steps - maps.flatten(1).numpy()) <= 0.5001 * steps).all()
    levels, steps = numbers(channels["values"], np.uint8).reshape(5, -1), np.array(channels["steps"])[:, None]
    back = levels * steps + np.array(channels["lows"])[:, None]
    assert (np.abs(back - maps.flatten(1).numpy()) <= 0.5001 * steps + 1e-6 * spread).all()


def test_blocks_are_means_of_the_cells_that_there_are() -> None:
    maps = torch.arange(15.0).view(1, 3, 5)
    assert pooled(maps, 2).tolist() == [[[3, 5, 6.5], [10.5, 12.5, 14]]]
    assert pooled(maps, 9).tolist() == [[[7]]]


def test_products_of_blocks_are_means_of_the_products_of_their_cells() -> None:
    features = torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(2))
    whole = features.flatten(1).T @ features.flatten(1)
    blocks = pooled(features, 2).flatten(1)
    assert torch.allclose((blocks.T @ blocks)[0, 3], whole[[0, 1, 4, 5]][:, [10, 11, 14, 15]].mean())


def test_a_page_of_a_large_image_has_blocks_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = explored().to_json()
    monkeypatch.setattr(content, "MAX_CELL_BYTES", 4_000)
    small = explored().to_json()
    assert (whole["block"], whole["rows"], whole["columns"], whole["cellWidth"]) == (1, 24, 32, 4)
    assert small["block"] > 1
    assert small["rows"] == -(-24 // small["block"])
    assert len(numbers(small["affinity"]["values"], np.int8)) == 12 * small["rows"] * small["columns"]


def test_pixels_are_positions_of_segments() -> None:
    shown = explored()
    answer = shown.to_json()["maps"]["answer"]
    ids = np.array([0, *(segment["id"] for segment in answer["segments"])])
    assert np.array_equal(ids[numbers(answer["pixels"], "<u2")].reshape(96, 128), shown.answer.ids.numpy())
    for segment in answer["segments"]:
        x, y = segment["middle"]
        assert shown.answer.ids[y, x] == segment["id"]


def test_a_name_never_becomes_markup() -> None:
    page = explorer_page([explored()])
    assert "<img src=x" not in page.html
    assert data_in(page.html)["images"][0]["name"] == HOSTILE
    assert page.html.count("</script>") == 2
    assert "<img" not in page._repr_html_()


def test_a_page_is_told_in_a_line() -> None:
    assert repr(explorer_page([explored()])) == "Page(0.1 MB of HTML; save(path) writes it)"


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    page = explorer_page([explored()])
    assert page.save(tmp_path / "new" / "page.html").read_text() == page.html
    with pytest.raises(InputError, match="cannot write"):
        page.save(tmp_path / "new")


def test_what_a_network_lacks_is_left_out() -> None:
    bare = replace(explored(masks=False), parts={}, bias=torch.zeros(0), affinity=None, unpropagated=None, truth=None)
    stored = bare.to_json()
    assert (stored["channels"], stored["affinity"], stored["parts"], stored["detections"]["masks"]) == ([], None, {}, None)
    assert set(stored["maps"]) == {"answer", "semantic"}


@pytest.mark.parametrize("key", ["answer", "truth", "unpropagated"])
def test_a_map_of_nothing_but_void_is_stored_too(key: str) -> None:
    stored = replace(explored(), **{key: all_void()}).to_json()["maps"]
    assert set(stored) == {"answer", "truth", "unpropagated", "semantic"}
    assert stored[key]["segments"] == []
    assert not numbers(stored[key]["pixels"], "<u2").any()


@pytest.mark.parametrize("form", ["none", "dot", "pooled", "normalised", "softmax"])
def test_rows_follow_from_the_products_that_the_page_stores(form: Any) -> None:
    features = torch.randn(30, 5, generator=torch.Generator().manual_seed(3))
    rows, scale, norm = affinity_products(features, form)
    products = (rows.double() @ rows.double().T * scale)[[4, 7]]
    expected = {"none": products, "sum": products / products.sum(1, keepdim=True), "softmax": products.softmax(1)}[norm]
    assert torch.allclose(affinity_rows(features, torch.tensor([4, 7]), form).double(), expected, rtol=1e-4, atol=1e-6)


def test_the_pages_files_are_short() -> None:
    folder = Path(page_module.__file__).parent
    files = [path for path in folder.iterdir() if path.suffix in (".js", ".css", ".html")]
    lines = {path.name: path.read_text().splitlines() for path in files}
    assert {name for name in lines if name.endswith(".js")} == set(page_module.SCRIPTS), "each is on the page"
    assert {name: len(text) for name, text in lines.items() if len(text) > 199} == {}
    assert {name for name, text in lines.items() if max(map(len, text)) > 130} == set()
