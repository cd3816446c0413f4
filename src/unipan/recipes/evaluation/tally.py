"""What an evaluation takes from one image. H x W pixels, C classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from unipan.classes import ClassTable
from unipan.metrics.average_precision import ImageInstances, Precision, average_precision, instances_of, is_available
from unipan.metrics.confusion import Confusion, confuse_matched
from unipan.metrics.pq import PQCounts, tally
from unipan.metrics.sizes import SizeCounts, tally_by_size
from unipan.models.decode import best_channel, in_photo
from unipan.predictor import Predictor, original_size
from unipan.recipes.evaluation.overlay import Overlay
from unipan.recipes.evaluation.propagation import PropagationScore, PropagationTally
from unipan.types import Sample


class ImageScore(NamedTuple):
    """What must be added in the images' order, as fractions round, or be kept for each image. Processes send it to each other."""

    counts: PQCounts
    by_size: SizeCounts
    instances: ImageInstances | None  # None without the library for AP
    propagation: PropagationScore | None
    mask_free: bool


@dataclass(frozen=True)
class PixelCounts:
    """Whole numbers, which add up in any order."""

    semantic_head: Confusion
    final_answer: Confusion
    unpropagated: Confusion
    """Of the answers without propagation; nothing where there are none."""

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(
            self.semantic_head + other.semantic_head,
            self.final_answer + other.final_answer,
            self.unpropagated + other.unpropagated,
        )

    @staticmethod
    def zero(num_classes: int) -> "PixelCounts":
        """The counts of no image at all."""
        return PixelCounts(*[Confusion.zero(num_classes)] * 3)


def score_image(predictor: Predictor, sample: Sample, effect: PropagationTally | None) -> tuple[ImageScore, PixelCounts]:
    """Predict one image and compare it with its truth."""
    num_classes, size, truth = len(predictor.classes), original_size(sample.image), sample.truth
    network_size = predictor.network_size(size)
    outputs = predictor.outputs(sample.image)
    answer = predictor.untrimmed(outputs, size)
    semantic = best_channel(outputs.semantic[0], network_size, size).cpu()
    overlay = Overlay(truth, semantic, answer.ids, *([predictor.unpropagated(outputs, size).cpu()] if effect else []))
    limit = predictor.min_stuff_area_px
    matching = overlay.match(overlay.values[0], answer.segments, predictor.classes, min_stuff_area_px=limit)
    propagation, unpropagated = effect.score(outputs, overlay, *overlay.values) if effect else (None, Confusion.zero(num_classes))
    found = in_photo(outputs.detections[0], network_size, size)
    score = ImageScore(
        counts=tally(matching, num_classes),
        by_size=tally_by_size(matching, num_classes),
        instances=instances_of(found, truth) if is_available() else None,
        propagation=propagation,
        mask_free=found.mask_logits is None,
    )
    return score, PixelCounts(overlay.confuse_semantic(num_classes), confuse_matched(matching, num_classes), unpropagated)


def precision_of(scores: Sequence[ImageScore], classes: ClassTable) -> Precision | None:
    """AP of all images; None without the library."""
    if not is_available():
        return None
    return average_precision([score.instances for score in scores if score.instances], classes)
