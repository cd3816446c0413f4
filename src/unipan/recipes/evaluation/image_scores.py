"""What an evaluation takes from images. H x W pixels, C classes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unipan.classes import ClassTable
from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.average_precision import ImageInstances, Precision, average_precision, instances_of, is_available
from unipan.metrics.confusion import Confusion, confuse_matched
from unipan.metrics.pq import PQCounts, tally
from unipan.metrics.sizes import SizeCounts, tally_by_size
from unipan.models.decode import best_channel, ids_of_channels, in_photo
from unipan.models.panoptic import unary_logits
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor
from unipan.recipes.evaluation.propagation import PropagationScore, PropagationTally
from unipan.types import Detections, Inference, PanopticMap, Sample

BATCH_PX = 2**18
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
    inference: Inference
    answer: PanopticMap  # untrimmed

    @property
    def pixels(self) -> int:
        """Of the photo or of what the network saw of it, whichever has more."""
        return max(self.truth.ids.numel(), STRIDE**2 * self.inference.outputs.semantic[0][0].numel())


def predict_image(predictor: Predictor, sample: Sample) -> Predicted:
    """The inference that is judged."""
    inference = predictor.infer(sample.image)
    return Predicted(sample.truth, inference, predictor.answer(inference, trim=False))


def judged_batches(images: Iterable[Predicted]) -> Iterator[list[Predicted]]:
    """All images, as many at a time as together reach BATCH_PX. A list is emptied when the next is asked for."""
    batch: list[Predicted] = []
    for image in images:
        batch.append(image)
        del image  # nothing of the judged ones stays while the next are predicted
        if sum(one.pixels for one in batch) >= BATCH_PX:
            yield batch
            batch.clear()
    if batch:
        yield batch


@torch.inference_mode()
def score_images(
    predictor: Predictor, images: Sequence[Predicted], effect: PropagationTally | None
) -> list[tuple[ImageScore, PixelCounts]]:
    """Compare what was predicted for some images with their truths."""
    found = [in_photo(one.detections, one.network_size, one.size) for one in (image.inference for image in images)]
    instances = instances_of(found, [image.truth for image in images]) if is_available() else [None] * len(images)
    return [_score_image(predictor, image, effect, own, its) for image, own, its in zip(images, found, instances, strict=True)]


def _score_image(
    predictor: Predictor, image: Predicted, effect: PropagationTally | None, found: Detections, instances: ImageInstances | None
) -> tuple[ImageScore, PixelCounts]:
    (truth, inference, answer), num_classes = image, len(predictor.classes)
    outputs, size, network_size, _ = inference
    semantic = best_channel(outputs.semantic[0], network_size, size).cpu()
    maps = AlignedMaps(truth, semantic, answer.ids, *([unpropagated_ids(inference, predictor.classes)] if effect else []))
    limit = predictor.min_stuff_area_px
    matching = maps.match(maps.values[0], answer.segments, predictor.classes, min_stuff_area_px=limit)
    admitted = found.take(outputs.admitted[0])
    propagation, unpropagated = effect.score(admitted, maps) if effect else (None, Confusion.zero(num_classes))
    score = ImageScore(
        counts=tally(matching, num_classes),
        by_size=tally_by_size(matching, num_classes),
        instances=instances,
        propagation=propagation,
        mask_free=found.mask_logits is None,
    )
    return score, PixelCounts(maps.confuse_semantic(num_classes), confuse_matched(matching, num_classes), unpropagated)


def unpropagated_ids(inference: Inference, classes: ClassTable) -> Tensor:
    """(H, W) ids of the answer that the dynamic potential alone would give: what propagation adds shows against it."""
    outputs, size, network_size, _ = inference
    channel = best_channel(unary_logits(outputs.potentials[0]), network_size, size)
    return ids_of_channels(channel, len(classes.stuff) + len(outputs.admitted[0])).cpu()


def precision_of(scores: Sequence[ImageScore], classes: ClassTable) -> Precision | None:
    """AP of all images; None without the library."""
    if not is_available():
        return None
    return average_precision([score.instances for score in scores if score.instances], classes)
