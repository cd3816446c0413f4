"""Labels: every thing has one, in it or beside it with a line to it; none covers another; the work grows with their number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unipan.classes import ClassTable
from unipan.data.scenes.dataset import SceneDataset
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap
from unipan.viz import canvas
from unipan.viz.canvas import Rectangle
from unipan.viz.colors import segment_colors
from unipan.viz.labels import Written
from unipan.viz.overlay import label_segments, overlay

CLASSES = ClassTable.from_categories(
    [
        {"id": 1, "name": "road", "isthing": 0, "color": [128, 64, 128]},
        {"id": 2, "name": "car", "isthing": 1, "color": [0, 0, 142]},
        {"id": 3, "name": "bicycle", "isthing": 1, "color": [119, 11, 32]},
    ]
)
ROAD, CAR, BICYCLE = range(3)


def labelled(panoptic: PanopticMap, scale: int = 1) -> dict[int, Written]:
    """What is written of which segment."""
    height, width = panoptic.ids.shape
    ids = panoptic.ids.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    drawn = Image.new("RGB", (scale * width, scale * height))
    return label_segments(drawn, panoptic, ids, segment_colors(panoptic), scale=scale)


def apart(plates: list[Rectangle]) -> bool:
    x1, y1, x2, y2 = np.array(plates).reshape(-1, 4).T
    overlap = (x1[:, None] < x2) & (x1 < x2[:, None]) & (y1[:, None] < y2) & (y1 < y2[:, None])
    return bool((overlap == np.eye(len(plates), dtype=bool)).all())


def check(panoptic: PanopticMap, written: dict[int, Written], scale: int = 1) -> None:
    """No plate covers another or leaves the image, and each lies in its segment or has a line that ends there."""
    assert apart([found.plate for found in written.values()])
    height, width = panoptic.ids.shape
    for segment_id, (_, (x1, y1, x2, y2), anchor) in written.items():
        assert 0 <= x1 <= x2 <= scale * width
        assert 0 <= y1 <= y2 <= scale * height
        x, y = anchor or ((x1 + x2) / 2, (y1 + y2) / 2)
        assert panoptic.ids[int(y / scale), int(x / scale)] == segment_id


def of_things(panoptic: PanopticMap) -> set[int]:
    return {segment.id for segment in panoptic.segments if segment.is_thing}


def things(boxes: list[tuple[int, int, int, int]], height: int, width: int) -> PanopticMap:
    """Rectangles (x, y, width, height) on a road, later ones on top; what is hidden wholly is no thing."""
    ids = torch.full((height, width), 1, dtype=torch.int32)
    for number, (x, y, wide, high) in enumerate(boxes, start=2):
        ids[y : y + high, x : x + wide] = number
    labels = [Label(1, ROAD), *(Label(n, CAR + n % 2, score=0.87) for n in range(2, len(boxes) + 2))]
    return panoptic_map(ids, labels, CLASSES)


def test_a_label_lies_in_its_segment_where_there_is_room() -> None:
    panoptic = things([(20, 20, 160, 100)], 200, 400)
    written = labelled(panoptic)
    check(panoptic, written)
    assert [(found.text, found.anchor) for found in written.values()] == [("car 0.87", None), ("road", None)]


@pytest.mark.parametrize("box", [(200, 10, 1, 180), (10, 100, 380, 1), (0, 0, 2, 2), (398, 198, 2, 2), (200, 100, 1, 1)])
def test_a_thin_thing_has_its_label_beside_it(box: tuple[int, int, int, int]) -> None:
    panoptic = things([box], 200, 400)
    written = labelled(panoptic)
    check(panoptic, written)
    text, (x1, y1, x2, y2), anchor = written[2]
    assert text == "car 0.87"
    assert anchor is not None
    distance = np.hypot(max(x1 - anchor[0], 0, anchor[0] - x2), max(y1 - anchor[1], 0, anchor[1] - y2))
    assert distance < 3 * (y2 - y1), "near"


def test_a_label_rather_lies_on_stuff_than_on_another_thing() -> None:
    panoptic = things([(100, 0, 100, 200), (202, 90, 2, 20)], 200, 400)
    x1 = labelled(panoptic)[3].plate[0]
    assert x1 >= 203, "on the road at its right, not on the car at its left"


@pytest.mark.parametrize("difficulty", ["standard", "crowded", "touching"])
@pytest.mark.parametrize("scale", [1, 3])
def test_every_thing_of_the_demos_scenes_has_a_label(difficulty: Any, scale: int) -> None:
    scenes = SceneDataset(difficulty=difficulty, size=(128, 160), seed=0, length=12)
    count = 0
    for index in range(len(scenes)):
        truth = scenes[index].truth
        scored = replace(truth, segments=tuple(replace(segment, score=0.87) for segment in truth.segments))
        written = labelled(scored, scale)
        check(scored, written, scale)
        assert of_things(truth) <= written.keys()
        count += len(of_things(truth))
    assert count > 30


@settings(max_examples=25)
@given(data=st.data(), size=st.sampled_from([(300, 500), (700, 500), (1024, 2048)]))
def test_any_things_are_labelled_and_no_label_covers_another(data: st.DataObject, size: tuple[int, int]) -> None:
    height, width = size
    side = st.integers(1, 60)
    box = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1), side, side)
    panoptic = things(data.draw(st.lists(box, max_size=40)), height, width)
    written = labelled(panoptic)
    check(panoptic, written)
    assert of_things(panoptic) <= written.keys()


def many(count: int) -> PanopticMap:
    rng = np.random.default_rng(count)
    boxes = np.stack([rng.integers(0, 2000, count), rng.integers(0, 1000, count), *rng.integers(2, 40, (2, count))], 1)
    return things([tuple(box) for box in boxes.tolist()], 1024, 2048)


def test_three_hundred_things_cost_four_times_what_a_quarter_of_them_does(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    overlap = canvas._overlap
    monkeypatch.setattr(canvas, "_overlap", lambda a, b: compared.append(1) or overlap(a, b))
    effort = {}
    for count in (75, 300):
        compared.clear()
        panoptic = many(count)
        written = labelled(panoptic)
        assert of_things(panoptic) <= written.keys()
        effort[count] = len(compared)
    assert effort[300] < 10 * effort[75], "sixteen times, if each was compared with all"


def test_things_that_labels_would_hide_have_none_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    within = canvas.Plates.within
    monkeypatch.setattr(canvas.Plates, "within", lambda plates, frame: looked.append(frame) or within(plates, frame))
    panoptic = things([(x, y, 8, 8) for x in range(0, 300, 10) for y in range(0, 300, 10)], 300, 300)
    assert labelled(panoptic).keys() <= {1}, "900 labels beside their things would hide all of them"
    assert len(looked) < 20 * 900


LONG = "a name that goes on and on: traffic sign, its back, partly covered, or otherwise of no use for training"


@pytest.mark.parametrize("box", [(20, 20, 160, 100), (100, 50, 1, 1)])
@pytest.mark.parametrize(("name", "shown"), [(LONG, "a name that goes on"), ("a\n\n car\t", "a car 0.87")])
def test_every_name_is_written_as_one_line_that_has_room(box: tuple[int, int, int, int], name: str, shown: str) -> None:
    panoptic = things([box], 150, 240)
    renamed = replace(panoptic, segments=tuple(replace(s, name=name) if s.is_thing else s for s in panoptic.segments))
    written = labelled(renamed)
    check(renamed, written)
    text = written[2].text
    assert text.startswith(shown)
    assert text.endswith("...") == (name == LONG)


def test_where_no_place_is_free_a_label_is_left_out() -> None:
    panoptic = things([(x, y, 4, 4) for x in range(0, 60, 5) for y in range(0, 40, 5)], 40, 60)
    written = labelled(panoptic)
    check(panoptic, written)
    assert 0 < len(written) < len(panoptic.segments)


def golden_cases() -> dict[str, Image.Image]:
    """Small drawings that hold everything: labels inside, beside, outlines, void."""
    scene = things([(20, 15, 90, 45), (130, 10, 3, 70), (150, 60, 12, 4), (100, 75, 60, 35)], 120, 200)
    scene.ids[100:, :60] = 0
    ramp = torch.arange(200, dtype=torch.uint8).expand(3, 120, 200)
    small = SceneDataset(difficulty="standard", size=(64, 80), seed=0, length=3)[2]
    return {"blocks": overlay(scene, ramp), "scene": overlay(small.truth, small.image, scale=3)}


@pytest.mark.parametrize("name", ["blocks", "scene"])
def test_drawings_are_those_that_were_looked_at(name: str, request: pytest.FixtureRequest) -> None:
    """To make them again after a change that is meant: `python tests/viz/test_labels.py`, and look at them."""
    drawn = np.asarray(golden_cases()[name], dtype=int)
    with Image.open(request.path.parent / f"golden/{name}.png") as golden:
        expected = np.asarray(golden, dtype=int)
    assert drawn.shape == expected.shape
    difference = np.abs(drawn - expected).max(axis=2)
    assert difference.mean() < 1.5, "fonts are not rasterised alike everywhere"
    assert (difference > 60).mean() < 0.01


if __name__ == "__main__":
    from pathlib import Path

    for name, drawing in golden_cases().items():
        drawing.save(Path(__file__).parent / f"golden/{name}.png", optimize=True)
