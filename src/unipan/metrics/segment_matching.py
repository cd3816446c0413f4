"""Which true and predicted segments of one image are the same, as panopticapi matches them. n true and m predicted segments."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID_ID
from unipan.errors import InputError
from unipan.ops.id_lookup import indices_of
from unipan.ops.overlap import SharedAreas, runs_of_maps, shared_areas
from unipan.ops.segments import Label
from unipan.types import PanopticMap, Segment


class Matching(NamedTuple):
    """Which segments of one image, or of several side by side, found each other; k pairs."""

    shared: SharedAreas  # rows are true segments, columns predicted ones, counted from 1; 0 is void
    true_class: NDArray[np.int64]  # (n,)
    predicted_class: NDArray[np.int64]  # (m,)
    true_areas: NDArray[np.int64]  # (n,) pixels
    predicted_areas: NDArray[np.int64]  # (m,) pixels
    void_areas: NDArray[np.int64]  # (m,) pixels of a prediction whose truth is void
    crowd: NDArray[np.bool_]  # (n,)
    absorbs: NDArray[np.bool_]  # (n,) the last crowd of its class in its image
    scores: NDArray[np.float64]  # (m,)
    pairs: NDArray[np.int64]  # (k,) indices of the matched true segments
    partners: NDArray[np.int64]  # (k,) those of the predicted ones that they match
    iou: NDArray[np.float64]  # (k,)
    extra: NDArray[np.bool_]  # (m,) neither matched nor forgiven
    missed: NDArray[np.bool_]  # (n,) neither matched nor a crowd


def match_maps(predicted: PanopticMap, true: PanopticMap) -> Matching:
    """`match_segments` of two maps of one size."""
    if predicted.ids.shape != true.ids.shape:
        came, expected = ("x".join(map(str, panoptic.ids.shape)) for panoptic in (predicted, true))
        raise InputError(
            f"the prediction is {came} pixels but its truth {expected} (height x width); predict at the truth's size."
        )
    (predicted_ids, true_ids), lengths = runs_of_maps([predicted.ids.numpy(), true.ids.numpy()])
    rows, columns = (
        indices_of(ids, [VOID_ID, *(segment.id for segment in side.segments)])
        for ids, side in ((true_ids, true), (predicted_ids, predicted))
    )
    return match_segments(rows, columns, lengths, predicted.segments, true.segments)


def match_segments(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lengths: NDArray[np.int64],
    predicted: Sequence[Segment | Label],
    true: Sequence[Segment | Label],
) -> Matching:
    """Match by what true and predicted segments share, of r runs of pixels.

    rows, columns: (r,) which true and which predicted segment a run is of, counted from 1; 0 is void. lengths: (r,) pixels.
    """
    num_true, num_predicted = len(true), len(predicted)
    shared = shared_areas(rows, columns, (num_true + 2, num_predicted + 2), lengths)
    if (shared.row > num_true).any() or (shared.column > num_predicted).any():
        raise InputError("a panoptic map has ids that none of its segments bears; make it with unipan.ops.segments.panoptic_map.")
    crowd = np.array([segment.is_crowd for segment in true], dtype=bool)
    scores = np.array([segment.score for segment in predicted], dtype=np.float64)
    absorbs = np.zeros(num_true, dtype=bool)
    absorbs[list({segment.class_index: index for index, segment in enumerate(true) if segment.is_crowd}.values())] = True
    return match_shared(shared, _classes(true), _classes(predicted), crowd, absorbs, scores)


def match_shared(
    shared: SharedAreas,
    true_class: NDArray[np.int64],
    predicted_class: NDArray[np.int64],
    crowd: NDArray[np.bool_],
    absorbs: NDArray[np.bool_],
    scores: NDArray[np.float64],
) -> Matching:
    """Match n true and m predicted segments by the areas that they share; the arguments are those of `Matching`.

    - A pair of one class matches when its IoU, with the prediction's void pixels left out of the union, is over 0.5.
    - A true crowd is neither matched nor missed.
    - A prediction without a match is forgiven when void and the crowd of its class cover more than half of it. Where a
      class has several crowds only the last counts, as in the reference.
    """
    num_true, num_predicted = len(true_class), len(predicted_class)
    true_areas, predicted_areas = _sums(shared.row, shared.area, num_true), _sums(shared.column, shared.area, num_predicted)
    on_void = shared.row == 0
    void = _sums(shared.column[on_void], shared.area[on_void], num_predicted)  # (m,)
    both = ~on_void & (shared.column > 0)
    row, column, area = shared.row[both] - 1, shared.column[both] - 1, shared.area[both]
    of_one_class = true_class[row] == predicted_class[column]
    union = true_areas[row] + predicted_areas[column] - area - void[column]
    match = of_one_class & ~crowd[row] & (2 * area > union)  # at most one of each row and column
    forgiven = of_one_class & absorbs[row]
    absorbed = void + _sums(column[forgiven] + 1, area[forgiven], num_predicted)
    unmatched, unfound = np.ones(num_predicted, dtype=bool), ~crowd
    unmatched[column[match]], unfound[row[match]] = False, False
    return Matching(
        shared=shared,
        true_class=true_class,
        predicted_class=predicted_class,
        true_areas=true_areas,
        predicted_areas=predicted_areas,
        void_areas=void,
        crowd=crowd,
        absorbs=absorbs,
        scores=scores,
        pairs=row[match],
        partners=column[match],
        iou=area[match] / union[match],
        extra=unmatched & (2 * absorbed <= predicted_areas),
        missed=unfound,
    )


def side_by_side(found: Sequence[Matching]) -> Matching:
    """The matchings of some images, laid side by side: what is counted on it, is counted of all of them at once."""
    joined = {name: np.concatenate([getattr(one, name) for one in found]) for name in Matching._fields[1:]}
    num_true, num_predicted = [len(one.true_class) for one in found], [len(one.predicted_class) for one in found]
    rows, columns = [one.shared.row for one in found], [one.shared.column for one in found]
    shared = SharedAreas(
        row=np.where(np.concatenate(rows) > 0, _moved(rows, num_true), 0),
        column=np.where(np.concatenate(columns) > 0, _moved(columns, num_predicted), 0),
        area=np.concatenate([one.shared.area for one in found]),
    )
    pairs, partners = _moved([one.pairs for one in found], num_true), _moved([one.partners for one in found], num_predicted)
    return Matching(shared, **joined)._replace(pairs=pairs, partners=partners)


def _moved(indices: Sequence[NDArray[np.int64]], counts: Sequence[int]) -> NDArray[np.int64]:
    """Indices of each image's segments, behind those of the images before it. counts: of each image's segments."""
    before = np.cumsum([0, *counts])[:-1]
    return np.concatenate(indices) + np.repeat(before, [len(own) for own in indices])


def _sums(position: NDArray[np.int64], areas: NDArray[np.int64], num: int) -> NDArray[np.int64]:
    """(num,) areas of the segments 1 to num, from those of parts of them."""
    return np.bincount(position, areas, minlength=num + 1).astype(np.int64)[1:]


def _classes(segments: Sequence[Segment | Label]) -> NDArray[np.int64]:
    return np.array([segment.class_index for segment in segments], dtype=np.int64)
