"""Panoptic quality by the size of segments, in pixels of the original image.

A true segment's size decides for a match or a miss, the predicted one's for an extra. So the sizes' counts add up to those of
`unipan.metrics.pq.PQCounts.of`. C classes; Z sizes: those between powers of two, and COCO's limits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.metrics.pq import PanopticQuality, PQCounts, quality
from unipan.metrics.segment_matching import Matching


class SizeLimits(NamedTuple):
    """What parts small, medium and large segments."""

    medium_px: int
    """Fewer pixels are small."""
    large_px: int
    """So many or more pixels are large."""


COCO_LIMITS = SizeLimits(32**2, 96**2 + 1)
FIRST_PX = (*(2**power for power in range(4, 25)), COCO_LIMITS.large_px)
"""Where each size but the first begins."""
EDGES = np.sort(np.array(FIRST_PX))
NUM_SIZES = len(EDGES) + 1
ALIKE = 0.9
"""Where a larger share of the true things is of one of COCO's sizes, these tell little."""


@dataclass(frozen=True, kw_only=True)
class SizeQuality:
    """The quality of small segments, medium ones and large ones."""

    limits: SizeLimits
    small: PanopticQuality
    medium: PanopticQuality
    large: PanopticQuality

    def true_segments(self) -> str:
        """How many true things each size has (of a set without: stuff segments), in words."""
        sizes = (self.small, self.medium, self.large)
        kind, word = (True, "things") if any(entry.is_thing for entry in self.small.per_class) else (False, "stuff segments")
        small, medium, large = (sum(e.matched + e.missed for e in one.per_class if e.is_thing == kind) for one in sizes)
        return f"{small}, {medium} and {large} {word}"


def count_by_size(found: Matching, num_classes: int) -> PQCounts:
    """The pairs, extras and misses of each size and class in one image: (Z, C)."""
    slots = PQCounts.of(
        found._replace(
            true_class=num_classes * size_index(found.true_areas) + found.true_class,
            predicted_class=num_classes * size_index(found.predicted_areas) + found.predicted_class,
        ),
        NUM_SIZES * num_classes,
    )
    parts = (slots.iou_units, slots.matched, slots.extra, slots.missed)
    return PQCounts(*(part.reshape(NUM_SIZES, num_classes) for part in parts))


def quality_by_size(counts: PQCounts, classes: ClassTable, limits: SizeLimits = COCO_LIMITS) -> SizeQuality:
    """PQ, SQ and RQ of each size, of counts (Z, C). limits: of FIRST_PX."""
    parts = (sums_by_size(part, limits) for part in (counts.iou_units, counts.matched, counts.extra, counts.missed))
    small, medium, large = (quality(PQCounts(*sums), classes) for sums in zip(*parts, strict=True))
    return SizeQuality(limits=limits, small=small, medium=medium, large=large)


def sums_by_size(counts: NDArray[np.int64], limits: SizeLimits) -> list[NDArray[np.int64]]:
    """Counts (Z, ...) summed over the small sizes, the medium and the large ones. limits: of FIRST_PX."""
    size = np.digitize(np.append(0, EDGES), limits)
    return [counts[size == wanted].sum(0) for wanted in range(3)]


def own_limits(counts: PQCounts, classes: ClassTable) -> SizeLimits | None:
    """Limits that part the set's own things (of a set without: its stuff) in three, as nearly as powers of two can.

    None where COCO's tell them apart, or where these can't either.
    """
    true = (counts.matched + counts.missed)[:, list(classes.things or classes.stuff)].sum(1)  # (Z,)
    total = max(true.sum(), 1)
    of_coco = np.bincount(np.digitize(np.append(0, EDGES), COCO_LIMITS), true, minlength=3)
    if of_coco.max() <= ALIKE * total:
        return None
    below = true.cumsum()[:-1] / total  # the share of smaller ones, at each edge
    first, second = (int(np.abs(below - third / 3).argmin()) for third in (1, 2))
    apart = 0 < below[first] < below[second] < 1
    return SizeLimits(int(EDGES[first]), int(EDGES[second])) if apart else None


def size_index(areas: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 to Z - 1, of areas in pixels."""
    return np.digitize(areas, EDGES)
