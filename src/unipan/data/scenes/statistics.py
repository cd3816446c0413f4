"""What procedural scenes are like, measured from their truth maps alone.

`ids` is always an id map (H, W) of the things, 0 elsewhere.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.layout import HEAVY_OVERLAP_IOU, SMALLEST_VISIBLE_PX, scene_scale
from unipan.ops.components import part_areas
from unipan.ops.segments import runs_of
from unipan.types import PanopticMap, Segment

THIN_LENGTH = 5.0
"""A thing is thin if its box's longer side is at least so many times its greatest thickness."""
CONCAVE_SOLIDITY = 0.7
"""A thing is concave if it fills less than this share of its convex hull."""

Pixels = NDArray[np.integer]


class SceneStatistics(NamedTuple):
    """Shares of all scenes measured, but for the first."""

    things_per_scene: float
    """Mean number, scenes without things included."""
    same_class_overlap: float
    """Two boxes of one thing class overlap with an IoU over HEAVY_OVERLAP_IOU."""
    same_class_touch: float
    """Two things of one class share a border."""
    hard_shapes: float
    """At least one thing is thin, concave or split."""
    thin: float
    concave: float
    split: float
    """At least one thing is in two or more parts, each large enough to be seen."""
    cut_by_border: float
    """At least one thing reaches the image border."""
    without_things: float


def measure_scenes(dataset: SceneDataset, count: int) -> SceneStatistics:
    """Measure the first `count` scenes, of which `dataset` must hold so many; some 15 ms for each at the default size."""
    return SceneStatistics(*np.mean([_measure(dataset.truth_of(index)) for index in range(count)], axis=0).tolist())


def _measure(truth: PanopticMap) -> SceneStatistics:
    """Of one scene: its number of things, and what it has."""
    things = [segment for segment in truth.segments if segment.is_thing]
    ids = truth.ids.numpy()
    ids = np.where(np.isin(ids, [thing.id for thing in things]), ids, 0)
    thin, concave, split = _shapes(ids, things)
    return SceneStatistics(
        things_per_scene=len(things),
        same_class_overlap=_boxes_overlap(things),
        same_class_touch=_same_class_touch(ids, things),
        hard_shapes=thin or concave or split,
        thin=thin,
        concave=concave,
        split=split,
        cut_by_border=any(_is_cut(thing, ids) for thing in things),
        without_things=not things,
    )


def _shapes(ids: Pixels, things: Sequence[Segment]) -> tuple[bool, bool, bool]:
    """Whether the scene has a thing that is thin, one that is concave, and one that is split."""
    height, width = ids.shape
    smallest_part = SMALLEST_VISIBLE_PX / 2 * scene_scale((height, width)) ** 2
    thickness = _thickness(ids)
    parts = part_areas(runs_of(torch.from_numpy(ids)), width, corners=False)
    thin = concave = split = False
    for thing in things:
        x1, y1, x2, y2 = thing.box
        thin |= max(x2 - x1, y2 - y1) >= THIN_LENGTH * thickness[thing.id]
        concave |= thing.area < CONCAVE_SOLIDITY * _hull_area(ids[y1:y2, x1:x2] == thing.id)
        split |= sum(area >= smallest_part for area in parts[thing.id]) > 1
    return thin, concave, split


def _boxes_overlap(things: Sequence[Segment]) -> bool:
    """Whether two of one class overlap heavily."""
    if not things:
        return False
    boxes = torch.tensor([thing.box for thing in things], dtype=torch.float32)
    ious = box_iou(boxes, boxes)
    return any(
        things[a].class_index == things[b].class_index and float(ious[a, b]) > HEAVY_OVERLAP_IOU
        for a, b in combinations(range(len(things)), 2)
    )


def _same_class_touch(ids: Pixels, things: Sequence[Segment]) -> bool:
    class_of = {thing.id: thing.class_index for thing in things}
    one = np.concatenate([ids[1:].ravel(), ids[:, 1:].ravel()])
    other = np.concatenate([ids[:-1].ravel(), ids[:, :-1].ravel()])
    border = (one != other) & (one > 0) & (other > 0)
    return any(class_of[a] == class_of[b] for a, b in zip(one[border].tolist(), other[border].tolist(), strict=True))


def _is_cut(thing: Segment, ids: Pixels) -> bool:
    height, width = ids.shape
    x1, y1, x2, y2 = thing.box
    return x1 == 0 or y1 == 0 or x2 == width or y2 == height


def _thickness(ids: Pixels) -> dict[int, int]:
    """Greatest thickness of each thing in pixels: the side of the largest square within it.

    It goes on beyond the image border, so that cutting a thing does not make it thin.
    """
    remaining, thickness = ids, {}
    while remaining.any():
        left = np.unique(remaining[remaining > 0]).tolist()
        thickness |= {thing_id: thickness.get(thing_id, -1) + 2 for thing_id in left}
        for axis in (0, 1):
            padded = np.pad(remaining, [(1, 1), (0, 0)] if axis == 0 else [(0, 0), (1, 1)], mode="edge")
            before, _, after = (np.take(padded, range(i, i + ids.shape[axis]), axis) for i in range(3))
            remaining = np.where((before == remaining) & (after == remaining), remaining, 0)
    return thickness


def _hull_area(mask: NDArray[np.bool_]) -> float:
    """Area in pixels of the convex hull of a mask's pixels, taken as unit squares."""
    rows = np.flatnonzero(mask.any(1))
    first, last = mask[rows].argmax(1), mask.shape[1] - mask[rows, ::-1].argmax(1)
    ends = zip(rows.tolist(), first.tolist(), last.tolist(), strict=True)
    corners = [(x, y + step) for y, x1, x2 in ends for x in (x1, x2) for step in (0, 1)]
    ordered = sorted(set(corners))
    outline = _chain(ordered) + _chain(ordered[::-1])
    turns = zip(outline, outline[1:] + outline[:1], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in turns)) / 2


def _chain(ordered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One half of a convex hull: from the first of the sorted points to the last, which is left to the other half."""
    chain: list[tuple[int, int]] = []
    for x, y in ordered:
        while len(chain) > 1:
            (x1, y1), (x2, y2) = chain[-2:]
            if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain[:-1]
