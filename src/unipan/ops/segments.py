"""From id maps to segments and back, in passes that are linear in the pixels. H x W pixels, n segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID_ID, ClassTable
from unipan.errors import InputError
from unipan.ops.id_lookup import indices_of
from unipan.types import PanopticMap, Segment

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_ID = 2**31 - 1
"""Of a segment: maps are int32."""


class Label(NamedTuple):
    """What an id of an id map stands for; area and box are never given, always counted."""

    id: int
    class_index: int
    is_crowd: bool = False
    score: float = 1.0


class Runs(NamedTuple):
    """The horizontal runs of one id: neighbours mostly share it, so runs are looked up and counted, not pixels.

    numpy, because torch's threads wait for each other on maps of this size.
    """

    ids: NDArray[np.int64]  # (r,)
    starts: NDArray[np.int64]  # (r,) position in the flattened map
    lengths: NDArray[np.int64]  # (r,) pixels; no run goes past its row


def runs_of(ids: Tensor) -> Runs:
    """The runs of an id map (H, W)."""
    width = ids.shape[1]
    flat = ids.contiguous().numpy().ravel()
    if not flat.size:
        none = np.zeros(0, dtype=np.int64)
        return Runs(none, none, none)
    begins = np.ones(flat.size, dtype=bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    starts = true_positions(begins)
    return Runs(flat[starts].astype(np.int64), starts, np.diff(starts, append=flat.size))


def true_positions(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """np.flatnonzero of a flat array in which few flags are set, at several times its speed: words of eight flags first."""
    whole = flags.size // 8 * 8
    eights = flags[:whole].view(np.uint64)
    words = np.flatnonzero(eights != 0)
    inside = np.flatnonzero(eights.take(words).view(bool))
    positions = (words << 3).take(inside >> 3)
    positions += inside & 7
    return np.append(positions, whole + np.flatnonzero(flags[whole:]))


def index_of_ids(ids: Tensor, known: Sequence[int]) -> Tensor:
    """Where each pixel's id stands in `known`: (H, W) int64, n = len(known) for an id that is not there."""
    runs = runs_of(ids)
    return _tensor(np.repeat(indices_of(runs.ids, known), runs.lengths)).view(ids.shape)


def measure(index: Tensor, num_segments: int) -> tuple[Tensor, Tensor]:
    """Areas (n,) in pixels and tight boxes (n, 4) as x1 y1 x2 y2, x2 and y2 one past the last pixel; zeros where area is 0.

    index: (H, W) integers; pixels with `index >= num_segments` belong to no segment.
    """
    runs = runs_of(index)
    areas, boxes = _measure_runs(runs, runs.ids.clip(max=num_segments), num_segments, index.shape[1])
    return _tensor(areas), _tensor(boxes)


def _measure_runs(
    runs: Runs, position: NDArray[np.int64], num_segments: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`measure` of runs; position: (r,) each run's segment, num_segments for none."""
    areas = np.bincount(position, runs.lengths, minlength=num_segments + 1).astype(np.int64)[:num_segments]
    y, x = runs.starts // max(width, 1), runs.starts % max(width, 1)
    far = np.iinfo(np.int64).max
    low, high = np.full((2, num_segments + 1), far), np.zeros((2, num_segments + 1), dtype=np.int64)
    np.minimum.at(low[0], position, x)
    np.minimum.at(low[1], position, y)
    np.maximum.at(high[0], position, x + runs.lengths)
    np.maximum.at(high[1], position, y + 1)
    boxes = np.concatenate([low, high]).T[:num_segments]
    return areas, boxes * (areas > 0)[:, None]


def panoptic_map(ids: Tensor, labels: Sequence[Label], classes: ClassTable) -> PanopticMap:
    """Build the one truth type from an id map and what its ids stand for.

    Labels without a pixel are dropped; pixels whose id has no label become void.

    Raises: InputError for labels of no class, and for ids that are 0, which is void, or don't fit into 31 bits.
    """
    for label in labels:
        if not VOID_ID < label.id <= LARGEST_ID or not 0 <= label.class_index < len(classes):
            wanted = f"ids 1 to {LARGEST_ID} and class indices 0 to {len(classes) - 1}"
            raise InputError(f"a label came with the id {label.id} and the class index {label.class_index}; give {wanted}.")
    runs = runs_of(ids)
    position = indices_of(runs.ids, [label.id for label in labels])
    areas, boxes = _measure_runs(runs, position, len(labels), ids.shape[1])
    kept = np.where(position < len(labels), runs.ids, VOID_ID).astype(np.int32)
    segments = tuple(
        Segment(
            id=label.id,
            class_index=label.class_index,
            category_id=classes[label.class_index].dataset_id,
            name=classes[label.class_index].name,
            is_thing=classes[label.class_index].is_thing,
            is_crowd=label.is_crowd,
            score=label.score,
            area=area,
            box=(box[0], box[1], box[2], box[3]),
        )
        for label, area, box in zip(labels, areas.tolist(), boxes.tolist(), strict=True)
        if area > 0
    )
    return PanopticMap(_tensor(np.repeat(kept, runs.lengths)).view(ids.shape), segments, classes)


def drop_small_stuff(panoptic: PanopticMap, *, min_area_px: int) -> PanopticMap:
    """Turn stuff segments with fewer than `min_area_px` pixels into void (paper, section C: part of evaluation)."""
    small = {s.id for s in panoptic.segments if is_small_stuff(s.area, is_thing=s.is_thing, min_area_px=min_area_px)}
    if not small:
        return panoptic
    hit = index_of_ids(panoptic.ids, list(small)) < len(small)
    kept = tuple(segment for segment in panoptic.segments if segment.id not in small)
    return replace(panoptic, ids=panoptic.ids.masked_fill(hit, VOID_ID), segments=kept)


def is_small_stuff(area: int, *, is_thing: bool, min_area_px: int) -> bool:
    """Whether a segment of so many pixels is one that `drop_small_stuff` drops."""
    return not is_thing and area < min_area_px


def joined_stuff(panoptic: PanopticMap, classes: ClassTable) -> PanopticMap:
    """Make all stuff of one class one segment, under the id of its first. Things and crowds stay as they are."""
    labels = [Label(segment.id, segment.class_index, segment.is_crowd, segment.score) for segment in panoptic.segments]
    joined, position = joined_labels(labels, classes)
    new_ids = np.array([*(joined[index].id for index in position), VOID_ID], dtype=np.int32)
    ids = _tensor(new_ids)[index_of_ids(panoptic.ids, [label.id for label in labels])]
    return panoptic_map(ids, joined, classes)


def joined_labels(labels: Sequence[Label], classes: ClassTable) -> tuple[list[Label], list[int]]:
    """The labels with all stuff of one class under its first, and for each old label which of the new ones it has become."""
    joined: list[Label] = []
    position: list[int] = []
    first: dict[int, int] = {}
    for label in labels:
        joins = not classes[label.class_index].is_thing and not label.is_crowd
        position.append(first.setdefault(label.class_index, len(joined)) if joins else len(joined))
        if position[-1] == len(joined):
            joined.append(label)
    return joined, position


def _tensor(values: NDArray) -> Tensor:
    """Torch comes with the first tensor: what reads files alone does without."""
    import torch

    return torch.from_numpy(values)
