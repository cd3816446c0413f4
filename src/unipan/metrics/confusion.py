"""Pixel confusion of class maps, and what is read off it: mean IoU, things against stuff. H x W pixels, C classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.metrics.additive import Additive
from unipan.metrics.segment_matching import Matching
from unipan.ops.overlap import SharedAreas

VOID_NAME = "(void)"
"""What tables and drawings call predicted void; in brackets, as a class may have any other name."""


@dataclass(frozen=True)
class Confusion(Additive):
    """What took which class for which, in any number of images."""

    pixels: NDArray[np.int64]
    """(C, C + 1) pixels of each true class (row) by predicted class; the last column is predicted void.

    Pixels whose truth is void are nowhere in it.
    """

    @staticmethod
    def zero(num_classes: int) -> "Confusion":
        """The confusion of no image at all."""
        return Confusion(np.zeros((num_classes, num_classes + 1), dtype=np.int64))

    @staticmethod
    def of(found: Matching, num_classes: int) -> "Confusion":
        """One image whose segments are matched, from the areas that they share; crowds have their class."""
        predicted_class = np.append(num_classes, found.predicted_class)  # predicted void, which stands first, has the last column
        return Confusion.of_regions(found.shared, found.true_class, predicted_class, num_classes)

    @staticmethod
    def of_regions(
        shared: SharedAreas, true_class: NDArray[np.int64], predicted_class: NDArray[np.int64], num_classes: int
    ) -> "Confusion":
        """From the pixels that n true segments, rows 1 to n, share with m regions of a prediction, columns 0 to m - 1.

        true_class: (n,). predicted_class: (m,), num_classes for void.
        """
        on_truth = shared.row > 0
        columns = num_classes + 1
        cell = columns * true_class[shared.row[on_truth] - 1] + predicted_class[shared.column[on_truth]]
        pixels = np.bincount(cell, shared.area[on_truth], minlength=num_classes * columns)
        return Confusion(pixels.astype(np.int64).reshape(num_classes, columns))

    @property
    def intersection(self) -> NDArray[np.int64]:
        """(C,) pixels that are of a class in truth and prediction."""
        return self.pixels.diagonal()

    @property
    def union(self) -> NDArray[np.int64]:
        """(C,) pixels that are of a class in truth or prediction."""
        return self.pixels.sum(1) + self.pixels[:, :-1].sum(0) - self.intersection


@dataclass(frozen=True, kw_only=True)
class ClassMeans:
    """Fractions 0..1; means over the classes that have a value, nan where none has."""

    all: float
    things: float
    stuff: float
    per_class: tuple[float, ...]
    """C entries, nan for a class without a value."""

    @staticmethod
    def of(per_class: Sequence[float], classes: ClassTable) -> "ClassMeans":
        """The means of each class's value."""
        return ClassMeans(
            all=_mean(per_class),
            things=_mean([per_class[index] for index in classes.things]),
            stuff=_mean([per_class[index] for index in classes.stuff]),
            per_class=tuple(per_class),
        )


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


def mean_iou(confusion: Confusion, classes: ClassTable) -> ClassMeans:
    """IoU of each class over the pixels whose truth is not void, and the means over all, thing and stuff classes.

    A class counts when its union has pixels, as in the Cityscapes scripts: predicted only, it counts with IoU 0.
    """
    return ClassMeans.of(_shares(confusion.intersection, confusion.union), classes)


def thing_stuff_confusion(confusion: Confusion, classes: ClassTable) -> ThingStuffConfusion:
    """How often things are taken for stuff and stuff for things, whatever their classes; rows normalised."""
    shares: list[float] = []
    for kind in (classes.things, classes.stuff):
        row = confusion.pixels[list(kind)].sum(0)  # (C + 1,)
        columns = np.array([row[list(classes.things)].sum(), row[list(classes.stuff)].sum(), row[-1]])
        shares += _shares(columns, row.sum())
    return ThingStuffConfusion(*shares)


def pixels_by_name(confusion: Confusion, classes: ClassTable) -> dict[str, dict[str, int]]:
    """True class -> predicted class, or `(void)` -> pixels; pairs without a pixel are left out."""
    names = [*(info.name for info in classes.classes), VOID_NAME]
    return {
        name: {names[column]: number for column, number in enumerate(row) if number}
        for name, row in zip(names, confusion.pixels.tolist(), strict=False)
    }


def _shares(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> list[float]:
    """Nan where the whole is 0."""
    with np.errstate(invalid="ignore"):
        return (parts / wholes).tolist()


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if value == value]  # nan differs from itself
    return sum(present) / len(present) if present else nan
