"""Ten thousand cells in an image: memory grows with the pairs that overlap, and both ways to count them find the same."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pq import CLASSES, assert_equal_to_oracle, small_pairs

from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.pq import PQCounts
from unipan.metrics.segment_matching import match_maps
from unipan.ops import overlap
from unipan.ops.overlap import shared_areas
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

SIDE = 100
MOST_BYTES = 16 * 2**20
"""A table of all pairs would take 800 MB."""


@pytest.fixture(scope="module")
def cells() -> PanopticMap:
    """SIDE x SIDE cats of two by two pixels, with a pixel of void between them."""
    ids = torch.zeros((3 * SIDE, 3 * SIDE), dtype=torch.int32)
    numbers = torch.arange(1, SIDE**2 + 1, dtype=torch.int32).view(SIDE, SIDE)
    for down in (0, 1):
        for right in (0, 1):
            ids[down::3, right::3] = numbers
    return panoptic_map(ids, [Label(number, 0) for number in range(1, SIDE**2 + 1)], CLASSES)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_thousand_cells_take_few_bytes(cells: PanopticMap) -> None:
    moved = replace(cells, ids=cells.ids.roll(1, 1))  # half of each lies on the truth, half on void: an IoU of 0.5
    for predicted, expected in ((cells, (SIDE**2, 0, 0)), (moved, (0, SIDE**2, SIDE**2))):
        assert peak_of(lambda predicted=predicted: match_maps(predicted, cells)) < MOST_BYTES
        counts = PQCounts.of(match_maps(predicted, cells), 3)
        assert (int(counts.matched[0]), int(counts.extra[0]), int(counts.missed[0])) == expected


def test_evaluation_matches_them_alike(cells: PanopticMap) -> None:
    maps = AlignedMaps(cells, torch.zeros_like(cells.ids), cells.ids)

    def match() -> int:
        return len(maps.match(maps.values[0], cells.segments, CLASSES, min_stuff_area_px=0).pairs)

    assert peak_of(match) < MOST_BYTES
    assert match() == SIDE**2


@settings(max_examples=100, deadline=None)
@given(small_pairs(), st.sampled_from([0, 10**6]))
def test_sorted_pairs_equal_the_oracle_as_a_table_does(pair: tuple[PanopticMap, PanopticMap], entries: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "TABLE_ENTRIES_A_RUN", entries)
        assert_equal_to_oracle(*pair, num_classes=3)


def test_only_pairs_that_share_pixels_are_kept_in_order() -> None:
    rows, columns, lengths = np.array([2, 0, 2, 1]), np.array([1, 3, 1, 0]), np.array([5, 2, 7, 4])
    for entries in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(overlap, "TABLE_ENTRIES_A_RUN", entries)
            shared = shared_areas(rows, columns, (3, 4), lengths)
        assert [part.tolist() for part in shared] == [[0, 1, 2], [3, 0, 1], [2, 4, 12]]
