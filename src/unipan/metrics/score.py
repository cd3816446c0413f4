"""What answers are worth against their truths: the one state that every scoring adds up, and makes its report of.

To add a metric: a file with what it takes from an image and how it is read, a field here, and its place in the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unipan.classes import ClassTable
from unipan.metrics.additive import Additive
from unipan.metrics.calibration import ScoreBins, calibration
from unipan.metrics.confusion import Confusion, mean_iou
from unipan.metrics.error_analysis import ErrorAnalysis
from unipan.metrics.pq import PQCounts, quality
from unipan.metrics.pq_dagger import ImageIoU, pq_dagger
from unipan.metrics.report import Report
from unipan.metrics.segment_errors import SegmentErrors
from unipan.metrics.segment_matching import Matching, side_by_side
from unipan.metrics.sizes import COCO_LIMITS, NUM_SIZES, count_by_size, own_limits, quality_by_size


@dataclass(frozen=True)
class Score(Additive):
    """The counts of any number of images. All are whole numbers, so that no order of adding changes a digit."""

    num_images: int
    segments: PQCounts
    """(C,)"""
    sizes: PQCounts
    """(Z, C), by the size of segments."""
    pixels: Confusion
    stuff: ImageIoU
    errors: SegmentErrors
    scores: ScoreBins

    @staticmethod
    def zero(num_classes: int) -> "Score":
        """The score of no image at all."""
        segments, sizes = PQCounts.zero(num_classes), PQCounts.zero(NUM_SIZES, num_classes)
        pixels, stuff = Confusion.zero(num_classes), ImageIoU.zero(num_classes)
        return Score(0, segments, sizes, pixels, stuff, SegmentErrors.zero(num_classes), ScoreBins.zero(num_classes))

    @staticmethod
    def of(found: Matching, num_classes: int) -> "Score":
        """One image whose segments are matched."""
        return Score.of_images([found], num_classes)

    @staticmethod
    def of_images(found: Sequence[Matching], num_classes: int) -> "Score":
        """Some images whose segments are matched, at least one: what a call costs by itself, they share."""
        together, pixels = side_by_side(found), [Confusion.of(one, num_classes) for one in found]
        return Score(
            num_images=len(found),
            segments=PQCounts.of(together, num_classes),
            sizes=count_by_size(together, num_classes),
            pixels=sum(pixels, Confusion.zero(num_classes)),
            stuff=sum(map(ImageIoU.of, pixels), ImageIoU.zero(num_classes)),
            errors=SegmentErrors.of(together, num_classes),
            scores=ScoreBins.of(together, num_classes),
        )

    def report(self, title: str, classes: ClassTable, *, semantic_head: Confusion | None = None) -> Report:
        """Every measure. semantic_head: its pixels, where the answers are of a network."""
        segments, limits = quality(self.segments, classes), own_limits(self.sizes, classes)
        return Report(
            title=title,
            num_images=self.num_images,
            quality=segments,
            pq_dagger=pq_dagger(segments, self.stuff, classes),
            final_answer_iou=mean_iou(self.pixels, classes),
            semantic_head_iou=semantic_head and mean_iou(semantic_head, classes),
            by_size=quality_by_size(self.sizes, classes),
            by_own_size=limits and quality_by_size(self.sizes, classes, limits),
            errors=ErrorAnalysis.of(self.errors, classes, limits or COCO_LIMITS),
            calibration=calibration(self.scores, classes),
        )
