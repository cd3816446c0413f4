"""Mend one image's labels where that needs no judgement. H x W pixels."""

from itertools import count
from typing import Any

import torch
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.ops.segments import index_of_ids, measure
from unipan.tools.doctor.segments import Categories, Row, has_things


def renumbered(ids: Tensor, rows: tuple[Row, ...]) -> tuple[Tensor, tuple[Row, ...]]:
    """Ids (H, W) and rows in which a segment with the id 0 has a free one.

    Only where its area is that of all zeros: otherwise some of them are void, nobody knows which, and the row is left out.
    """
    others = tuple(row for row in rows if row.id != VOID_ID)
    zeros = ids == VOID_ID
    taken = {row.id for row in others} | set(ids.unique().tolist())
    free = next(id for id in count(1) if id not in taken)
    new = tuple(row._replace(id=free) for row in rows if row.id == VOID_ID and row.area == zeros.sum().item())
    return (ids.masked_fill(zeros, free), others + new) if new else (ids, others)


def mended(ids: Tensor, rows: tuple[Row, ...], categories: Categories) -> tuple[Tensor, list[dict[str, Any]]]:
    """Ids (H, W) and `segments_info` that agree.

    Ids that no row lists and segments of unknown categories become void; rows without a pixel are left out; an image's stuff of
    one class becomes one segment, under the id of its first, unless no class is a thing; areas and boxes are counted.
    """
    ids, rows = renumbered(ids, rows)
    first_of: dict[int, int] = {}
    new_id: dict[int, int] = {}
    for row in rows:
        category = categories.get(row.category_id)
        if category is not None:
            joins = not category.is_thing and not row.is_crowd and has_things(categories)
            new_id[row.id] = first_of.setdefault(row.category_id, row.id) if joins else row.id
    table = torch.tensor([*new_id.values(), VOID_ID], dtype=torch.int32)
    new_ids = table[index_of_ids(ids, list(new_id))]
    kept = [row for row in rows if new_id.get(row.id) == row.id]
    areas, boxes = measure(index_of_ids(new_ids, [row.id for row in kept]), len(kept))
    segments = [
        {
            "id": row.id,
            "category_id": row.category_id,
            "area": area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": int(row.is_crowd),
        }
        for row, area, (x1, y1, x2, y2) in zip(kept, areas.tolist(), boxes.tolist(), strict=True)
        if area
    ]
    return new_ids, segments
