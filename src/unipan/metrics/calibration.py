"""Do scores mean what they say: of the things with a score near 0.8, are eight in ten right? B bins, C classes.

A thing is right where panoptic quality counts it as matched, wrong where it counts it as extra; forgiven ones are neither.
A bin's error is how far the share of right ones lies from their mean score; the expected calibration error is its mean over all
things (Guo et al., ICML 2017).
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.metrics.additive import Additive
from unipan.metrics.segment_matching import Matching
from unipan.metrics.units import UNITS

NUM_BINS = 10
"""Of equal width; a score of 1 is in the last."""


@dataclass(frozen=True)
class ScoreBins(Additive):
    """The scores of the segments of any number of images; (B, C) int64 each."""

    segments: NDArray[np.int64]
    """Matched or extra."""
    matched: NDArray[np.int64]
    score_units: NDArray[np.int64]
    """Sum of their scores."""

    @staticmethod
    def zero(num_classes: int) -> "ScoreBins":
        """Of no image at all."""
        none = np.zeros((NUM_BINS, num_classes), dtype=np.int64)
        return ScoreBins(none, none, none)

    @staticmethod
    def of(found: Matching, num_classes: int) -> "ScoreBins":
        """One image whose segments are matched."""
        judged = np.concatenate([found.partners, np.flatnonzero(found.extra)])
        scores, columns = found.scores[judged], found.predicted_class[judged]
        cells = num_classes * (NUM_BINS * scores).astype(np.int64).clip(0, NUM_BINS - 1) + columns
        sums = np.zeros(NUM_BINS * num_classes, dtype=np.int64)
        np.add.at(sums, cells, np.rint(scores * UNITS).astype(np.int64))
        parts = (
            np.bincount(cells, minlength=len(sums)),
            np.bincount(cells[: len(found.partners)], minlength=len(sums)),
            sums,
        )
        return ScoreBins(*(part.reshape(NUM_BINS, num_classes) for part in parts))


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Things with scores from `lowest` on, up to the next bin's. Fractions 0..1; nan where there are none."""

    lowest: float
    things: int
    mean_score: float
    matched: float
    """Share of them."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How scores of things and the share of right ones agree."""

    error: float
    """Expected calibration error of all things, 0..1."""
    bins: tuple[Bin, ...]
    per_class: tuple[float, ...]
    """C expected calibration errors; nan for stuff, and for things that were never predicted."""


def calibration(counts: ScoreBins, classes: ClassTable) -> Calibration | None:
    """None where nothing has a score: no thing was predicted, or all with the score 1, as files without scores are read."""
    things = list(classes.things)
    segments, matched, units = (part[:, things].sum(1) for part in (counts.segments, counts.matched, counts.score_units))
    if units.sum() == UNITS * segments.sum():
        return None
    score, share = (part / np.where(segments, segments, nan) for part in (units / UNITS, matched))
    per_class = np.full(len(classes), nan)
    per_class[things] = _error(counts.segments, counts.matched, counts.score_units)[things]
    return Calibration(
        error=float(_error(segments, matched, units)),
        bins=tuple(
            Bin(lowest=index / NUM_BINS, things=int(segments[index]), mean_score=float(score[index]), matched=float(share[index]))
            for index in range(NUM_BINS)
        ),
        per_class=tuple(per_class.tolist()),
    )


def _error(segments: NDArray[np.int64], matched: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """The expected calibration error over the first axis, the bins; nan where there is no segment."""
    total = segments.sum(0)
    return np.abs(units / UNITS - matched).sum(0) / np.where(total, total, nan)
