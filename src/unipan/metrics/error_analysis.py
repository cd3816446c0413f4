"""Errors of segments, read off their counts."""

from dataclasses import dataclass

import numpy as np

from unipan.classes import ClassTable
from unipan.metrics.pq import PQCounts, quality
from unipan.metrics.segment_errors import KINDS, SegmentErrors
from unipan.metrics.sizes import SizeLimits, sums_by_size


@dataclass(frozen=True, kw_only=True)
class ClassErrors:
    """One class's errors of one kind."""

    name: str
    missed: int
    false: int
    pq_if_repaired: float
    """Of the class; nan where it occurs no more."""


@dataclass(frozen=True, kw_only=True)
class KindOfError:
    """All errors of one kind. Fractions 0..1."""

    kind: str
    missed: int
    """True segments."""
    false: int
    """Predicted ones."""
    small: int
    """Of both, by their own size."""
    medium: int
    large: int
    pq_all_if_repaired: float
    pq_things_if_repaired: float
    pq_stuff_if_repaired: float
    per_class: tuple[ClassErrors, ...]
    """The classes with such errors, in the class table's order."""


@dataclass(frozen=True, kw_only=True)
class ErrorAnalysis:
    """What is wrong with answers; `unipan.metrics.segment_errors` says what the kinds are and how they are repaired."""

    limits: SizeLimits
    kinds: tuple[KindOfError, ...]

    @staticmethod
    def of(errors: SegmentErrors, classes: ClassTable, limits: SizeLimits) -> "ErrorAnalysis":
        """Read off the counts."""
        return ErrorAnalysis(limits=limits, kinds=tuple(_kind(errors, index, classes, limits) for index in range(len(KINDS))))


def _kind(errors: SegmentErrors, index: int, classes: ClassTable, limits: SizeLimits) -> KindOfError:
    missed, false, counts = errors.missed[index], errors.false[index], errors.repaired
    parts = (counts.iou_units, counts.matched, counts.extra, counts.missed)
    repaired = quality(PQCounts(*(part[index] for part in parts)), classes)
    small, medium, large = sums_by_size(errors.sizes[index], limits)
    return KindOfError(
        kind=KINDS[index],
        missed=int(missed.sum()),
        false=int(false.sum()),
        small=int(small),
        medium=int(medium),
        large=int(large),
        pq_all_if_repaired=repaired.all.pq,
        pq_things_if_repaired=repaired.things.pq,
        pq_stuff_if_repaired=repaired.stuff.pq,
        per_class=tuple(
            ClassErrors(
                name=classes[slot].name,
                missed=int(missed[slot]),
                false=int(false[slot]),
                pq_if_repaired=repaired.per_class[slot].pq,
            )
            for slot in np.flatnonzero(missed + false).tolist()
        ),
    )
