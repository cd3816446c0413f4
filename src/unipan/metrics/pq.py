"""Panoptic quality (Kirillov et al., CVPR 2019), counted as the reference evaluation, panopticapi, counts it.

One difference: areas always come from the pixels, where the reference trusts the area that the truth's JSON states.

H x W pixels of an image; C classes; n true and m predicted segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassInfo, ClassTable
from unipan.errors import InputError
from unipan.metrics.additive import Additive
from unipan.metrics.segment_matching import Matching, match_maps
from unipan.metrics.units import UNITS
from unipan.types import PanopticMap

MOST_PAIRS = 2**63 // UNITS - 1


@dataclass(frozen=True)
class PQCounts(Additive):
    """What panoptic quality needs to know of any number of images: (C,) int64 each, or (..., C) where it is taken apart."""

    iou_units: NDArray[np.int64]
    """Summed over matched pairs, in units of 2^-40: whole numbers add up to the same sum in any order, as fractions do not."""
    matched: NDArray[np.int64]
    """True positives."""
    extra: NDArray[np.int64]
    """False positives: predicted segments without a match."""
    missed: NDArray[np.int64]
    """False negatives: true segments without a match."""

    def __post_init__(self) -> None:
        if (self.iou_units < 0).any():
            raise InputError(
                f"over {MOST_PAIRS:,} segments of one class are matched, more than sums can hold; score parts of the set."
            )

    @property
    def iou_sum(self) -> NDArray[np.float64]:
        """Summed over matched pairs, each of which is off by at most 2^-41."""
        return self.iou_units / UNITS

    @staticmethod
    def zero(*shape: int) -> "PQCounts":
        """The counts of no image at all, of the shape C or another that ends with it."""
        none = np.zeros(shape, dtype=np.int64)
        return PQCounts(none, none, none, none)

    @staticmethod
    def of(found: Matching, num_classes: int) -> "PQCounts":
        """The pairs, extras and misses of each class in one image."""
        pairs = found.true_class[found.pairs]
        return PQCounts(
            iou_units(found.iou, pairs, num_classes),
            np.bincount(pairs, minlength=num_classes),
            np.bincount(found.predicted_class[found.extra], minlength=num_classes),
            np.bincount(found.true_class[found.missed], minlength=num_classes),
        )


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
    return PQCounts.of(match_maps(predicted, true), num_classes)


def iou_units(iou: NDArray[np.float64], slots: NDArray[np.int64], num_slots: int) -> NDArray[np.int64]:
    """(num_slots,) sums of IoUs, (k,), by their slots, (k,), in units of 2^-40."""
    units = np.zeros(num_slots, dtype=np.int64)
    np.add.at(units, slots, np.rint(iou * UNITS).astype(np.int64))
    return units


def quality(counts: PQCounts, classes: ClassTable) -> PanopticQuality:
    """PQ, SQ and RQ of each class, and their means over all, thing and stuff classes with any match, extra or miss."""
    per_class = tuple(_class_quality(counts, index, info) for index, info in enumerate(classes.classes))
    return PanopticQuality(
        all=_mean(per_class),
        things=_mean([entry for entry in per_class if entry.is_thing]),
        stuff=_mean([entry for entry in per_class if not entry.is_thing]),
        per_class=per_class,
    )


def mean_pq(counts: PQCounts) -> float:
    """The mean PQ of the classes that occur, as `quality` says it of all; nan where none does. For many small counts."""
    weight = counts.matched + counts.extra / 2 + counts.missed / 2
    occurs = weight > 0
    return float((counts.iou_sum[occurs] / weight[occurs]).mean()) if occurs.any() else nan


def _class_quality(counts: PQCounts, index: int, info: ClassInfo) -> ClassQuality:
    iou_sum = float(counts.iou_sum[index])
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
