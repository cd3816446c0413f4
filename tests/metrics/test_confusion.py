"""Confusion and mean IoU against a slow count."""

from math import isnan

import numpy as np
import pytest
import torch
from class_maps import class_map, confuse
from hypothesis import given
from hypothesis import strategies as st

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.metrics.confusion import Confusion, mean_iou, pixels_by_name, thing_stuff_confusion
from unipan.metrics.pq import count, quality
from unipan.metrics.segment_matching import match_maps
from unipan.ops.segments import Label, panoptic_map

CLASSES = ClassTable.from_categories(
    [
        {"id": 1, "name": "cat", "isthing": 1},
        {"id": 2, "name": "sky", "isthing": 0},
        {"id": 3, "name": "sea", "isthing": 0},
    ]
)
V = VOID


def test_a_drawn_case() -> None:
    true = torch.tensor([[0, 0, 0, 1], [1, 1, V, V]], dtype=torch.int16)
    predicted = torch.tensor([[0, 0, V, 0], [1, 1, 0, 2]], dtype=torch.int16)
    confusion = confuse(predicted, true, 3)
    assert confusion.pixels.tolist() == [[2, 0, 0, 1], [1, 2, 0, 0], [0, 0, 0, 0]]
    iou = mean_iou(confusion, CLASSES)
    assert iou.per_class[:2] == pytest.approx((2 / 4, 2 / 3))
    assert isnan(iou.per_class[2])  # predicted on void truth only: not judged
    assert (iou.all, iou.things, iou.stuff) == pytest.approx((7 / 12, 1 / 2, 2 / 3))


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    iou = mean_iou(confuse(torch.tensor([[1, 2]]), torch.tensor([[1, 1]]), 3), CLASSES)
    assert iou.stuff == pytest.approx(1 / 4)
    assert isnan(iou.things)


def test_no_image_has_no_iou() -> None:
    iou = mean_iou(Confusion.zero(3), CLASSES)
    assert isnan(iou.all)
    assert all(isnan(value) for value in iou.per_class)


# --- things against stuff, and by name ---


def test_things_and_stuff_of_a_drawn_case() -> None:
    true = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2, 2, 2, V]], dtype=torch.int16)
    predicted = torch.tensor([[0, 1, 2, V, 2, 0, 0, 0, V, 2, 0]], dtype=torch.int16)
    shares = thing_stuff_confusion(confuse(predicted, true, 3), CLASSES)
    assert (shares.things_as_things, shares.things_as_stuff, shares.things_as_void) == (1 / 4, 2 / 4, 1 / 4)
    assert (shares.stuff_as_things, shares.stuff_as_stuff, shares.stuff_as_void) == (3 / 6, 2 / 6, 1 / 6)


def test_a_kind_without_truth_has_no_shares() -> None:
    shares = thing_stuff_confusion(confuse(torch.tensor([[0, 1]]), torch.tensor([[1, 1]]), 3), CLASSES)
    assert isnan(shares.things_as_stuff)
    assert (shares.stuff_as_things, shares.stuff_as_stuff) == (1 / 2, 1 / 2)


def test_names_of_what_was_taken_for_what() -> None:
    true, predicted = torch.tensor([[0, 0, 1]]), torch.tensor([[0, V, 2]])
    assert pixels_by_name(confuse(predicted, true, 3), CLASSES) == {"cat": {"cat": 1, "(void)": 1}, "sky": {"sea": 1}, "sea": {}}


segment_maps = st.tuples(
    st.lists(st.sampled_from([0, 5, 6, 900]), min_size=12, max_size=12), st.lists(st.integers(0, 2), min_size=3, max_size=3)
)


@given(segment_maps, segment_maps)
def test_matched_segments_equal_their_class_maps(
    predicted: tuple[list[int], list[int]], true: tuple[list[int], list[int]]
) -> None:
    maps = []
    for positions, classes in (predicted, true):
        labels = [Label(number, index) for number, index in zip([5, 6, 900], classes, strict=True)]
        maps.append(panoptic_map(torch.tensor(positions, dtype=torch.int32).view(3, 4), labels, CLASSES))
    assert np.array_equal(Confusion.of(match_maps(*maps), 3).pixels, confuse(*map(class_map, maps), 3).pixels)  # type: ignore[call-arg]


def test_one_stray_pixel_is_a_whole_false_positive() -> None:
    """Section C: it costs PQ a segment, and the IoU of its class apart, mean IoU next to nothing."""
    classes = ClassTable(
        tuple(ClassInfo(name=n, is_thing=False, dataset_id=i, color=(0, 0, 0), supercategory=n) for i, n in enumerate("abc"))
    )
    labels = [Label(id=index + 1, class_index=index) for index in range(3)]
    true = torch.ones(2, 40, 40, dtype=torch.int32)
    true[1] = 3  # of two images the second is all "c"
    predicted = true.clone()
    predicted[0, 0, 0] = 3
    maps = [[panoptic_map(ids, labels, classes) for ids in side] for side in (predicted, true)]
    counts = [count(p, t, 3) for p, t in zip(*maps, strict=True)]
    assert quality(counts[0] + counts[1], classes).per_class[2].rq == pytest.approx(1 / 1.5)
    confusion = [Confusion.of(match_maps(p, t), 3) for p, t in zip(*maps, strict=True)]
    assert mean_iou(confusion[0] + confusion[1], classes).per_class[2] > 0.999
