"""The connected parts of each segment. H x W pixels, r horizontal runs, n ids."""

import numpy as np
from numpy.typing import NDArray

from unipan.ops.segments import Runs


def part_areas(runs: Runs, width: int, *, corners: bool) -> dict[int, list[int]]:
    """Id -> areas in pixels of its connected parts, void included. corners: whether a common corner connects pixels."""
    part = parts_of(runs, width, corners=corners)
    areas = np.bincount(part, runs.lengths, minlength=len(part)).astype(np.int64)
    found: dict[int, list[int]] = {}
    for first in np.flatnonzero(part == np.arange(len(part))).tolist():
        found.setdefault(int(runs.ids[first]), []).append(int(areas[first]))
    return found


def parts_of(runs: Runs, width: int, *, corners: bool) -> NDArray[np.int64]:
    """The first run (r,) of each run's connected part, of whichever id.

    Works on runs, not pixels: two of neighbouring rows touch only if one begins under, over, or right after the other.
    """
    return _join(len(runs.ids), touching(runs, width, corners=corners))


def touching(runs: Runs, width: int, *, corners: bool) -> NDArray[np.int64]:
    """Pairs (p, 2) of runs of one id in neighbouring rows that touch."""
    run_index, column = np.arange(len(runs.starts)), runs.starts % width
    end = int(runs.starts[-1] + runs.lengths[-1]) if len(runs.starts) else 0
    pairs = []
    for step, aside in ((-width, 0), (width, 0), (-width, 1), (width, 1))[: 4 if corners else 2]:
        position = runs.starts + step - aside
        there = (position >= 0) & (position < end) & (column >= aside)
        other = np.searchsorted(runs.starts, position[there], side="right") - 1
        same = runs.ids[other] == runs.ids[there]
        pairs.append(np.stack([run_index[there][same], other[same]], axis=1))
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
