"""PQ-dagger: the panoptic quality of things, and of stuff its IoU in each image (Porzi et al., CVPR 2019).

PQ counts a stuff segment with an IoU of 0.5 or less as missed, though stuff needs no matching: an image has it once. C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.metrics.additive import Additive
from unipan.metrics.confusion import ClassMeans, Confusion
from unipan.metrics.pq import PanopticQuality, iou_units
from unipan.metrics.units import UNITS


@dataclass(frozen=True)
class ImageIoU(Additive):
    """The IoU of each class in the images whose truth has it."""

    iou_units: NDArray[np.int64]
    """(C,) summed over these images, as in `PQCounts`."""
    images: NDArray[np.int64]
    """(C,) how many these are."""

    @staticmethod
    def zero(num_classes: int) -> "ImageIoU":
        """Of no image at all."""
        none = np.zeros(num_classes, dtype=np.int64)
        return ImageIoU(none, none)

    @staticmethod
    def of(pixels: Confusion) -> "ImageIoU":
        """Of one image's confusion: a class's segments are judged as one, pixels whose truth is void not at all."""
        there = pixels.pixels.sum(1) > 0
        known = np.flatnonzero(there)
        iou = pixels.intersection[known] / pixels.union[known]
        return ImageIoU(iou_units(iou, known, len(there)), there.astype(np.int64))


def pq_dagger(quality: PanopticQuality, stuff: ImageIoU, classes: ClassTable) -> ClassMeans:
    """A thing class has its PQ, a stuff class its mean IoU over the images whose truth has it; nan where there are none."""
    with np.errstate(invalid="ignore"):
        mean_iou = stuff.iou_units / UNITS / stuff.images
    pairs = zip(quality.per_class, mean_iou.tolist(), strict=True)
    return ClassMeans.of([one.pq if one.is_thing else iou for one, iou in pairs], classes)
