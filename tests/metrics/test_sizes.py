"""Panoptic quality by size: by hand, and as a split of the whole count."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pq_oracle import damaged

from unipan.classes import ClassTable
from unipan.metrics import sizes
from unipan.metrics.pq import PQCounts, count
from unipan.metrics.segment_matching import match_maps
from unipan.metrics.sizes import SizeCounts, quality_by_size, tally_by_size
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories([{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}])


def squares(*things: tuple[int, int, int]) -> PanopticMap:
    """120 x 300 pixels of sky with square cats: x, y and side."""
    ids = torch.full((120, 300), 99, dtype=torch.int32)
    for number, (x, y, side) in enumerate(things, 1):
        ids[y : y + side, x : x + side] = number
    return panoptic_map(ids, [Label(99, 1), *(Label(number, 0) for number in range(1, len(things) + 1))], CLASSES)


def cats(counts: SizeCounts) -> list[tuple[int, int, int]]:
    """Matched, extra and missed cats of each size."""
    return [(int(size.matched[0]), int(size.extra[0]), int(size.missed[0])) for size in counts]


def test_the_limits_are_cocos() -> None:
    true = squares((0, 0, 31), (40, 0, 32), (80, 0, 96), (180, 0, 97))
    assert cats(tally_by_size(match_maps(true, true), 2)) == [(1, 0, 0), (2, 0, 0), (1, 0, 0)]


def test_the_true_size_decides_for_pairs_and_misses_and_the_predicted_one_for_extras() -> None:
    true = squares((0, 0, 31), (200, 0, 97))
    predicted = squares((0, 0, 32), (60, 0, 40))  # the first cat a little large, the second lost, and one that is none
    assert cats(tally_by_size(match_maps(predicted, true), 2)) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_quality_of_each_size() -> None:
    true = squares((0, 0, 20), (200, 0, 97))
    result = quality_by_size(tally_by_size(match_maps(squares((0, 0, 20)), true), 2), CLASSES)
    assert (result.small.things.pq, result.large.things.pq) == (1, 0)
    assert result.medium.all.num_classes == 0
    assert 0.6 < result.large.stuff.pq < 1  # the sky


@st.composite
def maps(draw: st.DrawFn) -> PanopticMap:
    places = draw(st.lists(st.integers(0, 4), min_size=16, max_size=16))
    ids = torch.tensor(places, dtype=torch.int32).view(4, 4).repeat_interleave(2, 0).repeat_interleave(2, 1)
    labels = [Label(number, draw(st.integers(0, 1)), draw(st.booleans())) for number in range(1, 5)]
    return panoptic_map(ids, labels, CLASSES)


@given(maps(), st.integers(0, 999))
def test_the_sizes_add_up_to_the_whole(true: PanopticMap, seed: int) -> None:
    predicted = damaged(true, CLASSES, random.Random(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "SMALL_PX", 6)
        patch.setattr(sizes, "LARGE_PX", 12)
        parts = tally_by_size(match_maps(predicted, true), 2)
    total, whole = sum(parts, PQCounts.zero(2)), count(predicted, true, 2)
    assert torch.allclose(total.iou_sum, whole.iou_sum.double(), rtol=0, atol=1e-12)
    for field in ("matched", "extra", "missed"):
        assert torch.equal(getattr(total, field), getattr(whole, field))
