"""Mend one image's labels where that needs no judgement. H x W pixels."""

from itertools import count
from typing import Any

import torch
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.ops.segments import index_of_ids, measure
from unipan.tools.doctor.segments import Categories, ListedSegment, has_things


def renumbered(ids: Tensor, listed: tuple[ListedSegment, ...]) -> tuple[Tensor, tuple[ListedSegment, ...]]:
    """Ids (H, W) and segments in which a segment with the id 0 has a free one.

    Only where its area is that of all zeros: otherwise some of them are void, nobody knows which, and it is left out.
    """
    zero = next((segment for segment in listed if segment.id == VOID_ID), None)
    if zero is None:
        return ids, listed
    others, zeros = tuple(segment for segment in listed if segment is not zero), ids == VOID_ID
    if zero.area != zeros.sum().item():
        return ids, others
    taken = {segment.id for segment in others} | set(ids.unique().tolist())
    free = next(id for id in count(1) if id not in taken)
    return ids.masked_fill(zeros, free), (*others, zero._replace(id=free))


def relabelled(ids: Tensor, listed: tuple[ListedSegment, ...], categories: Categories) -> tuple[Tensor, list[dict[str, Any]]]:
    """Ids (H, W) and `segments_info` that agree.

    Ids that are not listed and segments of unknown categories become void; those without a pixel are left out; an image's stuff
    of one class becomes one segment, under the id of its first, unless no class is a thing; areas and boxes are counted.
    """
    ids, listed = renumbered(ids, listed)
    first_of: dict[int, int] = {}
    new_id: dict[int, int] = {}
    for segment in listed:
        category = categories.get(segment.category_id)
        if category is not None:
            joins = not category.is_thing and not segment.is_crowd and has_things(categories)
            new_id[segment.id] = first_of.setdefault(segment.category_id, segment.id) if joins else segment.id
    table = torch.tensor([*new_id.values(), VOID_ID], dtype=torch.int32)
    new_ids = table[index_of_ids(ids, list(new_id))]
    kept = [segment for segment in listed if new_id.get(segment.id) == segment.id]
    areas, boxes = measure(index_of_ids(new_ids, [segment.id for segment in kept]), len(kept))
    segments = [
        {
            "id": segment.id,
            "category_id": segment.category_id,
            "area": area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": int(segment.is_crowd),
        }
        for segment, area, (x1, y1, x2, y2) in zip(kept, areas.tolist(), boxes.tolist(), strict=True)
        if area
    ]
    return new_ids, segments
