"""From id maps to segments and back, in passes that are linear in the pixels. H x W pixels, n segments."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.types import PanopticMap, Segment


class Label(NamedTuple):
    """What an id of an id map stands for; area and box are never given, always counted."""

    id: int
    class_index: int
    is_crowd: bool = False
    score: float = 1.0


def index_of_ids(ids: Tensor, known: Sequence[int]) -> Tensor:
    """Where each pixel's id stands in `known`: (H, W) int64, n = len(known) for an id that is not there.

    ids: (H, W) integers. A search in n sorted ids for each pixel: a table of all ids would take 64 MB, COCO's being colours.
    """
    if not known:
        return torch.zeros(ids.shape, dtype=torch.int64)
    in_order, places = torch.tensor(known, dtype=ids.dtype).sort()
    found = torch.searchsorted(in_order, ids.contiguous()).clamp(max=len(known) - 1)
    return torch.where(in_order[found] == ids, places[found], len(known))


def measure(index: Tensor, num_segments: int) -> tuple[Tensor, Tensor]:
    """Areas (n,) in pixels and tight boxes (n, 4) as x1 y1 x2 y2, x2 and y2 one past the last pixel; zeros where area is 0.

    index: (H, W) int64; pixels with `index >= num_segments` belong to no segment.
    """
    height, width = index.shape
    kept = index.clamp(max=num_segments)
    in_column = torch.bincount((kept * width + torch.arange(width)).flatten(), minlength=(num_segments + 1) * width).view(
        -1, width
    )[:num_segments]  # (n, W) pixels of each segment in each column
    in_row = torch.bincount(
        (kept * height + torch.arange(height)[:, None]).flatten(), minlength=(num_segments + 1) * height
    ).view(-1, height)[:num_segments]
    areas = in_row.sum(1)
    x1, x2 = _extent(in_column > 0)
    y1, y2 = _extent(in_row > 0)
    return areas, torch.stack([x1, y1, x2, y2], 1) * (areas > 0)[:, None]


def _extent(present: Tensor) -> tuple[Tensor, Tensor]:
    """First true position and one past the last, along the rows of (n, L) booleans."""
    as_int = present.to(torch.int8)
    return as_int.argmax(1), present.shape[1] - as_int.flip(1).argmax(1)


def panoptic_map(ids: Tensor, labels: Sequence[Label], classes: ClassTable) -> PanopticMap:
    """Build the one truth type from an id map and what its ids stand for.

    Labels without a pixel are dropped; pixels whose id has no label become void.
    """
    index = index_of_ids(ids, [label.id for label in labels])
    areas, boxes = measure(index, len(labels))
    lookup = torch.tensor([label.id for label in labels] + [VOID_ID], dtype=torch.int32)
    segments = tuple(
        Segment(
            id=label.id,
            class_index=label.class_index,
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
    return PanopticMap(lookup[index], segments)


def drop_small_stuff(panoptic: PanopticMap, *, min_area_px: int) -> PanopticMap:
    """Turn stuff segments with fewer than `min_area_px` pixels into void (paper, section C: part of evaluation)."""
    small = [segment.id for segment in panoptic.segments if not segment.is_thing and segment.area < min_area_px]
    if not small:
        return panoptic
    hit = index_of_ids(panoptic.ids, small) < len(small)
    kept = tuple(segment for segment in panoptic.segments if segment.id not in small)
    return PanopticMap(panoptic.ids.masked_fill(hit, VOID_ID), kept)
