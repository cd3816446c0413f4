"""Panoptic quality by size: by hand, and as a split of the whole count."""

import random
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pq_oracle import damaged

from unipan.classes import ClassTable
from unipan.metrics.pq import PQCounts, count
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.metrics.sizes import SizeLimits, count_by_size, own_limits, quality_by_size
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories([{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}])


def squares(*things: tuple[int, int, int]) -> PanopticMap:
    """120 x 300 pixels of sky with square cats: x, y and side."""
    ids = torch.full((120, 300), 99, dtype=torch.int32)
    for number, (x, y, side) in enumerate(things, 1):
        ids[y : y + side, x : x + side] = number
    return panoptic_map(ids, [Label(99, 1), *(Label(number, 0) for number in range(1, len(things) + 1))], CLASSES)


def counted(predicted: PanopticMap, true: PanopticMap) -> PQCounts:
    return count_by_size(match_maps(predicted, true), 2)


def cats(counts: PQCounts) -> list[tuple[int, int, int]]:
    """Matched, extra and missed cats of each of COCO's sizes."""
    sizes = quality_by_size(counts, CLASSES)
    entries = [size.per_class[0] for size in (sizes.small, sizes.medium, sizes.large)]
    return [(entry.matched, entry.extra, entry.missed) for entry in entries]


def test_the_limits_are_cocos() -> None:
    true = squares((0, 0, 31), (40, 0, 32), (80, 0, 96), (180, 0, 97))
    assert cats(counted(true, true)) == [(1, 0, 0), (2, 0, 0), (1, 0, 0)]
    assert own_limits(counted(true, true), CLASSES) is None


def test_the_true_size_decides_for_pairs_and_misses_and_the_predicted_one_for_extras() -> None:
    true = squares((0, 0, 31), (200, 0, 97))
    predicted = squares((0, 0, 32), (60, 0, 40))  # the first cat a little large, the second lost, and one that is none
    assert cats(counted(predicted, true)) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_quality_of_each_size() -> None:
    true = squares((0, 0, 20), (200, 0, 97))
    result = quality_by_size(counted(squares((0, 0, 20)), true), CLASSES)
    assert (result.small.things.pq, result.large.things.pq) == (1, 0)
    assert result.medium.all.num_classes == 0
    assert 0.6 < result.large.stuff.pq < 1  # the sky


def test_things_of_one_of_cocos_sizes_are_parted_by_their_own() -> None:
    true = squares((0, 0, 5), (10, 0, 5), (20, 0, 9), (40, 0, 9), (60, 0, 20), (90, 0, 21))
    predicted = squares((0, 0, 5), (10, 0, 5), (20, 0, 9), (90, 0, 21))
    limits = own_limits(counted(predicted, true), CLASSES)
    assert limits == SizeLimits(32, 128)
    sizes = quality_by_size(counted(predicted, true), CLASSES, limits)  # type: ignore[arg-type]
    assert [size.things.pq for size in (sizes.small, sizes.medium, sizes.large)] == pytest.approx([1, 2 / 3, 2 / 3])


def test_the_caption_counts_the_true_things_of_each_size() -> None:
    true = squares((0, 0, 5), (10, 0, 5), (20, 0, 9), (40, 0, 9), (120, 0, 9), (60, 0, 20), (90, 0, 21))
    report = Score.of(match_maps(squares((0, 0, 5)), true), 2).report("", CLASSES)
    assert report.size_table().heading.startswith("By size (limits by the set: 2, 3 and 2 things): medium from 32 px")


@pytest.mark.parametrize("sides", [(5, 5, 5, 5), ()])
def test_things_all_alike_and_none_at_all_have_no_sizes_of_their_own(sides: tuple[int, ...]) -> None:
    true = squares(*((30 * position, 0, side) for position, side in enumerate(sides)))
    assert own_limits(counted(true, true), CLASSES) is None


@st.composite
def maps(draw: st.DrawFn) -> PanopticMap:
    positions = draw(st.lists(st.integers(0, 4), min_size=16, max_size=16))
    ids = torch.tensor(positions, dtype=torch.int32).view(4, 4).repeat_interleave(5, 0).repeat_interleave(5, 1)
    labels = [Label(number, draw(st.integers(0, 1)), draw(st.booleans())) for number in range(1, 5)]
    return panoptic_map(ids, labels, CLASSES)


@settings(max_examples=50, deadline=None)
@given(maps(), st.integers(0, 999))
def test_the_sizes_add_up_to_the_whole(true: PanopticMap, seed: int) -> None:
    predicted = damaged(true, CLASSES, random.Random(seed))
    parts, whole = counted(predicted, true), count(predicted, true, 2)
    for field in fields(whole):
        assert np.array_equal(getattr(parts, field.name).sum(0), getattr(whole, field.name))
