"""Which true and predicted segments of one image are the same, as panopticapi matches them. n true and m predicted segments."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError
from unipan.ops.overlap import joint_areas_of_runs, runs_of_maps
from unipan.ops.segments import Label
from unipan.types import PanopticMap, Segment


class Matching(NamedTuple):
    """Which segments of one image found each other; k pairs."""

    joint: NDArray[np.int64]  # (n + 1, m + 1) pixels that true and predicted segments share; row and column 0 are void
    true_class: NDArray[np.int64]  # (n,)
    predicted_class: NDArray[np.int64]  # (m,)
    true_areas: NDArray[np.int64]  # (n,) pixels
    predicted_areas: NDArray[np.int64]  # (m,) pixels
    pairs: NDArray[np.int64]  # (k,) places of the matched true segments
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
    joint = joint_areas_of_runs(
        predicted_ids, [s.id for s in predicted.segments], true_ids, [s.id for s in true.segments], lengths
    )
    return match_known(joint, predicted.segments, true.segments)


def match_known(joint: NDArray[np.int64], predicted: Sequence[Segment | Label], true: Sequence[Segment | Label]) -> Matching:
    """`match_segments` of areas (n + 2, m + 2) whose last row and column, of ids that no segment bears, must be empty."""
    if joint[-1].any() or joint[:, -1].any():
        raise InputError("a panoptic map has ids that none of its segments bears; make it with unipan.ops.segments.panoptic_map.")
    return match_segments(joint[:-1, :-1], predicted, true)


def match_segments(joint: NDArray[np.int64], predicted: Sequence[Segment | Label], true: Sequence[Segment | Label]) -> Matching:
    """Match by the areas (n + 1, m + 1) that true and predicted segments share; row and column 0 are void.

    - A pair of one class matches when its IoU, with the prediction's void pixels left out of the union, is over 0.5.
    - A true crowd is neither matched nor missed.
    - A prediction without a match is forgiven when void and the crowd of its class cover more than half of it. Where a
      class has several crowds only the last of `true` counts, as in the reference.
    """
    shared, void = joint[1:, 1:], joint[0, 1:]  # (n, m), (m,)
    predicted_areas, true_areas = joint.sum(0)[1:], joint.sum(1)[1:]
    predicted_class, true_class = _classes(predicted), _classes(true)
    crowd = np.array([segment.is_crowd for segment in true], dtype=bool)
    union = true_areas[:, None] + predicted_areas - shared - void
    match = (true_class[:, None] == predicted_class) & ~crowd[:, None] & (2 * shared > union)
    row, column = match.nonzero()  # at most one match in each row and column
    absorbed = void.copy()
    last_crowd = {segment.class_index: place for place, segment in enumerate(true) if segment.is_crowd}
    for class_index, place in last_crowd.items():
        absorbed += shared[place] * (predicted_class == class_index)
    return Matching(
        joint=joint,
        true_class=true_class,
        predicted_class=predicted_class,
        true_areas=true_areas,
        predicted_areas=predicted_areas,
        pairs=row,
        iou=shared[row, column] / union[row, column],
        extra=~match.any(0) & (2 * absorbed <= predicted_areas),
        missed=~match.any(1) & ~crowd,
    )


def _classes(segments: Sequence[Segment | Label]) -> NDArray[np.int64]:
    return np.array([segment.class_index for segment in segments], dtype=np.int64)
