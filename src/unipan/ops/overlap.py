"""How the segments of two id maps overlap, in one pass that is linear in the pixels. n true and m predicted segments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID_ID
from unipan.ops.segments import places_of, true_places


def joint_areas(
    predicted_ids: NDArray[np.int32], predicted_known: Sequence[int], true_ids: NDArray[np.int32], true_known: Sequence[int]
) -> NDArray[np.int64]:
    """(n + 2, m + 2) pixels that each true (row) and each predicted segment (column) share, in the order of the known ids.

    The first row and column are void, the last those ids that are neither void nor known. Both maps are (H, W).
    """
    predicted_flat, true_flat = predicted_ids.ravel(), true_ids.ravel()
    # Neighbours mostly share both ids, so runs are looked up, not pixels. numpy, because torch's threads wait for each other on
    # maps this small, the more so where a caller counts several images at once.
    begins = np.ones(len(true_flat), dtype=bool)
    np.not_equal(predicted_flat[1:], predicted_flat[:-1], out=begins[1:])
    begins[1:] |= true_flat[1:] != true_flat[:-1]
    starts = true_places(begins)
    lengths = np.diff(starts, append=len(true_flat))
    return joint_areas_of_runs(predicted_flat.take(starts), predicted_known, true_flat.take(starts), true_known, lengths)


def joint_areas_of_runs(
    predicted_ids: NDArray[np.int32],
    predicted_known: Sequence[int],
    true_ids: NDArray[np.int32],
    true_known: Sequence[int],
    lengths: NDArray[np.int64],
) -> NDArray[np.int64]:
    """`joint_areas` of runs of pixels in which neither id changes: both ids (r,) of each run, and its length in pixels."""
    rows, columns = len(true_known) + 2, len(predicted_known) + 2
    true_place = places_of(true_ids, [VOID_ID, *true_known])
    pair = true_place * columns + places_of(predicted_ids, [VOID_ID, *predicted_known])
    joint = np.bincount(pair, lengths, minlength=rows * columns)  # float64, exact far beyond any number of pixels
    return joint.astype(np.int64).reshape(rows, columns)
