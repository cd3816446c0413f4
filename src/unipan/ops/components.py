"""How many connected parts each segment has. H x W pixels, r horizontal runs, n ids."""

import numpy as np
from numpy.typing import NDArray

from unipan.ops.segments import Runs


def parts_of(runs: Runs, width: int) -> dict[int, int]:
    """Id -> number of its connected parts (pixels that touch at a side or a corner belong together), void included.

    Works on runs, not pixels: two of neighbouring rows touch only if one begins under, over, or right after the other.
    """
    part = _join(len(runs.ids), _touching(runs, width))
    ids, counts = np.unique(runs.ids[part == np.arange(len(part))], return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def _touching(runs: Runs, width: int) -> NDArray[np.int64]:
    """Pairs (p, 2) of runs of one id in neighbouring rows that touch."""
    number, column = np.arange(len(runs.starts)), runs.starts % width
    end = int(runs.starts[-1] + runs.lengths[-1]) if len(runs.starts) else 0
    pairs = []
    for step, aside in ((-width, 0), (width, 0), (-width, 1), (width, 1)):
        place = runs.starts + step - aside
        there = (place >= 0) & (place < end) & (column >= aside)
        other = np.searchsorted(runs.starts, place[there], side="right") - 1
        same = runs.ids[other] == runs.ids[there]
        pairs.append(np.stack([number[there][same], other[same]], axis=1))
    return np.concatenate(pairs)


def _join(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least member (count,) of each one's group, where pairs (p, 2) belong together."""
    least = np.arange(count)
    while len(pairs):
        roots = least[pairs]
        open_pairs = roots[:, 0] != roots[:, 1]
        pairs, roots = pairs[open_pairs], roots[open_pairs]
        np.minimum.at(least, roots.max(axis=1), roots.min(axis=1))
        while not np.array_equal(further := least[least], least):
            least = further
    return least
