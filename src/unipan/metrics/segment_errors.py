"""What is wrong with an answer, segment by segment: each that is missed or false has an error of one kind; its price is in PQ.

n true and m predicted segments of an image, p pairs of them that share pixels; C classes, Z sizes, K kinds of errors.

Missed and false are those that panoptic quality counts as missed and extra. So crowds have no error, nor have predictions that
void and crowds forgive. IoU is panoptic quality's, and a prediction's area leaves its void pixels out. The first kind that
applies is a segment's own:

- wrong class: it has an IoU over 0.5 with a segment of another class (the classification error of TIDE, Bolya et al., ECCV 2020);
- merged: one prediction stands for several true segments of its class: of each it has more than half, and they are more than half
  of it (under-segmentation of Hoover et al., PAMI 1996, with the tolerance 0.5);
- split: several predictions stand for one true segment of their class: each lies in it by more than half, and together they have
  more than half of it (their over-segmentation);
- badly outlined: it has an IoU of 0.1 or more with one of its class that has no match either (TIDE's localization error);
- missed, extra: nothing of that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unipan.metrics.additive import Additive
from unipan.metrics.pq import PQCounts
from unipan.metrics.segment_matching import Matching, match_shared
from unipan.metrics.sizes import NUM_SIZES, size_index
from unipan.ops.overlap import shared_areas

KINDS = ("wrong class", "merged", "split", "badly outlined", "missed", "extra")
WRONG_CLASS, MERGED, SPLIT, BADLY_OUTLINED, MISSED, EXTRA = range(len(KINDS))
NO_ERROR = len(KINDS)


@dataclass(frozen=True)
class SegmentErrors(Additive):
    """The errors of any number of images: whole numbers."""

    missed: NDArray[np.int64]
    """(K, C) true segments."""
    false: NDArray[np.int64]
    """(K, C) predicted ones, by the class that they were predicted as."""
    sizes: NDArray[np.int64]
    """(K, Z) missed by their true size and false by their predicted one, together."""
    repaired: PQCounts
    """(K, C) panoptic quality's counts if every error of the kind were repaired.

    Of a wrong class: the prediction has the right one, and its outline as it is. Of another kind: a missed segment is answered
    pixel by pixel, whatever stood there; all other pixels of a false one are void. Then everything is matched anew.
    """

    @staticmethod
    def zero(num_classes: int) -> "SegmentErrors":
        """Of no image at all."""
        by_class = np.zeros((len(KINDS), num_classes), dtype=np.int64)
        sizes = np.zeros((len(KINDS), NUM_SIZES), dtype=np.int64)
        return SegmentErrors(by_class, by_class, sizes, PQCounts.zero(len(KINDS), num_classes))

    @staticmethod
    def of(found: Matching, num_classes: int) -> "SegmentErrors":
        """One image whose segments are matched, or several side by side."""
        missed, false, right_class = error_kinds(found)
        sizes = _table(missed, size_index(found.true_areas), NUM_SIZES) + _table(
            false, size_index(found.predicted_areas), NUM_SIZES
        )
        return SegmentErrors(
            _table(missed, found.true_class, num_classes),
            _table(false, found.predicted_class, num_classes),
            sizes,
            _repaired(found, missed, false, right_class, num_classes),
        )


def error_kinds(found: Matching) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each true segment's kind (n,) and each predicted one's (m,), NO_ERROR for none; and each prediction's right class (m,).

    A right class differs from the predicted one where the IoU with a segment of another class is over 0.5.
    """
    on_both = (found.shared.row > 0) & (found.shared.column > 0)
    on_both[on_both] = ~found.crowd[found.shared.row[on_both] - 1]
    row, column, area = found.shared.row[on_both] - 1, found.shared.column[on_both] - 1, found.shared.area[on_both]
    true_areas, areas = found.true_areas, found.predicted_areas - found.void_areas
    union = true_areas[row] + areas[column] - area
    alike, half = found.true_class[row] == found.predicted_class[column], 2 * area > union
    free = np.ones(len(areas), dtype=bool)
    free[found.partners] = False
    wrong = half & ~alike
    pairs_of_kind = {
        WRONG_CLASS: wrong,
        MERGED: _several(column, area, alike & (2 * area > true_areas[row]), areas),
        SPLIT: _several(row, area, alike & (2 * area > areas[column]), true_areas),
        BADLY_OUTLINED: alike & (10 * area >= union) & found.missed[row] & free[column],
    }
    missed, false = np.full(len(true_areas), MISSED), np.full(len(areas), EXTRA)
    for kind, pairs in reversed(pairs_of_kind.items()):
        missed[row[pairs]], false[column[pairs]] = kind, kind
    right_class = found.predicted_class.copy()
    right_class[column[wrong]] = found.true_class[row[wrong]]
    return np.where(found.missed, missed, NO_ERROR), np.where(found.extra, false, NO_ERROR), right_class


def _several(
    whole: NDArray[np.int64], area: NDArray[np.int64], is_part: NDArray[np.bool_], areas: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(p,) whether a pair is of a whole and one of its parts, which are two or more and together over half of it."""
    parts = np.bincount(whole[is_part], minlength=len(areas))
    covered = np.bincount(whole[is_part], area[is_part], minlength=len(areas))
    return is_part & ((parts > 1) & (2 * covered > areas))[whole]


def _table(kinds: NDArray[np.int64], slots: NDArray[np.int64], num_slots: int) -> NDArray[np.int64]:
    """(K, num_slots) how many segments are of each kind and slot."""
    cells = np.bincount(num_slots * kinds + slots, minlength=(len(KINDS) + 1) * num_slots)
    return cells.reshape(-1, num_slots)[: len(KINDS)]


def _repaired(
    found: Matching, missed: NDArray[np.int64], false: NDArray[np.int64], right_class: NDArray[np.int64], num_classes: int
) -> PQCounts:
    """(K, C) the counts of K images side by side, in each of which one kind is repaired: matched together."""
    shared, kinds = found.shared, np.arange(len(KINDS))[:, None]
    num_true, num_columns = len(found.true_class), len(found.predicted_class) + len(found.true_class)
    kind_of_row, kind_of_column = np.append(NO_ERROR, missed), np.append(NO_ERROR, false)
    kind_of_row[kind_of_row == WRONG_CLASS] = NO_ERROR  # these keep their pixels
    kind_of_column[kind_of_column == WRONG_CLASS] = NO_ERROR
    exact_column = len(found.predicted_class) + shared.row  # each true segment has one more prediction, empty at first
    column = np.where(kind_of_column[shared.column] == kinds, 0, shared.column)
    column = np.where(kind_of_row[shared.row] == kinds, exact_column, column)  # (K, p)
    rows = np.where(shared.row > 0, shared.row + kinds * num_true, 0)
    columns = np.where(column > 0, column + kinds * num_columns, 0)
    size = 1 + len(KINDS) * num_true, 1 + len(KINDS) * num_columns
    areas = np.broadcast_to(shared.area, rows.shape)
    predicted_class = np.tile(np.append(found.predicted_class, found.true_class), (len(KINDS), 1))
    predicted_class[WRONG_CLASS, : len(right_class)] = right_class
    matched = match_shared(
        shared_areas(rows.ravel(), columns.ravel(), size, areas.ravel()),
        (found.true_class + num_classes * kinds).ravel(),
        (predicted_class + num_classes * kinds).ravel(),
        np.tile(found.crowd, len(KINDS)),
        np.tile(found.absorbs, len(KINDS)),
        np.ones(len(KINDS) * num_columns),
    )
    matched = matched._replace(extra=matched.extra & (matched.predicted_areas > 0))
    counts = PQCounts.of(matched, len(KINDS) * num_classes)
    parts = (counts.iou_units, counts.matched, counts.extra, counts.missed)
    return PQCounts(*(part.reshape(len(KINDS), num_classes) for part in parts))
