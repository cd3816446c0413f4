"""Segments as polygons along the edges of their pixels, from the runs alone. H x W pixels, p touching runs, e edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID_ID
from unipan.ops.components import parts_of, touching
from unipan.ops.segments import Runs, runs_of

if TYPE_CHECKING:
    from torch import Tensor

Ring = list[tuple[int, int]]
"""Corners as x y, each once; x to the right and y down from the map's top left corner, whole numbers."""
Polygon = list[Ring]
"""One connected part: its outline, then its holes. No ring meets itself, and two of them meet at corners alone."""


class _Edges(NamedTuple):
    """Straight pieces of outlines that all lie across or all down. Those whose part lies behind their line come first."""

    part: NDArray[np.int64]  # (e,)
    behind: NDArray[np.bool_]  # (e,) whether the part lies at greater y (across) or x (down), not at smaller
    line: NDArray[np.int64]  # (e,) their y (across) or x (down)
    low: NDArray[np.int64]  # (e,) where they begin and end on it
    high: NDArray[np.int64]


def outlines(ids: Tensor) -> dict[int, list[Polygon]]:
    """Each id's polygons in an id map (H, W), by their first pixels; none of void. What touches at a corner alone is two parts.

    With x to the right and y up, as GeoJSON has them, outlines go counter-clockwise and holes clockwise.
    """
    runs, found = runs_of(ids), dict[int, list[Polygon]]()
    for part, polygon in _polygons(runs, ids.shape):
        found.setdefault(int(runs.ids[part]), []).append(polygon)
    return found


def _polygons(runs: Runs, size: Sequence[int]) -> Iterator[tuple[int, Polygon]]:
    """Each part of a map of some size (H, W) by its first run, in the runs' order.

    Edges go round with their part at the left (y up): across towards greater x where it lies behind them, down towards smaller y.
    """
    width = size[1]
    part, pairs = parts_of(runs, width, corners=False), touching(runs, width, corners=False)
    upper, lower = pairs.min(axis=1), pairs.max(axis=1)
    across, down = _across(runs, part, width, upper, lower), _down(runs, part, width, upper, lower)
    starts = np.where(across.behind, across.low, across.high), across.line
    ends = np.where(across.behind, across.high, across.low), across.line
    down_starts = down.line, np.where(down.behind, down.high, down.low)
    down_ends = down.line, np.where(down.behind, down.low, down.high)
    # Where a part meets itself at a corner, two edges come and two go: ~ says which of these is the turn to the left.
    down_after = _paired(_keys(across, ends, across.behind, size), _keys(down, down_starts, ~down.behind, size))
    across_after = _paired(_keys(down, down_ends, down.behind, size), _keys(across, starts, across.behind, size))
    order = np.lexsort((*starts, across.part))  # so that each part's first ring begins at its first corner, and is its outline
    points = (list(zip(*(axis.tolist() for axis in corners), strict=True)) for corners in (starts, ends))
    yield from _collected(order.tolist(), across.part.tolist(), across_after[down_after].tolist(), *points)


def _across(runs: Runs, part: NDArray[np.int64], width: int, upper: NDArray[np.int64], lower: NDArray[np.int64]) -> _Edges:
    """The upper and lower sides of the runs without what touching ones, upper and lower (p,) of each pair, have in common."""
    ends = runs.starts + runs.lengths
    begins, first = np.unique(np.maximum(runs.starts[upper] + width, runs.starts[lower]), return_index=True)
    upper, lower = upper[first], lower[first]
    stops = np.minimum(ends[upper] + width, ends[lower])
    sides = []
    for is_behind, own, step in ((True, lower, 0), (False, upper, width)):
        # A run's pieces begin where it does and where what it has in common with another stops: in order, piece by piece.
        low, high = np.sort(np.append(runs.starts, stops - step)), np.sort(np.append(ends, begins - step))
        run = np.repeat(np.arange(len(part)), 1 + np.bincount(own, minlength=len(part)))
        kept = (low < high) & (runs.ids[run] != VOID_ID)
        line, x = np.divmod(low[kept], width)
        sides.append((part[run[kept]], np.full(len(x), is_behind), line + (not is_behind), x, x + (high - low)[kept]))
    return _Edges(*(np.concatenate(fields) for fields in zip(*sides, strict=True)))


def _down(runs: Runs, part: NDArray[np.int64], width: int, upper: NDArray[np.int64], lower: NDArray[np.int64]) -> _Edges:
    """The runs' left and right ends; those of a touching pair in one line are one edge."""
    y, left = np.divmod(runs.starts, width)
    sides = []
    for is_behind, x in ((True, left), (False, left + runs.lengths)):
        in_line = x[upper] == x[lower]
        first, last = (runs.ids != VOID_ID for _ in range(2))
        first[lower[in_line]] = False
        last[upper[in_line]] = False
        top, bottom = (own[np.argsort(x[own], kind="stable")] for own in (np.flatnonzero(first), np.flatnonzero(last)))
        sides.append((part[top], np.full(len(top), is_behind), x[top], y[top], y[bottom] + 1))
    return _Edges(*(np.concatenate(fields) for fields in zip(*sides, strict=True)))


def _keys(
    edges: _Edges, corners: tuple[NDArray[np.int64], NDArray[np.int64]], rank: NDArray[np.bool_], size: Sequence[int]
) -> NDArray[np.int64]:
    """A number (e,) for the edges' parts and corners (x, y), which what comes to a corner and what goes on from it share."""
    (x, y), (height, width) = corners, size
    return ((edges.part * (height + 1) + y) * (width + 1) + x) * 2 + rank


def _paired(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each key its position among the others, which are the same keys in another order."""
    position = np.empty(len(keys), dtype=np.int64)
    position[np.argsort(keys)] = np.argsort(others)
    return position


def _collected(order: list[int], part: list[int], after: list[int], starts: Ring, ends: Ring) -> Iterator[tuple[int, Polygon]]:
    """The parts' polygons. order: the edges across, part by part; after: of each the next one of its ring."""
    seen, polygon = [False] * len(order), Polygon()
    for position, first in enumerate(order):
        corners, edge = Ring(), first
        while not seen[edge]:
            seen[edge] = True
            corners += (starts[edge], ends[edge])
            edge = after[edge]
        if corners:
            polygon += _simple(corners)
        if position + 1 == len(order) or part[order[position + 1]] != part[first]:
            yield part[first], polygon
            polygon = Polygon()


def _simple(corners: Ring) -> list[Ring]:
    """A ring as rings that pass no corner twice; the first of them has its first corner."""
    if len({*corners}) == len(corners):
        return [corners]
    path, cut = Ring(), list[Ring]()
    index_of: dict[tuple[int, int], int] = {}
    for corner in corners:
        if corner in index_of:
            cut.append(path[index_of[corner] :])
            for gone in cut[-1][1:]:
                del index_of[gone]
            del path[index_of[corner] + 1 :]
        else:
            index_of[corner] = len(path)
            path.append(corner)
    return [path, *cut]
