"""Panoptic quality (Kirillov et al., CVPR 2019), counted as the reference evaluation, panopticapi, counts it.

One difference: areas always come from the pixels, where the reference trusts the area that the truth's JSON states.

H x W pixels of an image; C classes; n true and m predicted segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unipan.classes import ClassInfo, ClassTable
from unipan.errors import InputError
from unipan.ops.segments import places_of, true_places
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
    """Match the segments of one image. Linear in the pixels.

    - A pair of one class matches when its IoU, with the prediction's void pixels left out of the union, is over 0.5.
    - A true crowd is neither matched nor missed.
    - A prediction without a match is forgiven when void and the crowd of its class cover more than half of it. Where a
      class has several crowds only the last of `true.segments` counts, as in the reference.
    """
    if predicted.ids.shape != true.ids.shape:
        came, expected = ("x".join(map(str, panoptic.ids.shape)) for panoptic in (predicted, true))
        raise InputError(
            f"the prediction is {came} pixels but its truth {expected} (height x width); predict at the truth's size."
        )
    joint = _joint_areas(predicted, true)
    shared, void = joint[1:, 1:], joint[0, 1:]  # (n, m), (m,)
    predicted_areas, true_areas = joint.sum(0)[1:], joint.sum(1)[1:]
    predicted_class, true_class = _classes(predicted), _classes(true)
    crowd = torch.tensor([segment.is_crowd for segment in true.segments], dtype=torch.bool)

    union = true_areas[:, None] + predicted_areas - shared - void
    match = (true_class[:, None] == predicted_class) & ~crowd[:, None] & (2 * shared > union)
    row, column = match.nonzero(as_tuple=True)  # at most one match in each row and column
    found, used = match.any(1), match.any(0)

    absorbed = void.clone()
    last_crowd = {segment.class_index: place for place, segment in enumerate(true.segments) if segment.is_crowd}
    for class_index, place in last_crowd.items():
        absorbed += shared[place] * (predicted_class == class_index)

    iou = shared[row, column].double() / union[row, column]
    return PQCounts(
        torch.zeros(num_classes, dtype=torch.float64).index_add_(0, true_class[row], iou),
        torch.bincount(true_class[row], minlength=num_classes),
        torch.bincount(predicted_class[~used & (2 * absorbed <= predicted_areas)], minlength=num_classes),
        torch.bincount(true_class[~found & ~crowd], minlength=num_classes),
    )


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


def _joint_areas(predicted: PanopticMap, true: PanopticMap) -> Tensor:
    """(n + 1, m + 1) int64: pixels that each true and each predicted segment share; row and column 0 are void."""
    rows, columns = len(true.segments) + 1, len(predicted.segments) + 1
    predicted_ids, true_ids = predicted.ids.numpy().ravel(), true.ids.numpy().ravel()
    # Neighbours mostly share both ids, so runs are looked up, not pixels. numpy, because torch's threads wait for each other on
    # maps this small, the more so where a caller counts several images at once.
    begins = np.ones(len(true_ids), dtype=bool)
    np.not_equal(predicted_ids[1:], predicted_ids[:-1], out=begins[1:])
    begins[1:] |= true_ids[1:] != true_ids[:-1]
    starts = true_places(begins)
    lengths = np.diff(starts, append=len(true_ids))
    pair = _places(true_ids.take(starts), true) * columns + _places(predicted_ids.take(starts), predicted)
    joint = np.bincount(pair, lengths, minlength=rows * columns)  # float64, exact far beyond any number of pixels
    return torch.from_numpy(joint.astype(np.int64)).view(rows, columns)


def _places(ids: NDArray[np.int32], panoptic: PanopticMap) -> NDArray[np.int64]:
    """1 + the place of each id in `segments`, 0 for void."""
    known = [segment.id for segment in panoptic.segments]
    return (places_of(ids, known) + 1) % (len(known) + 1)


def _classes(panoptic: PanopticMap) -> Tensor:
    return torch.tensor([segment.class_index for segment in panoptic.segments], dtype=torch.int64)
