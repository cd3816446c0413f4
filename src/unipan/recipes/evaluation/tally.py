"""What an evaluation takes from images. H x W pixels, C classes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from unipan.classes import ClassTable
from unipan.metrics.average_precision import ImageInstances, Precision, average_precision, instances_of, is_available
from unipan.metrics.confusion import Confusion, confuse_matched
from unipan.metrics.pq import PQCounts, tally
from unipan.metrics.sizes import SizeCounts, tally_by_size
from unipan.models.decode import best_channel, in_photo
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor, original_size
from unipan.recipes.evaluation.overlay import Overlay
from unipan.recipes.evaluation.propagation import PropagationScore, PropagationTally
from unipan.types import Detections, Outputs, PanopticMap, Sample, Size

HANDFUL_PX = 2**18
"""Pixels of the images that are judged together. Right after a prediction the processor's caches hold nothing of what judges it:
one by one, small images took a quarter (boxes) to a half longer (masks)."""


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


class Predicted(NamedTuple):
    """One image before it is judged."""

    truth: PanopticMap
    outputs: Outputs
    answer: PanopticMap  # untrimmed

    @property
    def pixels(self) -> int:
        """Of the photo or of what the network saw of it, whichever has more."""
        return max(self.truth.ids.numel(), STRIDE**2 * self.outputs.semantic[0][0].numel())


def predict_image(predictor: Predictor, sample: Sample) -> Predicted:
    """The inference that is judged."""
    outputs = predictor.outputs(sample.image)
    return Predicted(sample.truth, outputs, predictor.untrimmed(outputs, original_size(sample.image)))


def handfuls(images: Iterable[Predicted]) -> Iterator[list[Predicted]]:
    """All images, as many at a time as together reach HANDFUL_PX. A list is emptied when the next is asked for."""
    handful: list[Predicted] = []
    for image in images:
        handful.append(image)
        del image  # nothing of the judged ones stays while the next are predicted
        if sum(one.pixels for one in handful) >= HANDFUL_PX:
            yield handful
            handful.clear()
    if handful:
        yield handful


@torch.inference_mode()
def score_images(
    predictor: Predictor, images: Sequence[Predicted], effect: PropagationTally | None
) -> list[tuple[ImageScore, PixelCounts]]:
    """Compare what was predicted for some images with their truths."""
    found = [_in_photo(predictor, image) for image in images]
    instances = instances_of(found, [image.truth for image in images]) if is_available() else [None] * len(images)
    return [_score_image(predictor, image, effect, own, its) for image, own, its in zip(images, found, instances, strict=True)]


def _in_photo(predictor: Predictor, image: Predicted) -> Detections:
    size = _size(image)
    return in_photo(image.outputs.detections[0], predictor.network_size(size), size)


def _size(image: Predicted) -> Size:
    return image.truth.ids.shape[0], image.truth.ids.shape[1]


def _score_image(
    predictor: Predictor, image: Predicted, effect: PropagationTally | None, found: Detections, instances: ImageInstances | None
) -> tuple[ImageScore, PixelCounts]:
    (truth, outputs, answer), size, num_classes = image, _size(image), len(predictor.classes)
    semantic = best_channel(outputs.semantic[0], predictor.network_size(size), size).cpu()
    overlay = Overlay(truth, semantic, answer.ids, *([predictor.unpropagated(outputs, size).cpu()] if effect else []))
    limit = predictor.min_stuff_area_px
    matching = overlay.match(overlay.values[0], answer.segments, predictor.classes, min_stuff_area_px=limit)
    admitted = found.take(outputs.admitted[0])
    propagation, unpropagated = effect.score(admitted, overlay) if effect else (None, Confusion.zero(num_classes))
    score = ImageScore(
        counts=tally(matching, num_classes),
        by_size=tally_by_size(matching, num_classes),
        instances=instances,
        propagation=propagation,
        mask_free=found.mask_logits is None,
    )
    return score, PixelCounts(overlay.confuse_semantic(num_classes), confuse_matched(matching, num_classes), unpropagated)


def precision_of(scores: Sequence[ImageScore], classes: ClassTable) -> Precision | None:
    """AP of all images; None without the library."""
    if not is_available():
        return None
    return average_precision([score.instances for score in scores if score.instances], classes)
