"""Panoptic quality against hand-drawn cases and against an oracle made of pixel sets and fractions."""

import random
from dataclasses import fields, replace
from fractions import Fraction
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pq_oracle import damaged, oracle

from unipan.classes import ClassTable
from unipan.data.coco_files import read_panoptic_file
from unipan.errors import InputError
from unipan.metrics.pq import PQCounts, count, quality
from unipan.metrics.units import UNITS
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories(
    [
        {"id": 7, "name": "cat", "isthing": 1},
        {"id": 3, "name": "dog", "isthing": 1},
        {"id": 90, "name": "sky", "isthing": 0},
    ]
)


def strip(text: str) -> PanopticMap:
    """A map one pixel high: each letter a segment, a-h cats, i-p dogs, s-z sky, capitals crowds, a dot void."""
    ids = torch.tensor([[0 if letter == "." else ord(letter) for letter in text]], dtype=torch.int32)
    letters = dict.fromkeys(text.replace(".", ""))
    return panoptic_map(
        ids, [Label(ord(a), (a.lower() >= "i") + (a.lower() >= "s"), is_crowd=a.isupper()) for a in letters], CLASSES
    )


def assert_equal_to_oracle(predicted: PanopticMap, true: PanopticMap, num_classes: int) -> None:
    counts = count(predicted, true, num_classes)
    expected = oracle(predicted, true, num_classes)
    assert [[*row] for row in zip(counts.matched.tolist(), counts.extra.tolist(), counts.missed.tolist(), strict=True)] == [
        [int(value) for value in row[1:]] for row in expected
    ]
    for iou_sum, row in zip(counts.iou_sum.tolist(), expected, strict=True):
        assert abs(Fraction(iou_sum) - row[0]) < Fraction(1, 10**12)


def numbers(counts: PQCounts, class_index: int) -> tuple[float, int, int, int]:
    """Summed IoU, matched, extra, missed."""
    iou_sum, matched, extra, missed = (
        field[class_index].item() for field in (counts.iou_sum, counts.matched, counts.extra, counts.missed)
    )
    return iou_sum, int(matched), int(extra), int(missed)


# --- hand-drawn ---


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        pytest.param("aaaassss", "aaaassss", (1.0, 1, 0, 0), id="equal"),
        pytest.param("aaaassss", "ssaaaass", (0.0, 0, 1, 1), id="half covered: 2 of 6, a miss and an extra"),
        pytest.param("aaaassss", "aassssss", (0.0, 0, 1, 1), id="IoU of exactly one half is no match"),
        pytest.param("aaaassss", "aaasssss", (0.75, 1, 0, 0), id="three of four"),
        pytest.param("aaaassss", "iiiissss", (0.0, 0, 0, 1), id="another class never matches"),
        pytest.param("aaaa....", "aaaaaass", (1.0, 1, 0, 0), id="true void is left out of the union"),
        pytest.param("aaaassss", "aaa.ssss", (0.75, 1, 0, 0), id="predicted void is not"),
        pytest.param("aaaassss", "........", (0.0, 0, 0, 1), id="all predicted void"),
        pytest.param("........", "aaaassss", (0.0, 0, 0, 0), id="all true void: nothing to judge"),
        pytest.param("...sssss", "aaaaasss", (0.0, 0, 0, 0), id="an extra mostly on void is forgiven"),
        pytest.param("..ssssss", "aaaassss", (0.0, 0, 1, 0), id="one half on void is not enough"),
        pytest.param("AAAAssss", "aabbssss", (0.0, 0, 0, 0), id="a crowd forgives extras and is not missed"),
        pytest.param("AAAAssss", "ssssssss", (0.0, 0, 0, 0), id="a crowd is never missed"),
        pytest.param("AAAAssss", "aaaassss", (0.0, 0, 0, 0), id="a crowd is never matched"),
        pytest.param("A.ssssss", "aaasssss", (0.0, 0, 0, 0), id="crowd and void forgive together"),
        pytest.param("IIIIssss", "aaaassss", (0.0, 0, 1, 0), id="a crowd of another class forgives nothing"),
        pytest.param("AAABBBss", "cccdddss", (0.0, 0, 1, 0), id="only the last crowd of a class forgives: the first does not"),
        pytest.param("aaabbbss", "aaaaaass", (0.0, 0, 1, 2), id="two things as one"),
    ],
)
def test_cats_of_a_strip(true: str, predicted: str, expected: tuple[float, int, int, int]) -> None:
    assert numbers(count(strip(predicted), strip(true), 3), 0) == expected
    assert_equal_to_oracle(strip(predicted), strip(true), 3)


def test_the_order_of_segments_decides_the_last_crowd() -> None:
    true, predicted = strip("AABBss"), strip("ccssss")
    assert numbers(count(predicted, true, 3), 0) == (0.0, 0, 1, 0)
    assert numbers(count(predicted, replace(true, segments=true.segments[::-1]), 3), 0) == (0.0, 0, 0, 0)


def test_a_crowd_flag_on_a_prediction_means_nothing() -> None:
    assert numbers(count(strip("AAAAssss"), strip("aaaassss"), 3), 0) == (1.0, 1, 0, 0)


def test_stated_areas_are_not_read() -> None:
    true = strip("aaaassss")
    wrong = replace(true, segments=tuple(replace(segment, area=1) for segment in true.segments))
    assert numbers(count(strip("aaasssss"), wrong, 3), 0) == (0.75, 1, 0, 0)


def test_different_sizes_are_named() -> None:
    with pytest.raises(InputError, match="1x4 pixels but its truth 1x8"):
        count(strip("aaaa"), strip("aaaassss"), 3)


# --- quality ---


def test_quality_of_known_counts() -> None:
    counts = PQCounts(
        np.array([UNITS * 3 // 2, 0, 0]),
        np.array([2, 0, 0]),
        np.array([1, 0, 0]),
        np.array([3, 1, 0]),
    )
    result = quality(counts, CLASSES)
    cat, dog, sky = result.per_class
    assert (cat.pq, cat.sq, cat.rq) == pytest.approx((1.5 / 4, 0.75, 0.5))
    assert (dog.pq, dog.sq, dog.rq) == (0, 0, 0)
    assert result.all.pq == result.things.pq == pytest.approx(1.5 / 8)
    assert result.all.num_classes == result.things.num_classes == 2
    assert not sky.occurs
    assert isnan(sky.pq)
    assert isnan(result.stuff.pq)
    assert result.stuff.num_classes == 0


def test_an_image_without_pairs_adds_up_as_any_other() -> None:
    none, one = count(strip("...."), strip("...."), 3), count(strip("aaaassss"), strip("aaaassss"), 3)
    assert (none + one).iou_sum.tolist() == [1, 0, 1]


def test_no_image_has_no_quality() -> None:
    assert isnan(quality(PQCounts.zero(3), CLASSES).all.pq)


# --- random maps ---


@st.composite
def small_maps(draw: st.DrawFn, height: int, width: int) -> PanopticMap:
    """Up to six segments in blobs large enough to match, some of them crowds, with ids far apart."""
    known = draw(st.lists(st.integers(1, 2**24 - 1), min_size=1, max_size=6, unique=True))
    cell = draw(st.sampled_from([1, 2, 3]))
    rows, columns = -(-height // cell), -(-width // cell)
    positions = draw(st.lists(st.integers(0, len(known)), min_size=rows * columns, max_size=rows * columns))
    blocks = torch.tensor([0, *known], dtype=torch.int32)[torch.tensor(positions)].view(rows, columns)
    ids = blocks.repeat_interleave(cell, 0).repeat_interleave(cell, 1)[:height, :width].contiguous()
    labels = [Label(number, draw(st.integers(0, 2)), draw(st.sampled_from([False, False, True]))) for number in known]
    return panoptic_map(ids, labels, CLASSES)


@st.composite
def small_pairs(draw: st.DrawFn) -> tuple[PanopticMap, PanopticMap]:
    """A truth, and either another map or the same one damaged."""
    true = draw(small_maps(6, 7))
    if draw(st.booleans()):
        return draw(small_maps(6, 7)), true
    return damaged(true, CLASSES, random.Random(draw(st.integers(0, 999)))), true


@settings(max_examples=300, deadline=None)
@given(small_pairs())
def test_random_pairs_equal_the_oracle(pair: tuple[PanopticMap, PanopticMap]) -> None:
    assert_equal_to_oracle(*pair, num_classes=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(small_pairs(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_counts_add_up_in_any_order_and_split(pairs: list[tuple[PanopticMap, PanopticMap]], rng: random.Random) -> None:
    parts = [count(*pair, 3) for pair in pairs]
    total = sum(parts, PQCounts.zero(3))
    rng.shuffle(parts)
    cut = rng.randrange(len(parts) + 1)
    split = sum(parts[:cut], PQCounts.zero(3)) + sum(parts[cut:], PQCounts.zero(3))
    for field in fields(total):
        assert np.array_equal(getattr(total, field.name), getattr(split, field.name))  # IoUs, too, to the last bit


def test_more_pairs_than_a_sum_can_hold_are_refused() -> None:
    most = PQCounts(np.array([2**62]), *[np.array([2**22])] * 3)
    with pytest.raises(InputError, match=r"over 8,388,607 segments of one class .* score parts of the set"):
        _ = most + most


# --- real truth, damaged ---


@pytest.mark.parametrize(
    "where", ["coco-mini/annotations/panoptic_val2017.json", "coco-sample/sample_data/panoptic_examples.json"]
)
def test_real_truth_damaged_equals_the_oracle(sample_data: Path, where: str) -> None:
    file = read_panoptic_file(sample_data / where)
    rng = random.Random(0)
    with_crowds = [image for image in range(len(file.image_ids)) if any(label.is_crowd for label in file.labels(image))]
    assert with_crowds
    for image in dict.fromkeys([*with_crowds, 0, 1]):
        true = file.map(image)
        counts = count(true, true, len(file.classes))
        assert quality(counts, file.classes).all.pq == 1
        assert counts.extra.sum() == counts.missed.sum() == 0
        assert_equal_to_oracle(damaged(true, file.classes, rng), true, len(file.classes))
