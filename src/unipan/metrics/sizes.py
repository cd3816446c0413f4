"""Panoptic quality by the size of segments, with COCO's limits, in pixels of the original image.

A true segment's size decides for a match or a miss, the predicted one's for an extra. So the sizes' counts add up to those of
`unipan.metrics.pq.tally`. C classes; n true and m predicted segments.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.metrics.pq import PanopticQuality, PQCounts, quality, tally
from unipan.metrics.segment_matching import Matching

SMALL_PX = 32**2
"""Fewer pixels are small."""
LARGE_PX = 96**2
"""More pixels are large; what lies between is medium."""


class SizeCounts(NamedTuple):
    """Counts of any number of images; `plus` adds them."""

    small: PQCounts
    medium: PQCounts
    large: PQCounts

    def plus(self, other: "SizeCounts") -> "SizeCounts":
        return SizeCounts(*(own + its for own, its in zip(self, other, strict=True)))

    @staticmethod
    def zero(num_classes: int) -> "SizeCounts":
        """The counts of no image at all."""
        return SizeCounts(*[PQCounts.zero(num_classes)] * 3)


@dataclass(frozen=True, kw_only=True)
class SizeQuality:
    """The quality of small segments (under 32^2 px), medium ones and large ones (over 96^2 px)."""

    small: PanopticQuality
    medium: PanopticQuality
    large: PanopticQuality


def tally_by_size(found: Matching, num_classes: int) -> SizeCounts:
    """Count the pairs, extras and misses of each size and class."""
    slots = tally(
        found._replace(
            true_class=num_classes * _size(found.true_areas) + found.true_class,
            predicted_class=num_classes * _size(found.predicted_areas) + found.predicted_class,
        ),
        3 * num_classes,
    )
    rows = (part.view(3, num_classes) for part in (slots.iou_sum, slots.matched, slots.extra, slots.missed))
    return SizeCounts(*(PQCounts(*parts) for parts in zip(*rows, strict=True)))


def quality_by_size(counts: SizeCounts, classes: ClassTable) -> SizeQuality:
    """PQ, SQ and RQ of each size."""
    small, medium, large = (quality(one, classes) for one in counts)
    return SizeQuality(small=small, medium=medium, large=large)


def _size(areas: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 for small, 1 for medium, 2 for large."""
    return (areas >= SMALL_PX).astype(np.int64) + (areas > LARGE_PX)
