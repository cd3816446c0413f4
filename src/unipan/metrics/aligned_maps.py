"""An image's truth with all that is judged by it laid over it.

r runs of pixels in which none of the maps changes: they are cut once, and what is counted, is counted on them. n true segments.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.metrics.confusion import Confusion
from unipan.metrics.segment_matching import Matching, match_segments
from unipan.ops.id_lookup import indices_of
from unipan.ops.overlap import runs_of_maps, shared_areas
from unipan.ops.segments import Label, is_small_stuff
from unipan.types import PanopticMap, Segment


class AlignedMaps:
    """One image: its truth, the semantic head's classes, and other maps to judge."""

    def __init__(self, truth: PanopticMap, semantic: Tensor, *others: Tensor) -> None:
        """semantic: (H, W) class indices; all maps are of one size, on the CPU."""
        (true_ids, classes, *values), lengths = runs_of_maps([one.numpy() for one in (truth.ids, semantic, *others)])
        self.truth, self.lengths = truth, lengths
        self.true_index = indices_of(true_ids, [VOID_ID, *(segment.id for segment in truth.segments)])
        """(r,) 0 for void, k + 1 for the truth's segment k."""
        self.values = values
        """(r,) of each of the other maps."""
        self._classes = classes.astype(np.int64, copy=False)

    def match(
        self, ids: NDArray[np.integer], labels: Sequence[Segment | Label], classes: ClassTable, *, min_stuff_area_px: int
    ) -> Matching:
        """Match an untrimmed answer's segments with the truth's; its small stuff is void, as in the trimmed one.

        ids: (r,). labels: of all ids but void; those without a pixel are no segments.
        """
        num = len(labels)
        columns = indices_of(ids, [VOID_ID, *(label.id for label in labels)])
        areas = np.bincount(columns, self.lengths, minlength=num + 1)[1:].tolist()
        kept: list[Segment | Label] = []
        own_column = np.zeros(num + 2, dtype=np.int64)
        for column, (label, area) in enumerate(zip(labels, areas, strict=False), 1):
            is_thing = classes[label.class_index].is_thing
            if area > 0 and not is_small_stuff(area, is_thing=is_thing, min_area_px=min_stuff_area_px):
                kept.append(label)
                own_column[column] = len(kept)
        own_column[-1] = len(kept) + 1  # an id without a label
        return match_segments(self.true_index, own_column[columns], self.lengths, kept, self.truth.segments)

    def semantic_confusion(self, num_classes: int) -> Confusion:
        """The semantic head's classes against the truth's."""
        shape = len(self.truth.segments) + 1, num_classes + 1  # a pixel whose logits are nan has the index past the classes
        shared = shared_areas(self.true_index, self._classes, shape, self.lengths)
        true_class = np.array([segment.class_index for segment in self.truth.segments], dtype=np.int64)
        return Confusion.of_regions(shared, true_class, np.arange(num_classes + 1), num_classes)
