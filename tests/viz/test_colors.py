"""Colors of instances: the same in any image and run, and told apart with any kind of color vision."""

from itertools import combinations, pairwise
from math import dist

import numpy as np
import pytest
import torch
from strips import CAR, CLASSES, ROAD, strip

from unipan.class_colors import RGB, default_color, hue_distance, lab_of
from unipan.classes import ClassTable
from unipan.data.cityscapes_labels import CITYSCAPES
from unipan.data.scenes.materials import scene_classes
from unipan.types import Detections
from unipan.viz.colors import SAME_HUE, detection_colors, hue_span, instance_color, segment_colors

VISION = {
    "full": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""What is seen of linear RGB: Machado, Oliveira and Fernandes (2009), at full severity."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(1)
CLASS_COLORS = [(226, 84, 64), (148, 84, 196), (140, 86, 44), (0, 0, 142), (220, 20, 60), (90, 90, 90), (255, 0, 0), (0, 200, 0)]


def lab(color: RGB, vision: str) -> np.ndarray:
    """CIELAB of what is seen of an sRGB color."""
    unit = np.array(color) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / WHITE
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("color", CLASS_COLORS)
def test_neighbours_in_rank_are_told_apart(color: RGB, vision: str) -> None:
    seen = [lab(instance_color(color, rank), vision) for rank in range(20)]
    assert min(np.linalg.norm(a - b) for a, b in pairwise(seen)) > 15, "2.3 is just noticed"


def things_of(*colors: RGB) -> ClassTable:
    return ClassTable.from_categories([{"id": n + 1, "name": f"{n}", "isthing": 1, "color": [*c]} for n, c in enumerate(colors)])


COCO_COLORS: list[RGB] = [
    *[(220, 20, 60), (119, 11, 32), (0, 0, 142), (0, 0, 230), (106, 0, 228), (0, 60, 100), (0, 80, 100), (0, 0, 70), (0, 0, 192)],
    *[(250, 170, 30), (100, 170, 30), (220, 220, 0), (175, 116, 175), (250, 0, 30), (165, 42, 42), (255, 77, 255), (0, 226, 252)],
]
"""Of its first things."""
TABLES = {
    "demo": scene_classes(),
    "Cityscapes": CITYSCAPES,
    "COCO": things_of(*COCO_COLORS),
    "without colors": things_of(*map(default_color, range(27))),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_shade_has_its_class_s_hue_rather_than_another_s(name: str) -> None:
    """As far as classes differ in hue at all: Cityscapes' car and truck are two blues."""
    table = TABLES[name]
    for index in table.things:
        color, span = table[index].color, hue_span(table, index)
        apart = [table[other].color for other in table.things if hue_distance(color, table[other].color) > SAME_HUE]
        for shade in (instance_color(color, rank, span) for rank in range(40)):
            assert all(hue_distance(shade, color) < hue_distance(shade, other) for other in apart)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", TABLES)
def test_neighbours_are_told_apart_where_hues_are_few(name: str, vision: str) -> None:
    table = TABLES[name]
    for index in table.things:
        seen = [lab(instance_color(table[index].color, rank, hue_span(table, index)), vision) for rank in range(20)]
        assert min(np.linalg.norm(a - b) for a, b in pairwise(seen)) > 15
        assert all(25 < lightness < 90 for lightness, _, _ in seen) or vision != "full"


@pytest.mark.parametrize("name", ["car", "person", "bicycle"])
def test_things_of_a_street_are_told_apart(name: str) -> None:
    """Though another class has the very hue of each."""
    index = next(index for index in CITYSCAPES.things if CITYSCAPES[index].name == name)
    shades = [lab_of(instance_color(CITYSCAPES[index].color, rank, hue_span(CITYSCAPES, index))) for rank in range(20)]
    assert min(dist(a, b) for a, b in combinations(shades, 2)) > 5, "2.3 is just noticed"


def test_no_snake_looks_like_a_log() -> None:
    """Of the demo, whose fourth snake was 9 from the color of logs and 38 from its own."""
    table = scene_classes()
    snake, log = (next(index for index in table.things if table[index].name == name) for name in ("snake", "log"))
    shades = [lab_of(instance_color(table[snake].color, rank, hue_span(table, snake))) for rank in range(12)]
    own, other = (lab_of(table[index].color) for index in (snake, log))
    assert dist(shades[3], own) < 20 < 30 < dist(shades[3], other)
    assert min(dist(shade, other) for shade in shades) > 20


@pytest.mark.parametrize("color", CLASS_COLORS)
def test_no_instance_is_nearly_black_or_white(color: RGB) -> None:
    assert all(25 < lab_of(instance_color(color, rank))[0] < 90 for rank in range(100))


@pytest.mark.parametrize(("number", "stuff", "things"), [(6, 70, 45), (27, 27, 14), (133, 11, 5)])
def test_default_colors_of_classes_are_told_apart(number: int, stuff: float, things: float) -> None:
    """Stuff has its class's color, a thing a shade of it."""
    colors = [default_color(index) for index in range(number)]
    seen = [lab(color, "full") for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > stuff
    assert min(np.linalg.norm(a - b) for a, b in combinations([lab(instance_color(c, 0), "full") for c in colors], 2)) > things
    assert all(20 < lightness < 97 and np.hypot(a, b) > 10 for lightness, a, b in seen), "none is near black, white or grey"


def test_distances_are_those_of_the_standard() -> None:
    for color in [*CLASS_COLORS, (0, 0, 0), (255, 255, 255), (3, 2, 1)]:
        assert lab_of(color) == pytest.approx(lab(color, "full"), abs=0.05)


def test_a_rank_has_its_shade_for_ever() -> None:
    """Written down: who changes them makes old drawings disagree with new ones."""
    assert [instance_color((226, 84, 64), rank) for rank in range(4)] == SHADES


SHADES = [(226, 84, 64), (144, 22, 50), (233, 107, 180), (135, 78, 21)]


def test_a_detection_has_the_color_of_its_segment_or_one_that_is_free() -> None:
    """Ids 2, 3, 4 are those of the three detections, of which the second has no pixel in the answer."""
    answer = segment_colors(strip("aabbbddd", a=ROAD, b=CAR, d=CAR))
    boxes = torch.tensor([(2.0, 0, 5, 1), (0, 0, 2, 1), (5, 0, 8, 1)])
    found = Detections(boxes, torch.ones(3), torch.full((3,), CAR), None)
    colors = detection_colors(found, CLASSES, answer)
    assert [colors[0], colors[2]] == [answer[2], answer[4]]
    assert colors[1] == instance_color(CLASSES[CAR].color, 2, hue_span(CLASSES, CAR))


def test_things_beyond_what_colors_can_tell_are_colored_all_the_same() -> None:
    panoptic = strip("abc", a=CAR, b=CAR, c=CAR)
    taken = [instance_color(CLASSES[CAR].color, rank, hue_span(CLASSES, CAR)) for rank in range(500)]
    assert len(set(segment_colors(panoptic, taken=taken).values()) - set(taken)) == 3
