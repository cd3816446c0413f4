"""Pixel confusion of class maps, and what is read off it: mean IoU, things against stuff. H x W pixels, C classes."""

from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unipan.classes import VOID, ClassTable
from unipan.errors import InputError
from unipan.metrics.segment_matching import Matching
from unipan.ops.overlap import SharedAreas

VOID_NAME = "(void)"
"""What tables and pictures call predicted void; in brackets, as a class may have any other name."""


@dataclass(frozen=True)
class Confusion:
    """What took which class for which, in any number of images; adds up in any order."""

    pixels: Tensor
    """(C, C + 1) int64: pixels of each true class (row) by predicted class; the last column is predicted void.

    Pixels whose truth is void are nowhere in it.
    """

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.pixels + other.pixels)

    @staticmethod
    def zero(num_classes: int) -> "Confusion":
        """The confusion of no image at all."""
        return Confusion(torch.zeros(num_classes, num_classes + 1, dtype=torch.int64))


@dataclass(frozen=True, kw_only=True)
class MeanIoU:
    """Fractions 0..1; means over the classes that occur in truth or prediction, nan where none does."""

    all: float
    things: float
    stuff: float
    per_class: tuple[float, ...]
    """C entries; nan for a class that occurs in neither."""


@dataclass(frozen=True)
class ThingStuffConfusion:
    """Shares of the pixels, 0..1: those of each true kind (its row) add up to 1; nan where the truth holds none of a kind.

    The paper's Table B, whose two columns know no void: a prediction may leave pixels out, and they are wrong as well.
    """

    things_as_things: float
    things_as_stuff: float
    things_as_void: float
    stuff_as_things: float
    stuff_as_stuff: float
    stuff_as_void: float


def confuse(predicted_class_map: Tensor, true_class_map: Tensor, num_classes: int) -> Confusion:
    """Count one image. Both maps are (H, W) integers: class indices, or VOID."""
    if predicted_class_map.shape != true_class_map.shape:
        came, expected = ("x".join(map(str, side.shape)) for side in (predicted_class_map, true_class_map))
        raise InputError(f"the predicted class map is {came} but its truth {expected} pixels; predict at the truth's size.")
    # One row more than is kept, for the pixels whose truth is void: cheaper than picking out the others.
    size = num_classes + 1
    to_index = torch.full((VOID + 1,), size * size, dtype=torch.int32)  # out of range, unless ...
    to_index[:num_classes] = torch.arange(num_classes)
    to_index[VOID] = num_classes
    predicted, true = (to_index.index_select(0, side.flatten().int()) for side in (predicted_class_map, true_class_map))
    joint = torch.bincount(true.mul_(size).add_(predicted), minlength=size * size)
    if len(joint) > size * size:
        raise InputError(
            f"a class map holds an index that is neither below {num_classes}, the number of classes, nor void ({VOID})."
        )
    return Confusion(joint.view(size, size)[:num_classes])


def confuse_matched(found: Matching, num_classes: int) -> Confusion:
    """`confuse` of an image whose segments are matched, from the areas that they share; crowds have their class."""
    predicted_class = np.append(num_classes, found.predicted_class)  # predicted void, which stands first, has the last column
    return confuse_shared(found.shared, found.true_class, predicted_class, num_classes)


def confuse_shared(
    shared: SharedAreas, true_class: NDArray[np.int64], predicted_class: NDArray[np.int64], num_classes: int
) -> Confusion:
    """From the pixels that n true segments, rows 1 to n, share with m regions of a prediction, columns 0 to m - 1.

    true_class: (n,). predicted_class: (m,), num_classes for void.
    """
    on_truth = shared.row > 0
    columns = num_classes + 1
    cell = columns * true_class[shared.row[on_truth] - 1] + predicted_class[shared.column[on_truth]]
    pixels = np.bincount(cell, shared.area[on_truth], minlength=num_classes * columns)
    return Confusion(torch.from_numpy(pixels.astype(np.int64).reshape(num_classes, columns)))


def mean_iou(confusion: Confusion, classes: ClassTable) -> MeanIoU:
    """IoU of each class over the pixels whose truth is not void, and the means over all, thing and stuff classes.

    A class counts when its union has pixels, as in the Cityscapes scripts: predicted only, it counts with IoU 0.
    """
    right = confusion.pixels.diagonal()
    union = confusion.pixels.sum(1) + confusion.pixels[:, :-1].sum(0) - right
    per_class = tuple((right.double() / union).tolist())  # 0 / 0 is nan
    return MeanIoU(
        all=_mean(list(per_class)),
        things=_mean([per_class[index] for index in classes.things]),
        stuff=_mean([per_class[index] for index in classes.stuff]),
        per_class=per_class,
    )


def thing_stuff_confusion(confusion: Confusion, classes: ClassTable) -> ThingStuffConfusion:
    """How often things are taken for stuff and stuff for things, whatever their classes; rows normalised."""
    rows = [confusion.pixels[list(kind)].sum(0) for kind in (classes.things, classes.stuff)]  # (C + 1,) each
    shares: list[float] = []
    for row in rows:
        columns = (row[list(classes.things)].sum(), row[list(classes.stuff)].sum(), row[-1])
        shares += [(column.double() / row.sum()).item() for column in columns]  # 0 / 0 is nan
    return ThingStuffConfusion(*shares)


def pixels_by_name(confusion: Confusion, classes: ClassTable) -> dict[str, dict[str, int]]:
    """True class -> predicted class, or `(void)` -> pixels; pairs without a pixel are left out."""
    names = [*(info.name for info in classes.classes), VOID_NAME]
    return {
        name: {names[column]: number for column, number in enumerate(row) if number}
        for name, row in zip(names, confusion.pixels.tolist(), strict=False)
    }


def _mean(values: list[float]) -> float:
    present = [value for value in values if value == value]  # nan differs from itself
    return sum(present) / len(present) if present else nan
