"""Detection and affinity panels, and the contact sheet."""

import numpy as np
import pytest
import torch
from PIL import Image

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.types import Detections
from unipan.viz.canvas import Plates
from unipan.viz.panels import draw_affinity, draw_detections, label_box
from unipan.viz.sheet import contact_sheet

CLASSES = ClassTable.from_categories([{"id": 1, "name": "car", "isthing": 1, "color": [230, 60, 60]}])
GREY = torch.full((3, 96, 128), 90, dtype=torch.uint8)


def detections(*boxes: tuple[float, float, float, float]) -> Detections:
    scores = torch.linspace(0.9, 0.1, len(boxes)) if boxes else torch.zeros(0)
    return Detections(torch.tensor(boxes).reshape(-1, 4), scores, torch.zeros(len(boxes), dtype=torch.int64), None)


def colored(drawing: Image.Image) -> np.ndarray:
    """(H, W): pixels that are not grey."""
    pixels = np.asarray(drawing).astype(int)
    return np.ptp(pixels, axis=2) > 60


def test_an_admitted_box_is_whole_and_another_is_dashed() -> None:
    found = detections((10, 20, 60, 80), (70, 20, 120, 80))
    drawing = colored(draw_detections(GREY, found, CLASSES, torch.tensor([0]), scale=1))
    dashed = drawing[79, 70:120]
    assert drawing[40:75, 10:14].any(axis=1).all()
    assert drawing[75:80, 12:58].any(axis=0).all()
    assert 0.2 < dashed.mean() < 0.8


def test_every_box_is_bold_when_admission_is_not_given() -> None:
    found = detections((10, 20, 60, 80), (70, 20, 120, 80))
    everything = draw_detections(GREY, found, CLASSES, torch.tensor([0, 1]))
    assert draw_detections(GREY, found, CLASSES) == everything
    assert draw_detections(GREY, found, CLASSES, torch.tensor([], dtype=torch.int64)) != everything


def test_no_detections_leave_the_image_as_it_is() -> None:
    assert not colored(draw_detections(GREY, detections(), CLASSES, torch.zeros(0, dtype=torch.int64))).any()


def test_boxes_beyond_the_image_or_of_no_area_are_drawn_within_it() -> None:
    found = detections((-50, -50, 1e5, 1e5), (30, 30, 30, 30), (500, 500, 600, 600))
    assert draw_detections(GREY, found, CLASSES, scale=2).size == (256, 192)


def test_a_long_name_at_a_box_is_shortened() -> None:
    plates = Plates(Image.new("RGB", (200, 100)))
    label_box(plates, "a name\nthat goes on and on, far beyond what the image has room for", (50, 50, 90, 90), (9, 9, 9), 0.9)
    ((x1, _, x2, _),) = plates.within((0, 0, 200, 100))
    assert 150 < x2 - x1 <= 200


def test_where_no_letter_has_room_there_is_no_plate() -> None:
    plates = Plates(Image.new("RGB", (8, 100)))
    label_box(plates, "a name", (0, 50, 8, 90), (9, 9, 9), 0.9)
    assert plates.within((0, 0, 8, 100)) == []


def test_detections_still_in_the_graph_can_be_drawn() -> None:
    found = detections((10.0, 20.0, 60.0, 80.0))
    found = found._replace(boxes=found.boxes.requires_grad_(), scores=found.scores.requires_grad_())
    draw_detections(GREY, found, CLASSES)


def test_heat_is_bright_where_the_affinity_is_and_grey_elsewhere() -> None:
    row = torch.zeros(24, 32)
    row[4:12, 20:30] = 7.0
    pixels = np.asarray(draw_affinity(GREY, row, (20, 4), scale=1)).astype(int)
    inside, outside = pixels[20:44, 84:116], pixels[:60, :60]
    assert inside[..., 0].min() > outside[..., 0].max() + 80


def test_one_extreme_cell_does_not_darken_the_others() -> None:
    row = torch.zeros(24, 32)
    row[4:12, 20:30] = 1.0
    usual = np.asarray(draw_affinity(GREY, row, (20, 4), scale=1)).astype(int)
    row[0, 0] = 1e6
    extreme = np.asarray(draw_affinity(GREY, row, (20, 4), scale=1)).astype(int)
    assert np.abs(usual - extreme)[20:44, 84:116].max() <= 2


def test_a_span_gives_the_colors_one_meaning_in_all_images() -> None:
    row = torch.full((24, 32), 0.5)
    half = np.asarray(draw_affinity(GREY, row, (20, 4), scale=1, span=(0, 1))).astype(int)
    row[:4] = 1.0
    other = np.asarray(draw_affinity(GREY, row, (20, 4), scale=1, span=(0, 1))).astype(int)
    assert np.array_equal(half[24:], other[24:])
    assert other[4, 4].sum() > half[4, 4].sum() + 100


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan")])
def test_equal_or_undefined_affinities_are_all_cold(value: float) -> None:
    drawing = draw_affinity(GREY, torch.full((24, 32), value), (0, 31))
    assert not colored(drawing).any()


def test_affinities_that_do_not_cover_the_image_are_refused() -> None:
    with pytest.raises(InputError, match="stride 4"):
        draw_affinity(GREY, torch.zeros(23, 32), (0, 0))


def test_a_cell_map_larger_than_the_image_is_cut() -> None:
    assert draw_affinity(GREY[:, :93, :125], torch.rand(24, 32), (23, 31), scale=1).size == (125, 93)


def test_contact_sheet_holds_every_image() -> None:
    red, blue = Image.new("RGB", (40, 30), (255, 0, 0)), Image.new("RGB", (60, 20), (0, 0, 255))
    sheet = np.asarray(
        contact_sheet([[red, blue], [blue, red]], column_titles=["a", "b" * 99], row_titles=[["x.jpg"], ["y.jpg"]])
    )
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 2 * red.width * red.height
    assert (sheet == (0, 0, 255)).all(axis=2).sum() == 2 * blue.width * blue.height


def test_each_pair_has_its_caption_above_it() -> None:
    drawing = Image.new("RGB", (90, 10), "white")
    for titles, inked in ((["a", "b"], (True, True)), (["a", ""], (True, False)), (["a"], (True, False))):
        sheet = np.asarray(contact_sheet([[drawing] * 4], column_titles=[""] * 4, row_titles=[titles]))
        dark = np.argwhere(sheet.min(axis=2) < 200)[:, 1]
        assert (bool((dark < 216).any()), bool((dark >= 216).any())) == inked


def test_contact_sheet_refuses_ragged_rows() -> None:
    drawing = Image.new("RGB", (4, 4))
    with pytest.raises(InputError, match="column titles"):
        contact_sheet([[drawing], [drawing, drawing]], column_titles=["a", "b"])
    with pytest.raises(InputError, match="row titles"):
        contact_sheet([[drawing]], column_titles=["a"], row_titles=[])
