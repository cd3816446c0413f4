"""Panoptic quality (Kirillov et al., CVPR 2019), counted as the reference evaluation, panopticapi, counts it.

One difference: areas always come from the pixels, where the reference trusts the area that the truth's JSON states.

H x W pixels of an image; C classes; n true and m predicted segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from torch import Tensor

from unipan.classes import ClassInfo, ClassTable
from unipan.metrics.segment_matching import Matching, match_maps
from unipan.types import PanopticMap


@dataclass(frozen=True)
class PQCounts:
    """What panoptic quality needs to know of any number of images; adds up in any order."""

    iou_sum: Tensor
    """(C,) float64, summed over matched pairs."""
    matched: Tensor
    """(C,) int64 true positives."""
    extra: Tensor
    """(C,) int64 false positives: predicted segments without a match."""
    missed: Tensor
    """(C,) int64 false negatives: true segments without a match."""

    def __add__(self, other: "PQCounts") -> "PQCounts":
        return PQCounts(
            self.iou_sum + other.iou_sum, self.matched + other.matched, self.extra + other.extra, self.missed + other.missed
        )

    @staticmethod
    def zero(num_classes: int) -> "PQCounts":
        """The counts of no image at all."""
        none = torch.zeros(num_classes, dtype=torch.int64)
        return PQCounts(none.double(), none, none, none)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Fractions 0..1; nan where there is nothing to judge."""

    pq: float
    sq: float
    rq: float


@dataclass(frozen=True, kw_only=True)
class ClassQuality(Quality):
    """One class. All three are nan when it occurs neither in the truth nor in the predictions."""

    name: str
    is_thing: bool
    matched: int
    extra: int
    missed: int

    @property
    def occurs(self) -> bool:
        return self.matched + self.extra + self.missed > 0


@dataclass(frozen=True, kw_only=True)
class GroupQuality(Quality):
    """Means over the classes of a group that occur. All three are nan when none does."""

    num_classes: int
    """How many classes occur."""


@dataclass(frozen=True, kw_only=True)
class PanopticQuality:
    """The quality of a set of images."""

    all: GroupQuality
    things: GroupQuality
    stuff: GroupQuality
    per_class: tuple[ClassQuality, ...]
    """C entries, in the class table's order."""


def count(predicted: PanopticMap, true: PanopticMap, num_classes: int) -> PQCounts:
    """Match the segments of one image and count them. Linear in the pixels."""
    return tally(match_maps(predicted, true), num_classes)


def tally(found: Matching, num_classes: int) -> PQCounts:
    """Count the pairs, extras and misses of each class."""
    counted = (
        np.bincount(found.true_class[found.pairs], found.iou, minlength=num_classes).astype(np.float64),  # of no pairs int64
        np.bincount(found.true_class[found.pairs], minlength=num_classes),
        np.bincount(found.predicted_class[found.extra], minlength=num_classes),
        np.bincount(found.true_class[found.missed], minlength=num_classes),
    )
    return PQCounts(*(torch.from_numpy(numbers) for numbers in counted))


def quality(counts: PQCounts, classes: ClassTable) -> PanopticQuality:
    """PQ, SQ and RQ of each class, and their means over all, thing and stuff classes with any match, extra or miss."""
    per_class = tuple(_class_quality(counts, index, info) for index, info in enumerate(classes.classes))
    return PanopticQuality(
        all=_mean(per_class),
        things=_mean([entry for entry in per_class if entry.is_thing]),
        stuff=_mean([entry for entry in per_class if not entry.is_thing]),
        per_class=per_class,
    )


def _class_quality(counts: PQCounts, index: int, info: ClassInfo) -> ClassQuality:
    iou_sum = counts.iou_sum[index].item()
    matched, extra, missed = (int(field[index]) for field in (counts.matched, counts.extra, counts.missed))
    weight = matched + extra / 2 + missed / 2
    return ClassQuality(
        name=info.name,
        is_thing=info.is_thing,
        pq=iou_sum / weight if weight else nan,
        sq=(iou_sum / matched if matched else 0.0) if weight else nan,
        rq=matched / weight if weight else nan,
        matched=matched,
        extra=extra,
        missed=missed,
    )


def _mean(entries: Sequence[ClassQuality]) -> GroupQuality:
    present = [entry for entry in entries if entry.occurs]
    num = len(present)
    return GroupQuality(
        pq=sum(entry.pq for entry in present) / num if num else nan,
        sq=sum(entry.sq for entry in present) / num if num else nan,
        rq=sum(entry.rq for entry in present) / num if num else nan,
        num_classes=num,
    )
