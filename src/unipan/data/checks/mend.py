"""Mend one image's labels where that needs no judgement. H x W pixels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.data.checks.rows import Category, Row
from unipan.ops.segments import index_of_ids, measure


def mended(ids: Tensor, rows: tuple[Row, ...], categories: Mapping[int, Category]) -> tuple[Tensor, list[dict[str, Any]]]:
    """Ids (H, W) and `segments_info` that agree.

    Ids that no row lists and segments of unknown categories become void; rows without a pixel are left out; an image's stuff of
    one class becomes one segment, under the id of its first; areas and boxes are counted.
    """
    first_of: dict[int, int] = {}
    new_id: dict[int, int] = {}
    for row in rows:
        category = categories.get(row.category_id)
        if category is not None:
            joins = not category.is_thing and not row.is_crowd
            new_id[row.id] = first_of.setdefault(category.id, row.id) if joins else row.id
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
