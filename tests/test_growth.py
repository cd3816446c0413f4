"""Exponents of growth on curves that are known, and how a page shows them."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import bench_growth
import pytest
import record
from growth import draw_curves, exponent, growth_table, steepest

X = [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_a_power_law_has_its_exponent(power: float) -> None:
    found = [3 * x**power for x in X]
    assert exponent(X, found) == pytest.approx(power, abs=1e-9)
    assert steepest(X, found) == pytest.approx(power, abs=1e-9)
    assert exponent([0, *X], [7, *found]) == pytest.approx(power, abs=1e-9), "0 has no logarithm"


def test_a_square_behind_a_large_constant_shows_between_the_last_two() -> None:
    found = [100 + x**2 for x in X]
    assert exponent(X, found) < 0.3 < 0.4 < steepest(X, found)


def axes() -> dict[str, Any]:
    """Two rounds: time is linear in the pixels, memory does not grow."""
    rounds = {"seconds": [[x, 3 * x] for x in X], "mib": [[8.0, 8.0] for _ in X]}
    return {
        "pixels": {"values": X, **rounds},
        "detections": {"values": [0, *X], **{key: [[1.0], *rounds[key]] for key in rounds}},
    }


def test_the_page_shows_curves_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- bench_growth -->\n\n<!-- end -->\n")
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(record, "PAGE", page)
    record.record_growth("bench_growth", axes(), note="Two rounds.")
    shown = page.read_text()
    assert "| image, megapixels | processor time, s | 1: 2, 2: 4, 4: 8, 8: 16 | 1.00 | 1.00 |" in shown
    assert "| image, megapixels | memory, MiB | 1: 8, 2: 8, 4: 8, 8: 8 | 0.00 | 0.00 |" in shown
    assert "images/growth.svg" in shown
    assert shown.endswith("Two rounds.\n\n<!-- end -->\n")
    assert json.loads((tmp_path / "bench_growth.json").read_text())["growth"] == axes()
    assert len(growth_table(axes())) == 2 + 4


def test_curves_are_small_and_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra: pip install 'unipan[report]'")
    for name in ("a.svg", "b.svg"):
        draw_curves(axes(), tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert text.count("exponent 1.00") == 2
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert len(text) < 100_000


@pytest.mark.parametrize("detections", [0, 3])
def test_so_many_detections_are_admitted_as_are_asked_for(detections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    predictor = bench_growth.predictor_of(detections, classes=6)
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert len(predictor.infer(image).admitted.scores) == detections
    assert predictor.network_size((64, 64)) == (64, 64)
