"""How the segments of two id maps overlap, in one pass that is linear in the pixels. n true and m predicted segments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID_ID
from unipan.ops.segments import places_of, true_places


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
    starts = true_places(begins)
    return [one.take(starts) for one in flat], np.diff(starts, append=begins.size)


def joint_areas_of_runs(
    predicted_ids: NDArray[np.integer],
    predicted_known: Sequence[int],
    true_ids: NDArray[np.integer],
    true_known: Sequence[int],
    lengths: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(n + 2, m + 2) pixels that each true (row) and each predicted segment (column) share, in the order of the known ids.

    Of runs of pixels in which neither id changes: both ids (r,) of each run, and its length in pixels. The first row and column
    are void, the last those ids that are neither void nor known.
    """
    places = places_of(predicted_ids, [VOID_ID, *predicted_known]), places_of(true_ids, [VOID_ID, *true_known])
    return joint_areas_of_places(*places, (len(true_known) + 2, len(predicted_known) + 2), lengths)


def joint_areas_of_places(
    predicted: NDArray[np.int64], true: NDArray[np.int64], shape: tuple[int, int], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pixels that each row and column of the shape share, of runs whose columns and rows, (r,), are given, and their lengths."""
    rows, columns = shape
    joint = np.bincount(true * columns + predicted, lengths, minlength=rows * columns)  # float64, exact far beyond any image
    return joint.astype(np.int64).reshape(rows, columns)
