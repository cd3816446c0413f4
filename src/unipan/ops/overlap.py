"""How the regions of two maps overlap, in one pass that is linear in the pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.ops.segments import true_positions

TABLE_ENTRIES_A_RUN = 4
"""A table of all pairs is counted in, where it has at most so many entries for each run of pixels."""


class SharedAreas(NamedTuple):
    """The pairs of a row and a column that share any pixel: p of them, ordered by row and then by column."""

    row: NDArray[np.int64]  # (p,)
    column: NDArray[np.int64]  # (p,)
    area: NDArray[np.int64]  # (p,) shared pixels


def runs_of_maps(maps: Sequence[NDArray[np.integer]]) -> tuple[list[NDArray[np.integer]], NDArray[np.int64]]:
    """Runs of pixels in which none of some maps changes: each map's values there, (r,), and their lengths in pixels, (r,).

    The maps are (H, W), all of one size. Neighbours mostly share all values, so runs are looked up and counted, not pixels.
    """
    # numpy, because torch's threads wait for each other on maps this small, the more so where a caller counts several images at
    # once.
    flat = [one.ravel() for one in maps]
    begins = np.ones(flat[0].size, dtype=bool)
    np.not_equal(flat[0][1:], flat[0][:-1], out=begins[1:])
    for other in flat[1:]:
        begins[1:] |= other[1:] != other[:-1]
    starts = true_positions(begins)
    return [one.take(starts) for one in flat], np.diff(starts, append=begins.size)


def shared_areas(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int], lengths: NDArray[np.int64]
) -> SharedAreas:
    """What rows and columns share of runs of pixels, of which each has a row and a column, (r,) below the shape, and a length.

    Memory grows with the runs, not with the shape: a table of all pairs of ten thousand cells would take a gigabyte.
    """
    height, width = shape
    pair = rows * width + columns
    if height * width <= TABLE_ENTRIES_A_RUN * len(pair):
        areas = np.bincount(pair, lengths)  # float64, exact far beyond any image; sorting would take several times as long
        pair = np.flatnonzero(areas)
        areas = areas[pair]
    else:
        pair, position = np.unique(pair, return_inverse=True)
        areas = np.bincount(position, lengths)
    return SharedAreas(pair // width, pair % width, areas.astype(np.int64))
