"""What an evaluation takes from images. H x W pixels, C classes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unipan.answer import Inference
from unipan.classes import ClassTable
from unipan.data.statistics import ImageStatistics, image_statistics
from unipan.metrics.additive import Additive
from unipan.metrics.affinity import AffinityCounts
from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.average_precision import ImageInstances, instances_of, is_available
from unipan.metrics.confusion import Confusion
from unipan.metrics.pq import PQCounts, mean_pq
from unipan.metrics.propagation_effect import PropagationEffect
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import Matching
from unipan.models.decode import best_channel, ids_of_channels, in_image
from unipan.models.panoptic_head import UnifiedHead, channel_bias, unary_logits
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor
from unipan.recipes.evaluation.affinity import affinity_of
from unipan.recipes.evaluation.limits import limits_reached
from unipan.recipes.evaluation.propagation import Propagation
from unipan.types import Detections, PanopticMap, Sample

BATCH_PX = 2**18
"""Pixels of the images that are judged together. Right after a prediction the processor's caches hold nothing of what judges it:
one by one, small images took a quarter (boxes) to a half longer (masks)."""


@dataclass(frozen=True)
class Counts(Additive):
    """What an evaluation adds up over images, and over the processes that share them."""

    answer: Score
    semantic_head: Confusion
    unpropagated: Score
    """Of the answers without propagation; nothing where there are none."""
    effect: PropagationEffect
    """Of propagation; likewise."""
    affinity: AffinityCounts
    """Likewise."""
    mask_free: int
    """Images whose detections came without masks."""

    @staticmethod
    def zero(num_classes: int) -> "Counts":
        """The counts of no image at all."""
        none, no_pixels = Score.zero(num_classes), Confusion.zero(num_classes)
        return Counts(none, no_pixels, none, PropagationEffect(), AffinityCounts(), 0)


class ImageRecord(NamedTuple):
    """What is kept of each image."""

    name: str  # of its file
    pq: float  # of the answer; nan where neither truth nor answer has a segment
    instances: ImageInstances | None  # None without the library for AP
    truth: ImageStatistics
    limits_reached: list[str]  # options


class Predicted(NamedTuple):
    """One image before it is judged."""

    name: str
    truth: PanopticMap
    inference: Inference
    answer: PanopticMap  # untrimmed

    @property
    def pixels(self) -> int:
        """Of the image or of what the network saw of it, whichever has more."""
        return max(self.truth.ids.numel(), STRIDE**2 * self.inference.outputs.semantic[0][0].numel())


def predict_image(predictor: Predictor, sample: Sample) -> Predicted:
    """The inference that is judged."""
    inference = predictor.infer(sample.image)
    return Predicted(sample.file_name, sample.truth, inference, predictor.answer(inference, trim=False))


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


class Judged(NamedTuple):
    """One image laid beside its truth."""

    answer: Matching
    semantic_head: Confusion
    unpropagated: Matching | None  # None where answers come without propagation
    effect: PropagationEffect
    affinity: AffinityCounts


@torch.inference_mode()
def judge_images(
    predictor: Predictor, images: Sequence[Predicted], propagation: Propagation | None
) -> tuple[Counts, list[ImageRecord]]:
    """Compare what was predicted for some images, at least one, with their truths."""
    num_classes = len(predictor.classes)
    found = [in_image(one.detections, one.network_size, one.size) for one in (image.inference for image in images)]
    instances = instances_of(found, [image.truth for image in images]) if is_available() else [None] * len(images)
    judged = [_judge_image(predictor, image, propagation, own) for image, own in zip(images, found, strict=True)]
    unpropagated = [one.unpropagated for one in judged if one.unpropagated]
    none = Counts.zero(num_classes)
    counts = Counts(
        answer=Score.of_images([one.answer for one in judged], num_classes),
        semantic_head=sum((one.semantic_head for one in judged), none.semantic_head),
        unpropagated=Score.of_images(unpropagated, num_classes) if unpropagated else none.unpropagated,
        effect=sum((one.effect for one in judged), none.effect),
        affinity=sum((one.affinity for one in judged), none.affinity),
        mask_free=sum(own.mask_logits is None for own in found),
    )
    records = [
        ImageRecord(
            name=image.name,
            pq=mean_pq(PQCounts.of(one.answer, num_classes)),
            instances=its,
            truth=image_statistics(image.inference.size, image.truth.segments),
            limits_reached=limits_reached(predictor, image.inference),
        )
        for image, one, its in zip(images, judged, instances, strict=True)
    ]
    return counts, records


def _judge_image(predictor: Predictor, image: Predicted, propagation: Propagation | None, found: Detections) -> Judged:
    (_, truth, inference, answer), classes = image, predictor.classes
    outputs, network_size, size = inference.outputs, inference.network_size, inference.size
    semantic = best_channel(outputs.semantic[0], network_size, size, outputs.upsampling[0]).cpu()
    without = [unpropagated_ids(inference, classes, weight_of_potential(propagation.head))] if propagation else []
    maps = AlignedMaps(truth, semantic, answer.ids, *without)
    matching = maps.match(maps.values[0], answer.segments, classes, min_stuff_area_px=predictor.min_stuff_area_px)
    confusion = maps.semantic_confusion(len(classes))
    if not propagation:
        return Judged(matching, confusion, None, PropagationEffect(), AffinityCounts())
    unpropagated, effect = propagation.judge(found.take(outputs.admitted[0]), maps)
    return Judged(matching, confusion, unpropagated, effect, affinity_of(inference, truth))


def weight_of_potential(head: UnifiedHead) -> float:
    """The factor of the potential's own logits; 1 where the head has none, as without propagation any other will do."""
    return head.unary_scale.item() or 1.0


def unpropagated_ids(inference: Inference, classes: ClassTable, unary_scale: float = 1.0) -> Tensor:
    """(H, W) ids of `unpropagated_channel`."""
    num_channels = len(classes.stuff) + len(inference.outputs.admitted[0])
    return ids_of_channels(unpropagated_channel(inference, classes, unary_scale), num_channels).cpu()


def unpropagated_channel(inference: Inference, classes: ClassTable, unary_scale: float) -> Tensor:
    """(H, W): the answer by the dynamic potential and the existence alone: what propagation adds shows against it.

    unary_scale: `weight_of_potential`, by which the potential's logits weigh against the existence's.
    """
    outputs, network_size, size = inference.outputs, inference.network_size, inference.size
    psi, num_stuff = outputs.potentials[0], len(classes.stuff)
    logits = unary_scale * unary_logits(psi) + channel_bias(outputs.existence[0], num_stuff, len(psi))
    return best_channel(logits, network_size, size, outputs.upsampling[0])
