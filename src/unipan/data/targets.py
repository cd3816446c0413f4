"""From the id map to what training needs, once, at the end. H x W pixels, n segments, G things trained on."""

import torch

from unipan.classes import VOID
from unipan.ops.segments import index_of_ids, measure
from unipan.types import PanopticMap, Target


def make_target(truth: PanopticMap, *, min_thing_px: int, seed: int = 0) -> Target:
    """Derive boxes, labels, instances and semantic map from the ids.

    Areas and boxes of `truth.segments` may be stale (the ids may be augmented): they are counted anew. Crowds keep their class in
    the semantic map and are no instance. Things with fewer than `min_thing_px` pixels become void. seed: as in `Target`.
    """
    num = len(truth.segments)
    index = index_of_ids(truth.ids, [segment.id for segment in truth.segments])  # (H, W), num where void
    areas, boxes = measure(index, num)
    class_of = torch.tensor([segment.class_index for segment in truth.segments], dtype=torch.int64)
    countable = torch.tensor([segment.is_instance for segment in truth.segments], dtype=torch.bool)
    tiny = countable & (areas < min_thing_px)
    kept = countable & ~tiny & (areas > 0)

    class_table = torch.full((num + 1,), VOID, dtype=torch.int16)
    class_table[:num] = class_of.masked_fill(tiny, VOID).to(torch.int16)
    instance_table = torch.full((num + 1,), -1, dtype=torch.int32)
    instance_table[:num][kept] = torch.arange(int(kept.sum()), dtype=torch.int32)
    return Target(
        boxes=boxes[kept].float(),
        labels=class_of[kept],
        instances=instance_table[index],
        semantic=class_table[index],
        seed=seed,
    )
