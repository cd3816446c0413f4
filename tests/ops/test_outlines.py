"""Polygons of an id map, against shapely's union of a square for each pixel."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unipan.ops.outlines import outlines

shapely = pytest.importorskip("shapely", reason="shapely is not installed")
id_maps = arrays(np.int32, st.tuples(st.integers(0, 9), st.integers(0, 9)), elements=st.integers(0, 2))
PINCHED = np.array([[1, 1, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], [1, 1, 1, 2]], dtype=np.int32)
"""A part whose holes touch each other and its outline at corners."""
NESTED = np.array([[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 1, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]], dtype=np.int32)


@given(id_maps)
@example(PINCHED)
@example(np.rot90(PINCHED).copy())
@example(NESTED)
def test_polygons_are_the_unions_of_their_pixels(ids: np.ndarray) -> None:
    """Valid, with corners only where they turn; outlines counter-clockwise and holes clockwise with y up, as RFC 7946 says."""
    found = outlines(torch.from_numpy(ids))
    assert sorted(found) == sorted({*ids.ravel().tolist()} - {0})
    for id, polygons in found.items():
        y, x = np.nonzero(ids == id)
        union = shapely.orient_polygons(shapely.union_all(shapely.box(x, y, x + 1, y + 1)).simplify(0))
        ours = shapely.MultiPolygon([(outline, holes) for outline, *holes in polygons])
        assert ours.is_valid
        assert ours.equals(union)
        assert len(polygons) == len(shapely.get_parts(union))
        for outline, *holes in polygons:
            assert [shapely.is_ccw(shapely.linearrings(ring)) for ring in (outline, *holes)] == [True, *[False] * len(holes)]
            for ring in (outline, *holes):
                across, down = (np.diff([*ring, ring[0]], axis=0) != 0).T
                assert np.array_equal(across, ~down)
                assert np.array_equal(across, np.roll(down, 1))


def test_an_outline_takes_a_corner_for_each_turn() -> None:
    assert outlines(torch.tensor([[0, 7, 7], [0, 7, 0]], dtype=torch.int32)) == {
        7: [[[(1, 0), (3, 0), (3, 1), (2, 1), (2, 2), (1, 2)]]]
    }


def test_large_smooth_maps_take_no_further_map() -> None:
    """A tracing from pixels held some ten maps of eight bytes a pixel."""
    y, x = np.ogrid[:1000, :1000]
    ids = torch.from_numpy(((y - 500) ** 2 + (x - 500) ** 2 < 400**2).astype(np.int32) + 1)
    tracemalloc.start()
    outlines(ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * ids.numel(), "less than the map itself; one byte a pixel says where runs begin"
